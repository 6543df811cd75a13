//! Reads a record where it lies.

use std::net::{IpAddr, SocketAddr};

use super::checksum::{TAIL_BYTES, crc_of, split_tail};
use super::layout::{BORN_HOST_AT, CRC_MASK, SMALLEST_RECORD, Version};
use super::{Checksum, RecordError};
use crate::{LogOffset, PropertiesView, QueueOffset, SysFlag, Timestamp};

/// The fields of one record, borrowed from its bytes.
///
/// The fields fit together; whether they are what was written only [`RecordView::check`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// The record's own bytes, without what follows it.
    pub bytes: &'a [u8],
    pub version: Version,
    pub body_crc: u32,
    pub queue: u32,
    pub flag: i32,
    pub queue_offset: QueueOffset,
    pub log_offset: LogOffset,
    pub sys_flag: SysFlag,
    pub born: Timestamp,
    pub born_host: SocketAddr,
    pub stored: Timestamp,
    pub store_host: SocketAddr,
    pub reconsume_times: i32,
    pub prepared_transaction_offset: i64,
    pub body: &'a [u8],
    pub topic: &'a str,
    /// Without the record's checksum.
    pub properties: PropertiesView<'a>,
    /// The checksum of the whole record, where it has one.
    pub record_crc: Option<u32>,
}

/// Reads the record at the start of `bytes`; more may follow it.
pub fn view(bytes: &[u8]) -> Result<RecordView<'_>, RecordError> {
    let mut fields = Fields { bytes, at: 0 };
    let size = fields.u32()?;
    let magic = fields.u32()?;
    let version = Version::of_magic(magic).ok_or(RecordError::NotARecord { magic })?;
    if size as usize > bytes.len() {
        return Err(RecordError::Truncated {
            needed: u64::from(size),
            available: bytes.len() as u64,
        });
    }
    if (size as usize) < SMALLEST_RECORD {
        return Err(impossible("size", i64::from(size as i32)));
    }
    fields.bytes = &bytes[..size as usize];

    let body_crc = fields.u32()?;
    let queue = fields.u32()?;
    let flag = fields.u32()? as i32;
    let queue_offset = QueueOffset(fields.u64()?);
    let log_offset = LogOffset(fields.u64()?);
    let sys_flag = SysFlag(fields.u32()? as i32);
    let born = Timestamp(fields.u64()? as i64);
    debug_assert_eq!(fields.at, BORN_HOST_AT);
    let born_host = fields.host("born host's port", sys_flag.0 & SysFlag::BORN_HOST_V6 != 0)?;
    let stored = Timestamp(fields.u64()? as i64);
    let store_host = fields.host(
        "store host's port",
        sys_flag.0 & SysFlag::STORE_HOST_V6 != 0,
    )?;
    let reconsume_times = fields.u32()? as i32;
    let prepared_transaction_offset = fields.u64()? as i64;
    let body_length = fields.u32()? as i32;
    let body = fields.take_signed("body length", i64::from(body_length))?;
    let topic_length = match version {
        Version::V1 => i64::from(fields.u8()? as i8),
        Version::V2 => i64::from(fields.u16()? as i16),
    };
    let topic = fields.take_signed("topic length", topic_length)?;
    let topic = std::str::from_utf8(topic).map_err(|_| RecordError::TopicNotUtf8)?;
    let properties_length = fields.u16()? as i16;
    let properties = fields.take_signed("properties length", i64::from(properties_length))?;
    if fields.at != size as usize {
        return Err(RecordError::SizeMismatch {
            stated: size,
            found: fields.at as u64,
        });
    }
    let (properties, record_crc) = split_tail(properties);
    Ok(RecordView {
        bytes: fields.bytes,
        version,
        body_crc,
        queue,
        flag,
        queue_offset,
        log_offset,
        sys_flag,
        born,
        born_host,
        stored,
        store_host,
        reconsume_times,
        prepared_transaction_offset,
        body,
        topic,
        properties: PropertiesView::new(properties),
        record_crc,
    })
}

