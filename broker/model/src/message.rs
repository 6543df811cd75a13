//! A message, before and after it is stored.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;

use crate::properties::{Notes, VALUE_END};
use crate::{
    Checksum, LogOffset, MessageId, Properties, QueueId, QueueOffset, SysFlag, Timestamp, Topic,
    record::Version,
};

/// What a producer sent, as far as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: Topic,
    /// Number of the queue within the topic.
    pub queue: u32,
    /// A number of the user's own.
    pub flag: i32,
    /// The address bits are set by the record's encoder; what they say here does not matter.
    pub sys_flag: SysFlag,
    pub born: Timestamp,
    pub born_host: SocketAddr,
    pub reconsume_times: i32,
    /// Log offset of the half message this one was committed from, else 0.
    pub prepared_transaction_offset: i64,
    pub properties: Properties,
    /// Compressed where `sys_flag` says so.
    pub body: Bytes,
}

/// A message whose parts lie where they arrived: nothing of it is copied before it is encoded.
#[derive(Clone, Copy, Debug)]
pub struct MessageView<'a> {
    pub topic: &'a Topic,
    pub queue: u32,
    pub flag: i32,
    pub sys_flag: SysFlag,
    pub born: Timestamp,
    pub born_host: SocketAddr,
    pub reconsume_times: i32,
    pub prepared_transaction_offset: i64,
    /// Text of the properties, and of those that were added to it.
    pub properties: [&'a str; 2],
    /// What the properties say to the broker.
    pub notes: Notes<'a>,
    pub body: &'a [u8],
    /// What the body is a part of, to be kept instead of copying a large body.
    pub buffer: &'a Bytes,
}

/// A message with the place and the time the store gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    pub message: Message,
    pub queue_offset: QueueOffset,
    pub log_offset: LogOffset,
    pub stored: Timestamp,
    pub store_host: SocketAddr,
    /// As found in the record; decoding does not compare it with the body.
    pub body_crc: u32,
    /// Bytes of the whole record.
    pub size: u32,
    pub version: Version,
    /// Whether the record carries a checksum of all of itself.
    pub checksum: Checksum,
}

impl Message {
    /// A message without properties, born at time zero at an unspecified address.
    pub fn new(topic: Topic, queue: u32, body: impl Into<Bytes>) -> Self {
        Self {
            topic,
            queue,
            flag: 0,
            sys_flag: SysFlag::default(),
            born: Timestamp::default(),
            born_host: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            properties: Properties::new(),
            body: body.into(),
        }
    }

    pub fn queue_id(&self) -> QueueId {
        QueueId::new(self.topic.clone(), self.queue)
    }

    pub fn view(&self) -> MessageView<'_> {
        MessageView {
            topic: &self.topic,
            queue: self.queue,
            flag: self.flag,
            sys_flag: self.sys_flag,
            born: self.born,
            born_host: self.born_host,
            reconsume_times: self.reconsume_times,
            prepared_transaction_offset: self.prepared_transaction_offset,
            properties: [self.properties.as_text(), ""],
            notes: Notes::of(self.properties.view()),
            body: &self.body,
            buffer: &self.body,
        }
    }
}

impl MessageView<'_> {
    /// The message by itself. Its body shares the buffer.
    pub fn to_message(&self) -> Message {
        Message {
            topic: self.topic.clone(),
            queue: self.queue,
            flag: self.flag,
            sys_flag: self.sys_flag,
            born: self.born,
            born_host: self.born_host,
            reconsume_times: self.reconsume_times,
            prepared_transaction_offset: self.prepared_transaction_offset,
            properties: Properties::from(self.properties_text()),
            body: self.buffer.slice_ref(self.body),
        }
    }

    /// Both texts of the properties as one.
    fn properties_text(&self) -> String {
        let [given, added] = self.properties;
        let end = self.ends_given().then_some(char::from(VALUE_END));
        given.chars().chain(end).chain(added.chars()).collect()
    }

    /// Whether something has to end the last value of the given properties.
    pub(crate) fn ends_given(&self) -> bool {
        let [given, added] = self.properties;
        let open = given
            .as_bytes()
            .last()
            .is_some_and(|last| *last != VALUE_END);
        open && !added.is_empty()
    }
}

impl StoredMessage {
    /// The id by which the broker that stored the message finds it again.
    pub fn message_id(&self) -> MessageId {
        MessageId {
            store_host: self.store_host,
            log_offset: self.log_offset,
        }
    }
}
