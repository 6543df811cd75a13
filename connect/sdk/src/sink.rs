//! The side that carries records out.

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;

use crate::{Error, Positions, Records};

/// Consecutive records of one queue, with where they stood.
#[derive(Clone, Debug)]
pub struct SinkBatch {
    /// The topic they come from.
    pub topic: String,
    /// The queue of that topic.
    pub queue: u32,
    /// The records. Some offsets between may be missing: they were dead-lettered on the way.
    pub records: Records,
    /// The queue offset of each record, rising.
    pub offsets: Vec<u64>,
    /// The queue offset at which the range of this batch begins.
    pub first: u64,
    /// The queue offset to go on from after this batch.
    pub next: u64,
}

/// A record the target does not want, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the batch.
    pub row: usize,
    /// One sentence, in the target's words.
    pub why: String,
}

/// The shape of records a sink can work with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Rows. The schema, if the target itself knows one; else the configuration must say it.
    Columns(Option<SchemaRef>),
    /// Either, as configured: rows where a schema is given, bytes otherwise.
    Any,
}

/// One part of the outside, being written.
///
/// A batch is lost or delivered as the last `flush` says: what was written after it is pulled
/// and written again when the task starts anew.
#[async_trait]
pub trait Sink: Send {
    /// The shape of records to hand to [`Sink::write`].
    fn takes(&self) -> Takes {
        Takes::Any
    }

    /// Takes records and promises nothing yet. Those the target refuses come back one by one;
    /// all the others are taken.
    async fn write(&mut self, batch: SinkBatch) -> Result<Vec<Refused>, Error>;

    /// Returns once everything written is durable outside, and names the positions that may be
    /// committed.
    async fn flush(&mut self) -> Result<Positions, Error>;

    /// The positions the target itself keeps, if it does. They win over the group's.
    async fn position(&mut self) -> Result<Option<Positions>, Error> {
        Ok(None)
    }
}

/// What a [`TwoPhaseSink`] has prepared, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(pub String);

/// A sink whose target can hold a write back until it is told to let it appear.
#[async_trait]
pub trait TwoPhaseSink: Sink {
    /// Makes everything written durable but invisible.
    async fn prepare(&mut self) -> Result<Token, Error>;

    /// Lets what was prepared appear. Saying it twice is the same as once.
    async fn commit(&mut self, token: Token) -> Result<(), Error>;

    /// After a restart: lets these appear and drops every other preparation of this task.
    async fn recover(&mut self, committed: &[Token]) -> Result<(), Error>;
}
