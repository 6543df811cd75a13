//! Where a message is, and when it was: offsets, queue ids, timestamps.

use std::fmt;

use crate::Topic;

/// Byte position in the commit log. Counts bytes, never messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogOffset(pub u64);

/// Position in one queue. Counts messages, never bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueOffset(pub u64);

/// Milliseconds since 1970-01-01 UTC, as the wire and the log carry time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// One queue of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId {
    pub topic: Topic,
    pub number: u32,
}

impl QueueId {
    pub fn new(topic: Topic, number: u32) -> Self {
        Self { topic, number }
    }
}

impl LogOffset {
    /// The position `bytes` further on, or the last there is.
    pub fn plus(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }
}

impl QueueOffset {
    /// The position `messages` further on, or the last there is.
    pub fn plus(self, messages: u64) -> Self {
        Self(self.0.saturating_add(messages))
    }
}

impl fmt::Display for LogOffset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Display for QueueOffset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// Written as `topic:number`.
impl fmt::Display for QueueId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.topic, self.number)
    }
}
