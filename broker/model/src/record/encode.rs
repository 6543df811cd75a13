//! Turns a message into a record in two steps: all that is slow first, its place last.
//!
//! Encoding and the checksums of body and tail need no lock. Once the log's owner knows where
//! the record goes, [`Unplaced::place`] writes three fields and folds the head into the
//! checksum. The body is never copied.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use crc32fast::Hasher;

use super::checksum::{Rest, TAIL_BYTES, tail_property};
use super::layout::{
    CRC_MASK, LOG_OFFSET_AT, LONGEST_HEAD, LONGEST_TOPIC, QUEUE_OFFSET_AT, Version, head_bytes,
    stored_at,
};
use super::run::Outline;
use super::{Checksum, RecordError};
use crate::properties::{CRC, PropertiesView, TEXT_LIMIT, VALUE_END};
use crate::{
    LogOffset, Message, MessageView, QueueId, QueueOffset, StoredMessage, SysFlag, Timestamp,
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
        Self::encode_view(&message.view(), store_host, checksum)
    }

    /// The same of a message whose parts lie elsewhere.
    pub fn encode_view(
        message: &MessageView<'_>,
        store_host: SocketAddr,
        checksum: Checksum,
    ) -> Result<Self, RecordError> {
        if let Some(own) = without_checksum(message) {
            return Self::encode(&own, store_host, checksum);
        }
        let shape = Shape::of(message, store_host, checksum)?;
        let mut crc = Hasher::new();
        crc.update(message.body);
        let body_crc = crc.clone().finalize() & CRC_MASK;
        let mut buffer = BytesMut::with_capacity(shape.head + shape.tail);
        shape.put_head(&mut buffer, message, store_host, body_crc);
        shape.put_tail(&mut buffer, message);
        crc.update(&buffer[shape.head..buffer.len() - checksum.tail_bytes()]);
        let properties =
            shape.head + shape.version.topic_length_bytes() + message.topic.as_str().len() + 2;
        Ok(Self {
            queue: QueueId::new(message.topic.clone(), message.queue),
            parts: Parts {
                properties: properties..properties + shape.text,
                head_and_tail: buffer,
                head: shape.head,
                body: message.buffer.slice_ref(message.body),
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

    pub fn sys_flag(&self) -> SysFlag {
        self.parts.sys_flag()
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
        Placed { parts: self.parts }
    }
}

impl Unplaced {
    /// Where its parts go in a run, and they themselves: head and tail, and body.
    pub(super) fn into_parts(self) -> (Outline, BytesMut, Bytes, Rest) {
        let parts = self.parts;
        let outline = Outline {
            size: (parts.head_and_tail.len() + parts.body.len()) as u32,
            head: parts.head as u8,
            stored_at: self.stored_at as u8,
            checksum: parts.checksum,
            ..Outline::default()
        };
        (outline, parts.head_and_tail, parts.body, self.rest)
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

    /// The record in one piece, copied.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from(self.slices().concat())
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

/// The message without the checksum of another record among its properties, `None` if there
/// is none. Clients that send on what they received send it along, and as the last property it
/// would be taken for this record's.
pub(super) fn without_checksum(message: &MessageView<'_>) -> Option<Message> {
    message.notes.checksum.then(|| {
        let mut own = message.to_message();
        own.properties.remove(CRC);
        own
    })
}

/// How long the parts of a record are.
pub(super) struct Shape {
    version: Version,
    /// Bytes in front of the body.
    pub head: usize,
    /// Bytes behind the body.
    pub tail: usize,
    pub size: usize,
    /// Bytes of the properties, the checksum not among them.
    text: usize,
    checksum: Checksum,
}

impl Shape {
    pub(super) fn of(
        message: &MessageView<'_>,
        store_host: SocketAddr,
        checksum: Checksum,
    ) -> Result<Self, RecordError> {
        let topic = message.topic.as_str();
        limit("topic", topic.len(), LONGEST_TOPIC)?;
        let [given, added] = message.properties;
        let text = given.len() + usize::from(message.ends_given()) + added.len();
        let mut shape = Self {
            version: Version::of_topic(topic),
            head: head_bytes(message.born_host, store_host),
            tail: 0,
            size: 0,
            text,
            checksum,
        };
        let properties = shape.properties(message);
        limit("properties", properties, TEXT_LIMIT)?;
        shape.tail = shape.version.topic_length_bytes() + topic.len() + 2 + properties;
        shape.size = shape.head + message.body.len() + shape.tail;
        limit("record", shape.size, i32::MAX as usize)?;
        Ok(shape)
    }

    /// Bytes of the properties, with what ends them and the checksum.
    fn properties(&self, message: &MessageView<'_>) -> usize {
        self.text + usize::from(self.separates(message)) + self.checksum.tail_bytes()
    }

    /// Whether something has to stand between the last value and the checksum.
    fn separates(&self, message: &MessageView<'_>) -> bool {
        let [given, added] = message.properties;
        let last = added.as_bytes().last().or(given.as_bytes().last());
        self.checksum == Checksum::Record && last.is_some_and(|last| *last != VALUE_END)
    }

    /// Everything in front of the body; what is not known yet is 0.
    pub(super) fn put_head(
        &self,
        buffer: &mut BytesMut,
        message: &MessageView<'_>,
        store_host: SocketAddr,
        body_crc: u32,
    ) {
        // Put together in one place, and copied once.
        let mut bytes = [0; LONGEST_HEAD];
        let head = &mut bytes.as_mut_slice();
        head.put_u32(self.size as u32);
        head.put_u32(self.version.magic());
        head.put_u32(body_crc);
        head.put_u32(message.queue);
        head.put_i32(message.flag);
        head.put_u64(0);
        head.put_u64(0);
        head.put_i32(address_bits(message.sys_flag, message.born_host, store_host).0);
        head.put_i64(message.born.0);
        put_host(head, message.born_host);
        head.put_i64(0);
        put_host(head, store_host);
        head.put_i32(message.reconsume_times);
        head.put_i64(message.prepared_transaction_offset);
        head.put_u32(message.body.len() as u32);
        buffer.put_slice(&bytes[..self.head]);
    }

    /// Everything behind the body; zeros where the checksum will be.
    pub(super) fn put_tail(&self, buffer: &mut BytesMut, message: &MessageView<'_>) {
        let topic = message.topic.as_str();
        match self.version {
            Version::V1 => buffer.put_u8(topic.len() as u8),
            Version::V2 => buffer.put_u16(topic.len() as u16),
        }
        buffer.put_slice(topic.as_bytes());
        buffer.put_u16(self.properties(message) as u16);
        let [given, added] = message.properties;
        buffer.put_slice(given.as_bytes());
        if message.ends_given() {
            buffer.put_u8(VALUE_END);
        }
        buffer.put_slice(added.as_bytes());
        if self.separates(message) {
            buffer.put_u8(VALUE_END);
        }
        buffer.put_slice(&[0; TAIL_BYTES][..self.checksum.tail_bytes()]);
    }
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

fn put_host(buffer: &mut impl BufMut, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => buffer.put_slice(&ip.octets()),
        IpAddr::V6(ip) => buffer.put_slice(&ip.octets()),
    }
    buffer.put_u32(u32::from(host.port()));
}

pub(super) fn patch(buffer: &mut [u8], at: usize, value: u64) {
    buffer[at..at + 8].copy_from_slice(&value.to_be_bytes());
}
