//! What is known about the rows that leave a node, and about the state it keeps.

use serde::{Deserialize, Serialize};

/// Inferred facts about a node's output and state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits {
    /// Every weight on this edge is +1: no row is ever withdrawn.
    pub append_only: bool,
    /// Output columns that identify a row at any moment, if any are known.
    pub unique_key: Option<Vec<usize>>,
    /// Output column that carries event time, if one does.
    pub event_time: Option<usize>,
    pub state_bound: StateBound,
}

/// What keeps a node's state from growing for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateBound {
    /// The node keeps nothing.
    Stateless,
    /// State is dropped once the watermark passes this output column.
    Watermark { column: usize },
    /// State untouched for so long is dropped.
    Ttl { milliseconds: u64 },
    /// As many entries as there are distinct values of what the text names.
    Keys { of: String },
    /// Nothing bounds it; the text says why.
    Unbounded { why: String },
}
