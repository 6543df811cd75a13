//! Headers about positions in a queue.

use crate::ext_fields::FieldSink;
use crate::fields::{Field, headers};

/// Which neighbour a search by time means when no message has exactly that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boundary {
    /// The first message at or after the time.
    #[default]
    Lower,
    /// The last message at or before the time.
    Upper,
}

impl<'a> Field<'a> for Boundary {
    const EXPECTED: &'static str = "lower or upper";
    /// As in RocketMQ, whatever is not `upper` is lower.
    fn read(text: &'a str) -> Option<Self> {
        Some(if text.eq_ignore_ascii_case("upper") {
            Boundary::Upper
        } else {
            Boundary::Lower
        })
    }
    fn write(&self, name: &str, sink: &mut impl FieldSink) {
        let text = match self {
            Boundary::Lower => "LOWER",
            Boundary::Upper => "UPPER",
        };
        sink.put(name, text);
    }
}

headers! {
    /// Code 14.
    pub struct QueryConsumerOffset<'a> {
        group: &'a str = b"consumerGroup",
        topic: &'a str = b"topic",
        queue: i32 = b"queueId",
        zero_if_not_found: Option<bool> = b"setZeroIfNotFound",
        broker: Option<&'a str> = b"bname",
    }

    /// Code 15.
    pub struct UpdateConsumerOffset<'a> {
        group: &'a str = b"consumerGroup",
        topic: &'a str = b"topic",
        /// Missing is answered by code 29, so the handler must see it.
        queue: Option<i32> = b"queueId",
        /// Missing is answered by code 29, so the handler must see it.
        commit_offset: Option<i64> = b"commitOffset",
        broker: Option<&'a str> = b"bname",
    }

    /// Code 30.
    pub struct GetMaxOffset<'a> {
        topic: &'a str = b"topic",
        queue: i32 = b"queueId",
        committed: bool = b"committed" or true,
        broker: Option<&'a str> = b"bname",
    }

    /// Codes 31 and 32.
    pub struct QueueOfTopic<'a> {
        topic: &'a str = b"topic",
        queue: i32 = b"queueId",
        broker: Option<&'a str> = b"bname",
    }

    /// Code 29.
    pub struct SearchOffset<'a> {
        topic: &'a str = b"topic",
        queue: i32 = b"queueId",
        /// Store time, milliseconds since 1970.
        timestamp: i64 = b"timestamp",
        boundary: Boundary = b"boundaryType" or Boundary::Lower,
        broker: Option<&'a str> = b"bname",
    }

    /// Reply to 14, 29, 30 and 31.
    pub struct OffsetReply {
        offset: i64 = b"offset",
    }

    /// Reply to 32.
    pub struct StoreTimeReply {
        /// Milliseconds since 1970.
        timestamp: i64 = b"timestamp",
    }
}
