//! What can be wrong with a dataflow or a delta.

use arrow::error::ArrowError;

/// Why a dataflow could not be built, read back, or one of its deltas combined.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("node {node} of the dataflow is malformed: {why}")]
    Malformed { node: usize, why: String },
    #[error("the dataflow's text cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("{weights} weights do not fit {rows} rows")]
    Weights { rows: usize, weights: usize },
    #[error("a row's weight left the range of 64 bits")]
    WeightOverflow,
    #[error("columns could not be combined: {0}")]
    Columns(#[from] ArrowError),
}
