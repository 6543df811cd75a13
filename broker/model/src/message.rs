//! A message, before and after it is stored.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;

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
