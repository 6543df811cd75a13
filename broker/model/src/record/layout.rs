//! Where each field of a record is.
//!
//! ```text
//!  0 size      4 magic     8 body crc  12 queue    16 flag     20 queue offset
//! 28 log offset           36 sys flag  40 born     48 born host (8, or 20 with IPv6)
//!  … stored   … store host … reconsume times … prepared offset … body length, body,
//!    topic length (1 byte in v1, 2 in v2), topic, properties length (2), properties
//! ```

use std::net::{IpAddr, SocketAddr};

/// How long a topic's length field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// One byte: topics of up to 127 bytes. Every client reads it.
    V1,
    /// Two bytes.
    V2,
}

/// Magic of the filler that ends a segment.
pub const BLANK_MAGIC: u32 = 0xCBD4_3194;
/// Bytes of a filler that mean something.
pub const BLANK_BYTES: usize = 8;
/// Where a record keeps its offset in the queue.
pub const QUEUE_OFFSET_AT: usize = 20;
/// Bytes of a record without topic, properties and body.
pub const SMALLEST_RECORD: usize = 91;
/// Bytes a record can have beyond its body.
pub const LARGEST_RECORD_OVERHEAD: usize =
    SMALLEST_RECORD + 2 * 12 + 1 + LONGEST_TOPIC + crate::properties::TEXT_LIMIT;

pub(super) const MAGIC_V1: u32 = 0xDAA3_20A7;
pub(super) const MAGIC_V2: u32 = 0xDAA3_20AB;
pub(super) const LOG_OFFSET_AT: usize = 28;
pub(super) const BORN_HOST_AT: usize = 48;
pub(super) const LONGEST_TOPIC: usize = 255;
/// Bytes in front of a body, with two IPv6 addresses.
pub(super) const LONGEST_HEAD: usize = 112;
pub(super) const LONGEST_V1_TOPIC: usize = 127;
/// RocketMQ keeps checksums in 31 bits.
pub(super) const CRC_MASK: u32 = 0x7FFF_FFFF;

impl Version {
    pub(super) fn of_topic(topic: &str) -> Self {
        if topic.len() > LONGEST_V1_TOPIC {
            Self::V2
        } else {
            Self::V1
        }
    }

    pub(super) fn of_magic(magic: u32) -> Option<Self> {
        match magic {
            MAGIC_V1 => Some(Self::V1),
            MAGIC_V2 => Some(Self::V2),
            _ => None,
        }
    }

    pub(super) fn magic(self) -> u32 {
        match self {
            Self::V1 => MAGIC_V1,
            Self::V2 => MAGIC_V2,
        }
    }

    pub(super) fn topic_length_bytes(self) -> usize {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

pub(super) fn host_bytes(host: SocketAddr) -> usize {
    match host.ip() {
        IpAddr::V4(_) => 8,
        IpAddr::V6(_) => 20,
    }
}

/// Where the store timestamp is, behind the born host.
pub(super) fn stored_at(born_host: SocketAddr) -> usize {
    BORN_HOST_AT + host_bytes(born_host)
}

/// Bytes in front of the body.
pub(super) fn head_bytes(born_host: SocketAddr, store_host: SocketAddr) -> usize {
    stored_at(born_host) + 8 + host_bytes(store_host) + 4 + 8 + 4
}
