//! Turns a message into a record in two steps: all that is slow first, its place last.
//!
//! Encoding and the checksums of body and tail need no lock. Once the log's owner knows where
//! the record goes, [`Unplaced::place`] writes three fields and folds the head into the
//! checksum. The body is never copied.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use crc32fast::Hasher;
use memchr::memmem;

use super::checksum::{Rest, TAIL_BYTES, tail_property};
use super::layout::{
    CRC_MASK, LOG_OFFSET_AT, LONGEST_TOPIC, QUEUE_OFFSET_AT, Version, head_bytes, stored_at,
};
use super::{Checksum, RecordError};
use crate::properties::{CRC, INNER_NUMBER, PropertiesView, TEXT_LIMIT, VALUE_END};
use crate::{
    IndexKey, LogOffset, Message, Properties, QueueId, QueueOffset, StoredMessage, SysFlag,
    Timestamp, index_keys,
};

/// A record that is complete but for its place in queue and log and its store time.
#[derive(Clone, Debug)]
pub struct Unplaced {
    queue: QueueId,
    parts: Parts,
    stored_at: usize,
    rest: Rest,
}

/// A record that may be written.
#[derive(Clone, Debug)]
pub struct Placed {
    parts: Parts,
    rest: Rest,
}

/// Head and tail lie in one buffer, so a record costs one allocation.
#[derive(Clone, Debug)]
struct Parts {
    head_and_tail: BytesMut,
    head: usize,
    body: Bytes,
    /// Where the message's own properties are, without the checksum.
    properties: Range<usize>,
    checksum: Checksum,
}

impl Unplaced {
    /// Encodes everything that does not depend on the record's place.
    ///
    /// The address bits of the system flag are set by the hosts, and a checksum that came along
    /// as a property is left out. Fails when topic or properties
    /// have more bytes than a record can name, or the record more than `i32::MAX`; smaller
    /// limits are the caller's.
    pub fn encode(
        message: &Message,
        store_host: SocketAddr,
        checksum: Checksum,
    ) -> Result<Self, RecordError> {
        let topic = message.topic.as_str();
        limit("topic", topic.len(), LONGEST_TOPIC)?;
        let own = own_properties(&message.properties);
        let text = own.as_text().as_bytes();
        let separator = usize::from(
            checksum == Checksum::Record && text.last().is_some_and(|&last| last != VALUE_END),
        );
        let properties = text.len() + separator + checksum.tail_bytes();
        limit("properties", properties, TEXT_LIMIT)?;

        let version = Version::of_topic(topic);
        let head = head_bytes(message.born_host, store_host);
        let tail = version.topic_length_bytes() + topic.len() + 2 + properties;
        let size = head + message.body.len() + tail;
        limit("record", size, i32::MAX as usize)?;

        let mut crc = Hasher::new();
        crc.update(&message.body);
        let body_crc = crc.clone().finalize() & CRC_MASK;

        let mut buffer = BytesMut::with_capacity(head + tail);
        buffer.put_u32(size as u32);
        buffer.put_u32(version.magic());
        buffer.put_u32(body_crc);
        buffer.put_u32(message.queue);
        buffer.put_i32(message.flag);
        buffer.put_u64(0);
        buffer.put_u64(0);
        buffer.put_i32(address_bits(message.sys_flag, message.born_host, store_host).0);
        buffer.put_i64(message.born.0);
        put_host(&mut buffer, message.born_host);
        buffer.put_i64(0);
        put_host(&mut buffer, store_host);
        buffer.put_i32(message.reconsume_times);
        buffer.put_i64(message.prepared_transaction_offset);
        buffer.put_u32(message.body.len() as u32);
        debug_assert_eq!(buffer.len(), head);
        match version {
            Version::V1 => buffer.put_u8(topic.len() as u8),
            Version::V2 => buffer.put_u16(topic.len() as u16),
        }
        buffer.put_slice(topic.as_bytes());
        buffer.put_u16(properties as u16);
        let own_place = buffer.len()..buffer.len() + text.len();
        buffer.put_slice(text);
        if separator == 1 {
            buffer.put_u8(VALUE_END);
        }
        crc.update(&buffer[head..]);
        buffer.put_bytes(0, checksum.tail_bytes());

        Ok(Self {
            queue: message.queue_id(),
            parts: Parts {
                head_and_tail: buffer,
                head,
                body: message.body.clone(),
                properties: own_place,
                checksum,
            },
            stored_at: stored_at(message.born_host),
            rest: Rest::new(crc),
        })
    }

    /// Bytes of the whole record.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Never true: a record has a head.
    pub fn is_empty(&self) -> bool {
        false
    }

    pub fn queue(&self) -> &QueueId {
        &self.queue
    }

