//! Why a job stopped.

use runtime::TaskError;

/// An error of somebody else's making.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a job could not start, or had to stop. What is committed stays; starting the job again
/// goes on behind it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("record {offset} of {queue}, read by {table}, cannot be decoded: {why}")]
    Undecodable {
        table: String,
        queue: String,
        offset: i64,
        why: String,
    },
    #[error("{rows} rows came too late for {operator}, the first ({row}): {why}")]
    Late {
        operator: String,
        rows: usize,
        /// Where the record stands, or the row itself.
        row: String,
        why: String,
    },
    #[error("{rows} rows of {table} have no result, the first (record {offset} of {queue}): {why}")]
    Function {
        table: String,
        queue: String,
        offset: i64,
        rows: usize,
        why: String,
    },
    #[error("source {table} failed")]
    Source { table: String, source: BoxError },
    #[error("sink {table} failed")]
    Sink { table: String, source: BoxError },
    #[error("a record of {bytes} bytes is too large: at most {limit} can be published")]
    RecordTooLarge { bytes: usize, limit: usize },
    #[error("epoch {epoch} could not be published")]
    Publish { epoch: u64, source: BoxError },
    #[error("the job was drained: its windows are closed, and every row would be late")]
    Drained,
    /// Somebody started this job again, elsewhere or since.
    #[error("another run of this job has taken over")]
    Fenced,
    #[error(transparent)]
    Operators(#[from] operators::Error),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error("a dead letter could not be written: {0}")]
    Letter(#[from] format::Error),
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error("the outbox holds a corrupt entry: {0}")]
    Outbox(&'static str),
}
