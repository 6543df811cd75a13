//! Why a batch, or some rows of it, have no result.

use std::time::Duration;

/// One row a function could not answer, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Counts from 0 within the batch of the call.
    pub row: usize,
    pub why: String,
}

/// What came of a call instead of a column.
///
/// After `Rows` and after a `Trap` with rows, the batch without those rows may be
/// tried again. The function stays usable after every variant but `Stopped`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The function refused these rows, in ascending order, and no others.
    #[error("the function failed for {} rows; row {}: {}", .0.len(), .0[0].row, .0[0].why)]
    Rows(Vec<RowError>),
    /// The function, or the host before it, refused the batch as a whole.
    #[error("the function failed: {0}")]
    Batch(String),
    /// The function broke off. `rows` trap when evaluated alone, in ascending order: at most
    /// 64, and those found before the deadline. Empty if no single row traps.
    #[error("the function trapped: {why}{}", rows_named(.rows))]
    Trap { why: String, rows: Vec<usize> },
    #[error("the function was stopped after {} ms, its deadline", .limit.as_millis())]
    Deadline { limit: Duration },
    #[error("the function asked for more memory than its limit of {limit_bytes} bytes")]
    Memory { limit_bytes: usize },
    /// What the function handed over is not what it promised.
    #[error("the function returned something unusable: {0}")]
    BadOutput(String),
    #[error("functions no longer run: the process is stopping")]
    Stopped,
}

fn rows_named(rows: &[usize]) -> String {
    match rows {
        [] => String::new(),
        [row] => format!(" (row {row})"),
        [first, ..] => format!(" ({} rows, the first is row {first})", rows.len()),
    }
}
