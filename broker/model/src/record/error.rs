//! Why bytes are not a record, or a message cannot become one.

use crate::NameError;

/// What is wrong with a record. Nothing in here came from a disk or a socket itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("the record needs {needed} bytes, {available} are left")]
    Truncated { needed: u64, available: u64 },
    #[error("{magic:#010x} is not the magic of a record")]
    NotARecord { magic: u32 },
    #[error("the record says it has {stated} bytes, its fields have {found}")]
    SizeMismatch { stated: u32, found: u64 },
    #[error("the record's {field} cannot be {value}")]
    ImpossibleField { field: &'static str, value: i64 },
    #[error("the topic is not UTF-8")]
    TopicNotUtf8,
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("the {part} has checksum {found:#010x}, {stated:#010x} was stored")]
    Checksum {
        part: &'static str,
        stated: u32,
        found: u32,
    },
    #[error("the record lacks the checksum of all of itself")]
    Unguarded,
    #[error("the {part} has {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        part: &'static str,
        bytes: u64,
        limit: u64,
    },
    #[error("a group record's body is damaged: {why}")]
    Group { why: &'static str },
}
