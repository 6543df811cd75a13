//! What can go wrong while a job steps.

use arrow::{array::RecordBatch, error::ArrowError};
use dataflow::NodeId;
use std::collections::BTreeMap;

/// One row of an operator's input for which an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    pub row: u32,
    pub why: String,
}

/// Why an operator could not be built, or an epoch not be stepped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Expressions failed for these rows alone. Without them the epoch can be stepped again.
    #[error("{} of {operator} for {} rows, the first: {}", "an expression failed", rows.len(), first(rows))]
    Rows {
        operator: String,
        rows: Vec<RowError>,
        /// The same rows as rows of the sources, where they came one to one.
        sources: BTreeMap<NodeId, Vec<RowError>>,
        /// The node, and the input that `rows` are of.
        input: Option<(NodeId, RecordBatch)>,
    },
    #[error("{sql}: {why}")]
    Expression { sql: String, why: String },
    #[error("looking up {table} failed")]
    Lookup {
        table: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{operator} was promised inserts alone and was sent a withdrawal")]
    Withdrawal { operator: String },
    #[error("node {node} of the job cannot run: {why}")]
    Node { node: usize, why: String },
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Dataflow(#[from] dataflow::Error),
    #[error("columns could not be combined: {0}")]
    Columns(#[from] ArrowError),
}

fn first(rows: &[RowError]) -> &str {
    rows.first().map_or("", |row| &row.why)
}

impl Error {
    /// Rows that failed, before anybody knows which rows of a source they came from.
    pub(crate) fn rows(operator: &str, rows: Vec<RowError>) -> Self {
        Self::Rows {
            operator: operator.to_owned(),
            rows,
            sources: BTreeMap::new(),
            input: None,
        }
    }
}
