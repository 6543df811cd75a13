//! Why the store could not do what it was asked.

use std::io;
use std::path::PathBuf;

use model::{LogOffset, RecordError, Topic};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory holds something a start must not touch before a person has looked.
    #[error(
        "the store at {path} cannot be opened: {why}; to mend it:  millstream store repair {path}"
    )]
    Refused { path: PathBuf, why: String },
    #[error("{path} is not the directory of a store: it has no commitlog")]
    NoStore { path: PathBuf },
    /// Another process has the store open.
    #[error("the store at {path} is in use by another process")]
    InUse { path: PathBuf },
    /// No room for another segment. Reads go on; appends go on once there is room.
    #[error("the disk is full: {available} of {total} bytes are free, {needed} are needed")]
    DiskFull {
        needed: u64,
        available: u64,
        total: u64,
    },
    /// The record, or the group of records, does not fit into one segment.
    #[error("{size} bytes do not fit into a segment, the limit is {limit}")]
    TooLarge { size: u64, limit: u64 },
    #[error("nobody but the store writes to {topic}")]
    Reserved { topic: Topic },
    #[error("the record cannot be written: {0}")]
    Record(#[from] RecordError),
    /// What is stored there is not the record that was written.
    #[error("the record at {at} is corrupt: {why}")]
    Corrupt { at: LogOffset, why: String },
    /// The queue index is a cache of the log: a restart rebuilds it.
    #[error("the queue index is damaged at {position}; it is rebuilt at the next start")]
    Index { position: u64 },
    #[error("no record begins at {at}; the log holds {min} to {end}")]
    NoSuchRecord {
        at: LogOffset,
        min: LogOffset,
        end: LogOffset,
    },
    #[error("the disk failed while {doing}: {source}")]
    Disk {
        doing: &'static str,
        source: io::Error,
    },
    /// A flush or a repair failed earlier: what the disk holds is unknown until a restart has
    /// checked it.
    #[error("the store takes no more writes: {why}")]
    ReadOnly { why: String },
    #[error("the store is closed")]
    Closed,
}

impl Error {
    pub(crate) fn disk(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { doing, source }
    }

    /// The same answer for another one whom the failure concerns.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Disk { doing, source } => Self::Disk {
                doing,
                source: io::Error::new(source.kind(), source.to_string()),
            },
            Self::DiskFull {
                needed,
                available,
                total,
            } => Self::DiskFull {
                needed: *needed,
                available: *available,
                total: *total,
            },
            Self::ReadOnly { why } => Self::ReadOnly { why: why.clone() },
            Self::Closed => Self::Closed,
            other => Self::ReadOnly {
                why: other.to_string(),
            },
        }
    }
}
