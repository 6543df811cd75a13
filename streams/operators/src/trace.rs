//! Where rows came from: followed back through operators that neither merge nor keep rows.

use crate::RowMap;
use arrow::array::{Array, Int64Array};
use dataflow::NodeId;
use std::collections::BTreeMap;

/// The rows of a source behind some rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceRows {
    /// Row i is row i of this source's batch.
    Same(NodeId),
    /// Row i is this row of this source's batch.
    Rows(Vec<(NodeId, u32)>),
    /// They were made of many rows.
    Unknown,
}

/// What is known of one node's output in the running epoch.
pub(crate) struct Trace {
    pub(crate) inputs: Vec<usize>,
    pub(crate) map: RowMap,
    pub(crate) rows: usize,
    /// Event time of each row, ms since 1970, of a node that declares it.
    pub(crate) times: Option<Int64Array>,
}

/// Rows of a node's output, as rows of the sources behind it. `None` if nobody can tell.
pub(crate) fn back_to_sources(
    traces: &[Trace],
    node: usize,
    rows: Vec<u32>,
) -> Option<Vec<(NodeId, u32)>> {
    follow(traces, node, rows, |_| false)
}

/// Event times of rows of a node's output, as declared on their way, ms since 1970; of a row
/// without one `None`. `None` altogether if nobody can tell.
pub(crate) fn event_times(
    traces: &[Trace],
    node: usize,
    rows: Vec<u32>,
) -> Option<Vec<Option<i64>>> {
    let declared = follow(traces, node, rows, |trace| trace.times.is_some())?;
    let time = |(node, row): (NodeId, u32)| {
        let times = traces[node.0].times.as_ref()?;
        let row = row as usize;
        Some(times.is_valid(row).then(|| times.value(row)))
    };
    declared.into_iter().map(time).collect()
}

/// Rows of a node's output, as rows of the first nodes behind it where this ends, at sources at
/// the latest.
fn follow(
    traces: &[Trace],
    node: usize,
    rows: Vec<u32>,
    ends: fn(&Trace) -> bool,
) -> Option<Vec<(NodeId, u32)>> {
    let trace = &traces[node];
    if trace.inputs.is_empty() || ends(trace) {
        return Some(rows.into_iter().map(|row| (NodeId(node), row)).collect());
    }
    let rows = match &trace.map {
        RowMap::Unknown => return None,
        RowMap::Same if trace.inputs.len() > 1 => return unstack(traces, trace, rows, ends),
        RowMap::Same => rows,
        RowMap::Kept(mask) => {
            let kept: Vec<u32> = mask.values().set_indices_u32().collect();
            rows.into_iter().map(|row| kept[row as usize]).collect()
        }
        RowMap::Taken(positions) => rows
            .into_iter()
            .map(|row| positions.value(row as usize))
            .collect(),
    };
    follow(traces, trace.inputs[0], rows, ends)
}

/// Rows of several inputs that were put one after the other.
fn unstack(
    traces: &[Trace],
    trace: &Trace,
    rows: Vec<u32>,
    ends: fn(&Trace) -> bool,
) -> Option<Vec<(NodeId, u32)>> {
    let mut by_input: BTreeMap<usize, Vec<(usize, u32)>> = BTreeMap::new();
    for (position, row) in rows.iter().enumerate() {
        let mut row = *row as usize;
        let mut input = 0;
        while row >= traces[trace.inputs[input]].rows {
            row -= traces[trace.inputs[input]].rows;
            input += 1;
        }
        by_input
            .entry(input)
            .or_default()
            .push((position, row as u32));
    }
    let mut found = vec![(NodeId(0), 0); rows.len()];
    for (input, rows) in by_input {
        let (positions, rows): (Vec<usize>, Vec<u32>) = rows.into_iter().unzip();
        for (position, source) in
            positions
                .into_iter()
                .zip(follow(traces, trace.inputs[input], rows, ends)?)
        {
            found[position] = source;
        }
    }
    Some(found)
}

/// All rows of a node's output, as rows of the sources behind it.
pub(crate) fn source_rows(traces: &[Trace], node: usize) -> SourceRows {
    let mut at = node;
    while let ([input], RowMap::Same) = (&traces[at].inputs[..], &traces[at].map) {
        at = *input;
    }
    if traces[at].inputs.is_empty() {
        return SourceRows::Same(NodeId(at));
    }
    let rows = 0..u32::try_from(traces[at].rows).expect("a batch has fewer than 2^32 rows");
    back_to_sources(traces, at, rows.collect()).map_or(SourceRows::Unknown, SourceRows::Rows)
}
