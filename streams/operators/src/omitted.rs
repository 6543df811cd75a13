//! Rows that operators are not shown, because they had no result for them when the epoch was
//! stepped before.

use arrow::array::BooleanArray;
use dataflow::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Rows of operators' inputs, by their number there. They mean something only for the input
/// that they were found in: with other rows of a source, an operator's input is another.
#[derive(Clone, Debug, Default)]
pub struct Omitted(BTreeMap<NodeId, BTreeSet<u32>>);

impl Omitted {
    /// Leaves these rows of an operator's input out as well.
    pub fn add(&mut self, node: NodeId, rows: impl IntoIterator<Item = u32>) {
        self.0.entry(node).or_default().extend(rows);
    }

    /// Which of a node's rows are shown to it; `None` if all are.
    pub(crate) fn mask(&self, node: NodeId, rows: usize) -> Option<BooleanArray> {
        let omitted = self.0.get(&node)?;
        let shown = (0..rows).map(|row| Some(!omitted.contains(&(row as u32))));
        Some(shown.collect())
    }
}
