//! A running dataflow: one operator per node, stepped in order, once per epoch.

use crate::{
    Environment, Error, EventTimes, Omitted, Operator, Output, RowError, RowMap, RowTimes, Step,
    Watermark,
    build::operator,
    trace::{Trace, back_to_sources, event_times, source_rows},
};
use arrow::array::{BooleanArray, RecordBatch};
use dataflow::{Dataflow, Delta, NodeId, NodeKind};
use state::State;
use std::collections::BTreeMap;

/// The operators of a job. What they know stands in [`State`]; a graph may be dropped and built
/// again at any commit.
pub struct Graph {
    nodes: Vec<Running>,
    /// Behind each node's output, after the last step that succeeded.
    watermarks: Vec<Watermark>,
    /// The same before that step.
    before: Vec<Watermark>,
}

struct Running {
    operator: Option<Box<dyn Operator>>,
    /// Operator id, under which the watermark is kept.
    name: String,
    is_sink: bool,
    is_source: bool,
    schema: arrow::datatypes::SchemaRef,
    inputs: Vec<usize>,
}

/// What one epoch did.
#[derive(Debug, Default)]
pub struct Stepped {
    /// The change that arrived at each sink; sinks that saw none are left out.
    pub sinks: Vec<(NodeId, Delta)>,
    /// Rows that came too late for their window.
    pub late: Vec<Late>,
}

/// Rows of an operator's input that came too late for it.
#[derive(Debug)]
pub struct Late {
    pub node: NodeId,
    pub rows: RecordBatch,
    /// The same rows as rows of the sources, if they came one to one.
    pub sources: Option<Vec<(NodeId, u32)>>,
    /// Event time of each row, ms since 1970, `None` of one without; if it can be told.
    pub times: Option<Vec<Option<i64>>>,
    /// The watermark that had passed their window, ms since 1970.
    pub watermark: Option<i64>,
}

impl Graph {
    /// Builds a job's operators. `watermarks` are those that [`Graph::watermarks`] said before.
    pub fn build(
        dataflow: &Dataflow,
        watermarks: &BTreeMap<String, i64>,
        environment: &mut Environment<'_>,
    ) -> Result<Self, Error> {
        dataflow.check()?;
        let mut nodes = Vec::with_capacity(dataflow.nodes.len());
        let mut reached = Vec::with_capacity(dataflow.nodes.len());
        for node in &dataflow.nodes {
            let name = node.operator.to_string();
            reached.push(Watermark {
                at: watermarks.get(&name).copied(),
                idle: false,
            });
            nodes.push(Running {
                operator: operator(dataflow, node, environment)?,
                name,
                is_sink: matches!(node.kind, NodeKind::Sink(_)),
                is_source: matches!(node.kind, NodeKind::Source(_)),
                schema: node.schema.clone(),
                inputs: node.inputs.iter().map(|input| input.0).collect(),
            });
        }
        Ok(Self {
            nodes,
            before: reached.clone(),
            watermarks: reached,
        })
    }

