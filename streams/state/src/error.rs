//! What can go wrong between a job and its state.

use arrow::error::ArrowError;

/// Why state could not be read, written or opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the state store failed while {doing}")]
    Store {
        doing: &'static str,
        source: Box<fjall::Error>,
    },
    #[error("the state holds a corrupt {what}: {why}")]
    Corrupt { what: &'static str, why: String },
    #[error("state of operator {operator} was written as {stored}, the job now asks for {asked}")]
    Schema {
        operator: String,
        stored: String,
        asked: String,
    },
    #[error("two operators of the job claim the same state, {operator}")]
    Shared { operator: String },
    #[error("epoch {committed} is committed, epoch {asked} cannot follow it")]
    EpochOrder { committed: u64, asked: u64 },
    #[error("columns and rows of state could not be converted: {0}")]
    Rows(#[from] ArrowError),
    /// An earlier commit may or may not have happened. Only opening the state again tells.
    #[error("the state store is closed after a failed commit")]
    Closed,
}
