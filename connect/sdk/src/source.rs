//! The side that brings records in.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Error, Positions, Records};

/// A piece of the outside that should have been a record and cannot be read as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poisoned {
    /// The bytes as they were found.
    pub original: Bytes,
    /// Where they were found, in words: `flights.csv line 17`.
    pub place: String,
    /// Why they are no record, one sentence.
    pub why: String,
}

/// What one [`Source::poll`] found.
#[derive(Clone, Debug)]
pub struct SourceBatch {
    /// The readable records, in the order of the outside.
    pub records: Records,
    /// What could not be read, in the same order.
    pub poisoned: Vec<Poisoned>,
    /// Where reading goes on once all of the above is stored. Holds the partitions that moved.
    pub positions: Positions,
    /// A transaction of the outside ends here: everything since the last boundary belongs
    /// together.
    pub boundary: bool,
}

/// One part of the outside, being read.
#[async_trait]
pub trait Source: Send {
    /// Waits for the next batch; `None` means that a bounded source has ended.
    ///
    /// Cancel-safe: dropped at any await, it has not lost a record.
    async fn poll(&mut self) -> Result<Option<SourceBatch>, Error>;

    /// The broker holds everything up to `positions`; the outside may forget it. This may come
    /// late or not at all, but never early.
    async fn acknowledge(&mut self, positions: &Positions) -> Result<(), Error> {
        let _ = positions;
        Ok(())
    }
}