    pub fn properties(&self) -> PropertiesView<'_> {
        self.parts.properties()
    }

    /// The keys under which the message is to be found.
    pub fn keys(&self) -> impl Iterator<Item = IndexKey<'_>> {
        index_keys(self.properties())
    }

    pub fn sys_flag(&self) -> SysFlag {
        self.parts.sys_flag()
    }

    /// Queue offsets the record takes up: more than one for an inner batch.
    pub fn messages(&self) -> u32 {
        if !self.sys_flag().is_inner_batch() {
            return 1;
        }
        let number = self.properties().get(INNER_NUMBER);
        number
            .and_then(|number| number.parse().ok())
            .filter(|&number| number > 0)
            .unwrap_or(1)
    }

    /// Gives the record its place, after which nothing in it changes any more.
    pub fn place(
        mut self,
        queue_offset: QueueOffset,
        log_offset: LogOffset,
        stored: Timestamp,
    ) -> Placed {
        let buffer = &mut self.parts.head_and_tail;
        patch(buffer, QUEUE_OFFSET_AT, queue_offset.0);
        patch(buffer, LOG_OFFSET_AT, log_offset.0);
        patch(buffer, self.stored_at, stored.0 as u64);
        if self.parts.checksum == Checksum::Record {
            let mut crc = Hasher::new();
            self.parts.continue_crc(&self.rest, &mut crc);
            let buffer = &mut self.parts.head_and_tail;
            let tail = buffer.len() - TAIL_BYTES;
            buffer[tail..].copy_from_slice(&tail_property(crc.finalize()));
        }
        Placed {
            parts: self.parts,
            rest: self.rest,
        }
    }
}

impl Placed {
    /// Bytes of the whole record.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Never true: a record has a head.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Head, body and tail in the order in which they are written.
    pub fn slices(&self) -> [&[u8]; 3] {
        let (head, tail) = self.parts.head_and_tail.split_at(self.parts.head);
        [head, &self.parts.body, tail]
    }

    /// Head, body and tail, to be kept. The body still shares the buffer it came in.
    pub fn into_parts(self) -> [Bytes; 3] {
        let mut head = self.parts.head_and_tail.freeze();
        let tail = head.split_off(self.parts.head);
        [head, self.parts.body, tail]
    }

    /// The record in one piece, copied.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from(self.slices().concat())
    }

    /// The keys under which the message is to be found.
    pub fn keys(&self) -> impl Iterator<Item = IndexKey<'_>> {
        index_keys(self.parts.properties())
    }

    /// Continues a CRC over the whole record without reading its body again.
    pub(super) fn continue_crc(&self, crc: &mut Hasher) {
        self.parts.continue_crc(&self.rest, crc);
        let buffer = &self.parts.head_and_tail;
        crc.update(&buffer[buffer.len() - self.parts.checksum.tail_bytes()..]);
    }
}

impl StoredMessage {
    /// The record of this message, as it was stored.
    pub fn encode(&self) -> Result<Placed, RecordError> {
        let record = Unplaced::encode(&self.message, self.store_host, self.checksum)?;
        Ok(record.place(self.queue_offset, self.log_offset, self.stored))
    }
}

impl Parts {
    fn len(&self) -> usize {
        self.head_and_tail.len() + self.body.len()
    }

    fn properties(&self) -> PropertiesView<'_> {
        PropertiesView::new(&self.head_and_tail[self.properties.clone()])
    }

    /// Continues a CRC over all but the checksum; `rest` is the one of what follows the head.
    fn continue_crc(&self, rest: &Rest, crc: &mut Hasher) {
        let (head, tail) = self.head_and_tail.split_at(self.head);
        let tail = &tail[..tail.len() - self.checksum.tail_bytes()];
        rest.behind(crc, head, [&self.body, tail]);
    }

    fn sys_flag(&self) -> SysFlag {
        let at = LOG_OFFSET_AT + 8;
        let bytes = self.head_and_tail[at..at + 4]
            .try_into()
            .expect("four bytes were taken");
        SysFlag(i32::from_be_bytes(bytes))
    }
}

/// The properties without the checksum of another record. Clients that send on what they
/// received send it along, and as the last property it would be taken for this record's.
fn own_properties(properties: &Properties) -> Cow<'_, Properties> {
    // Hardly ever there, and found faster than by looking at every name.
    if memmem::find(properties.as_text().as_bytes(), CRC.as_bytes()).is_none() {
        return Cow::Borrowed(properties);
    }
    let mut own = properties.clone();
    own.remove(CRC);
    Cow::Owned(own)
}

fn limit(part: &'static str, bytes: usize, limit: usize) -> Result<(), RecordError> {
    if bytes <= limit {
        return Ok(());
    }
    Err(RecordError::TooLarge {
        part,
        bytes: bytes as u64,
        limit: limit as u64,
    })
}

fn address_bits(flag: SysFlag, born_host: SocketAddr, store_host: SocketAddr) -> SysFlag {
    flag.with(SysFlag::BORN_HOST_V6, born_host.is_ipv6())
        .with(SysFlag::STORE_HOST_V6, store_host.is_ipv6())
}

fn put_host(buffer: &mut BytesMut, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => buffer.put_slice(&ip.octets()),
        IpAddr::V6(ip) => buffer.put_slice(&ip.octets()),
    }
    buffer.put_u32(u32::from(host.port()));
}

fn patch(buffer: &mut BytesMut, at: usize, value: u64) {
    buffer[at..at + 8].copy_from_slice(&value.to_be_bytes());
}