/// Reads the record at the start of `bytes` and believes it only if [`RecordView::check`] does.
#[inline]
pub fn check(bytes: &[u8], required: Checksum) -> Result<RecordView<'_>, RecordError> {
    let record = view(bytes)?;
    record.check(required)?;
    Ok(record)
}

impl RecordView<'_> {
    /// Compares the record with its checksum: the one of the whole record where it has one,
    /// else the one of its body.
    ///
    /// Where the log is known to be written with [`Checksum::Record`], require it: in a torn
    /// record the checksum itself may be what is missing, and the body's says nothing about the
    /// properties. With [`Checksum::Body`] a record without one is believed by its body.
    #[inline]
    pub fn check(&self, required: Checksum) -> Result<(), RecordError> {
        match (self.record_crc, required) {
            (Some(stated), _) => {
                let covered = &self.bytes[..self.bytes.len() - TAIL_BYTES];
                same_crc("record", stated, crc_of(covered))
            }
            (None, Checksum::Record) => Err(RecordError::Unguarded),
            (None, Checksum::Body) => self.check_body(),
        }
    }

    /// Compares the body alone with its checksum, whatever else the record carries.
    pub fn check_body(&self) -> Result<(), RecordError> {
        same_crc("body", self.body_crc & CRC_MASK, crc_of(self.body))
    }

    /// What guards this record.
    pub fn checksum(&self) -> Checksum {
        match self.record_crc {
            Some(_) => Checksum::Record,
            None => Checksum::Body,
        }
    }

    /// Bytes of the whole record.
    pub fn size(&self) -> u32 {
        self.bytes.len() as u32
    }
}

/// Cuts fields off the front. Every length is compared with what is there before it is used.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

// Each is a comparison and a load once it is part of its caller: every record is read by them.
impl<'a> Fields<'a> {
    #[inline(always)]
    fn take(&mut self, length: usize) -> Result<&'a [u8], RecordError> {
        let Some((taken, _)) = self.bytes[self.at..].split_at_checked(length) else {
            return Err(self.truncated(length));
        };
        self.at += length;
        Ok(taken)
    }

    #[cold]
    fn truncated(&self, length: usize) -> RecordError {
        RecordError::Truncated {
            needed: (self.at as u64).saturating_add(length as u64),
            available: self.bytes.len() as u64,
        }
    }

    #[inline(always)]
    fn take_signed(&mut self, field: &'static str, length: i64) -> Result<&'a [u8], RecordError> {
        let length = usize::try_from(length).map_err(|_| impossible(field, length))?;
        self.take(length)
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let taken = self.take(N)?;
        Ok(taken
            .try_into()
            .expect("as many bytes were taken as the array has"))
    }

    #[inline(always)]
    fn u8(&mut self) -> Result<u8, RecordError> {
        self.array().map(u8::from_be_bytes)
    }

    #[inline(always)]
    fn u16(&mut self) -> Result<u16, RecordError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline(always)]
    fn u32(&mut self) -> Result<u32, RecordError> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline(always)]
    fn u64(&mut self) -> Result<u64, RecordError> {
        self.array().map(u64::from_be_bytes)
    }

    #[inline(always)]
    fn host(&mut self, field: &'static str, v6: bool) -> Result<SocketAddr, RecordError> {
        let ip = if v6 {
            IpAddr::from(self.array::<16>()?)
        } else {
            IpAddr::from(self.array::<4>()?)
        };
        let port = self.u32()?;
        let port = u16::try_from(port).map_err(|_| impossible(field, i64::from(port as i32)))?;
        Ok(SocketAddr::new(ip, port))
    }
}

fn impossible(field: &'static str, value: i64) -> RecordError {
    RecordError::ImpossibleField { field, value }
}

fn same_crc(part: &'static str, stated: u32, found: u32) -> Result<(), RecordError> {
    if stated == found {
        return Ok(());
    }
    Err(RecordError::Checksum {
        part,
        stated,
        found,
    })
}