    /// Steps every operator once. Sources without an entry bring nothing, and no operator sees
    /// its `omitted` rows.
    ///
    /// # Errors
    /// After an error the state must be rolled back; then the epoch may be stepped again.
    /// [`Error::Rows`] names the rows of the sources to leave out, where they can be told, else
    /// the rows to omit.
    pub fn step(
        &mut self,
        sources: &BTreeMap<NodeId, Delta>,
        omitted: &Omitted,
        state: &mut State,
        times: &mut dyn EventTimes,
    ) -> Result<Stepped, Error> {
        let mut stepped = Stepped::default();
        let mut outputs: Vec<Delta> = Vec::with_capacity(self.nodes.len());
        let mut traces: Vec<Trace> = Vec::with_capacity(self.nodes.len());
        let mut watermarks: Vec<Watermark> = Vec::with_capacity(self.nodes.len());
        for (position, node) in self.nodes.iter_mut().enumerate() {
            let inputs: Vec<&Delta> = node.inputs.iter().map(|input| &outputs[*input]).collect();
            let Some(operator) = &mut node.operator else {
                let delta = match inputs.first() {
                    Some(delta) => (*delta).clone(),
                    None => sources
                        .get(&NodeId(position))
                        .cloned()
                        .unwrap_or_else(|| Delta::empty(node.schema.clone())),
                };
                if node.is_sink && !delta.is_empty() {
                    stepped.sinks.push((NodeId(position), delta.clone()));
                }
                let behind = node
                    .inputs
                    .first()
                    .map_or(Watermark::NONE, |input| watermarks[*input]);
                traces.push(Trace {
                    inputs: node.inputs.clone(),
                    map: RowMap::Same,
                    rows: delta.rows(),
                    times: None,
                });
                watermarks.push(behind);
                outputs.push(delta);
                continue;
            };
            let before: Vec<Watermark> = node
                .inputs
                .iter()
                .map(|input| self.watermarks[*input])
                .collect();
            let now: Vec<Watermark> = node.inputs.iter().map(|input| watermarks[*input]).collect();
            let before = Watermark::of_inputs(&before).not_before(Watermark {
                idle: false,
                ..self.watermarks[position]
            });
            let now = Watermark::of_inputs(&now).not_before(before);
            let mask = inputs
                .first()
                .and_then(|input| omitted.mask(NodeId(position), input.rows()));
            let shown = match (&mask, &inputs[..]) {
                (Some(mask), [input]) => Some(input.filter(mask)?),
                _ => None,
            };
            let output = match &shown {
                Some(shown) => operator.step(&[shown], &mut Step { state, before, now }),
                None => operator.step(&inputs, &mut Step { state, before, now }),
            };
            let Output {
                delta,
                rows,
                late,
                times: declared,
            } = output.map_err(|error| match inputs[..] {
                [input] => {
                    let error = of_whole_input(error, mask.as_ref());
                    placed(error, &traces, (position, node.inputs[0]), input)
                }
                _ => error,
            })?;
            if let Some(late) = late.filter(|late| !late.numbers.is_empty()) {
                let numbers = of_whole(late.numbers, mask.as_ref());
                let from = node.inputs[0];
                stepped.late.push(Late {
                    node: NodeId(position),
                    rows: late.rows,
                    times: event_times(&traces, from, numbers.clone()),
                    sources: back_to_sources(&traces, from, numbers),
                    watermark: before.at,
                });
            }
            traces.push(Trace {
                inputs: node.inputs.clone(),
                map: if mask.is_some() {
                    RowMap::Unknown
                } else {
                    rows
                },
                rows: delta.rows(),
                times: declared.as_ref().map(|times| times.events.clone()),
            });
            watermarks.push(match declared {
                Some(RowTimes { watermarks, .. }) => {
                    let rows = source_rows(&traces, position);
                    times
                        .observe(NodeId(position), &rows, &watermarks)
                        .not_before(self.watermarks[position])
                }
                None => now,
            });
            outputs.push(delta);
        }
        self.before = std::mem::replace(&mut self.watermarks, watermarks);
        Ok(stepped)
    }

    /// Forgets the last step, as if it had not been taken. The state is rolled back by its owner.
    pub fn undo(&mut self) {
        self.watermarks.clone_from(&self.before);
    }

    /// How far event time has come at each operator, by operator id; to be committed with the epoch.
    pub fn watermarks(&self) -> BTreeMap<String, i64> {
        let reached = self.nodes.iter().zip(&self.watermarks);
        reached
            .filter_map(|(node, watermark)| Some((node.name.clone(), watermark.at?)))
            .collect()
    }

    /// The nodes that rows enter by.
    pub fn sources(&self) -> impl Iterator<Item = NodeId> {
        self.nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.is_source)
            .map(|(position, _)| NodeId(position))
    }
}

/// Numbers among the rows that an operator was shown as numbers in its whole input.
fn of_whole(mut numbers: Vec<u32>, mask: Option<&BooleanArray>) -> Vec<u32> {
    if let Some(mask) = mask {
        let shown: Vec<u32> = mask.values().set_indices_u32().collect();
        numbers
            .iter_mut()
            .for_each(|number| *number = shown[*number as usize]);
    }
    numbers
}

/// Makes an error about the rows that an operator was shown one about its whole input.
fn of_whole_input(error: Error, mask: Option<&BooleanArray>) -> Error {
    match (error, mask) {
        (
            Error::Rows {
                operator,
                mut rows,
                sources,
                input,
            },
            Some(mask),
        ) => {
            let numbers = rows.iter().map(|error| error.row).collect();
            let numbers = of_whole(numbers, Some(mask));
            rows.iter_mut()
                .zip(numbers)
                .for_each(|(error, number)| error.row = number);
            Error::Rows {
                operator,
                rows,
                sources,
                input,
            }
        }
        (error, _) => error,
    }
}

/// Adds to an error about rows of an operator's input what input that is, and which rows of
/// which source they were.
fn placed(error: Error, traces: &[Trace], (node, from): (usize, usize), input: &Delta) -> Error {
    let Error::Rows { operator, rows, .. } = error else {
        return error;
    };
    let mut sources: BTreeMap<NodeId, Vec<RowError>> = BTreeMap::new();
    let failed = rows.iter().map(|error| error.row).collect();
    if let Some(origins) = back_to_sources(traces, from, failed) {
        for ((source, row), error) in origins.into_iter().zip(&rows) {
            sources.entry(source).or_default().push(RowError {
                row,
                why: error.why.clone(),
            });
        }
    }
    Error::Rows {
        operator,
        rows,
        sources,
        input: Some((NodeId(node), input.batch().clone())),
    }
}
