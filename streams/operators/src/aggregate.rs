//! Grouped aggregation of rows that are never withdrawn: any aggregate function, one row of
//! partial state per group.
//!
//! Each epoch's rows are folded over the stored states of the groups they touch, and no other
//! group is read. State leaves a group when its window closes.

use crate::{
    Error, Functions, Operator, Output, RowMap, Step,
    accumulators::{Arguments, Function},
    emission::{Emission, Results},
    groups::{Grouped, Groups, is_window_end},
    late::Punctual,
};
use arrow::{
    array::{ArrayRef, BooleanArray, UInt32Array},
    compute::take,
    datatypes::{Field, Schema},
};
use bytes::Bytes;
use dataflow::{Aggregate, Delta, Emit, Node};
use state::{RowCodec, State, TableId};

/// The first, and for most aggregates only, table of an aggregation.
pub(crate) const GROUPS_TABLE: u8 = 0;

pub(crate) struct AppendOnlyAggregate {
    operator: String,
    groups: Groups,
    functions: Vec<Function>,
    states: RowCodec,
    table: TableId,
    emit: Emit,
    emission: Emission,
}

impl AppendOnlyAggregate {
    pub(crate) fn new(
        aggregate: &Aggregate,
        node: &Node,
        input: &Schema,
        functions: &Functions,
        state: &mut State,
    ) -> Result<Self, Error> {
        let groups = groups_of(aggregate, node, input)?;
        let compile = |call| Function::new(call, input, functions);
        let functions = aggregate
            .aggregates
            .iter()
            .map(compile)
            .collect::<Result<Vec<_>, _>>()?;
        let state_fields: Vec<Field> = functions
            .iter()
            .flat_map(|function| function.state_fields().iter().cloned())
            .collect();
        let table = state.table(
            &node.operator,
            GROUPS_TABLE,
            &groups.stored_fields(),
            &state_fields,
        )?;
        Ok(Self {
            operator: node.kind.name().to_owned(),
            groups,
            functions,
            states: RowCodec::of(&state_fields)?,
            table,
            emit: aggregate.emit,
            emission: Emission::new(&node.schema, aggregate.keys.len())?,
        })
    }

    /// Folds new rows into the state and returns what changed, if changes are asked for.
    fn fold(&mut self, input: &Delta, state: &mut State) -> Result<Delta, Error> {
        let arguments = self
            .functions
            .iter()
            .map(|function| function.arguments(input.batch()));
        let mut arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let mut grouped = self.groups.group(input.batch())?;
        if let Some(repeats) = repeats(&self.operator, input)? {
            repeat(&mut grouped, &mut arguments, &repeats)?;
        }
        let stored = state.get_many(self.table, grouped.rows.iter())?;
        let present: Vec<usize> = (0..grouped.count)
            .filter(|group| stored[*group].is_some())
            .collect();
        let old_states = self
            .states
            .decode(stored.iter().flatten().map(|row| &row[..]))?;
        let mut new_states = Vec::with_capacity(old_states.len());
        let mut from = 0;
        for (function, arguments) in self.functions.iter().zip(&arguments) {
            let old = &old_states[from..from + function.state_fields().len()];
            from += old.len();
            new_states.extend(function.fold(
                (old, &present),
                (arguments, &grouped.groups),
                grouped.count,
            )?);
        }
        let rows = self.states.encode(&new_states, grouped.count)?;
        for (key, row) in grouped.rows.iter().zip(rows.iter()) {
            state.put(self.table, key, row);
        }
        if let Emit::OnWindowClose { .. } = self.emit {
            return Ok(self.emission.nothing());
        }
        let old = self.results(
            present.iter().map(|group| *group as u32).collect(),
            &old_states,
        )?;
        let new = self.results((0..grouped.count as u32).collect(), &new_states)?;
        self.emission.changes(&grouped.keys, &old, &new)
    }

    fn results(&self, groups: Vec<u32>, states: &[ArrayRef]) -> Result<Results, Error> {
        let mut columns = Vec::with_capacity(self.functions.len());
        let mut from = 0;
        for function in &self.functions {
            let own = &states[from..from + function.state_fields().len()];
            from += own.len();
            columns.push(function.results(own, groups.len())?);
        }
        Ok(Results { groups, columns })
    }

    /// The final rows of groups whose window closed.
    fn close(&self, closed: &[(Bytes, Bytes)]) -> Result<Delta, Error> {
        let keys = self.groups.keys(closed.iter().map(|(key, _)| &key[..]))?;
        let states = self.states.decode(closed.iter().map(|(_, row)| &row[..]))?;
        let results = self.results((0..closed.len() as u32).collect(), &states)?;
        self.emission.inserts(&keys, &results)
    }
}

impl Operator for AppendOnlyAggregate {
    fn step(&mut self, inputs: &[&Delta], step: &mut Step<'_>) -> Result<Output, Error> {
        let punctual = Punctual::split(inputs[0], self.groups.window_end_column(), step.before)?;
        let mut delta = self.emission.nothing();
        if !punctual.delta.is_empty() {
            delta = self
                .fold(&punctual.delta, step.state)
                .map_err(|error| punctual.of_input(error))?;
        }
        if let Some(range) = self.groups.closed(step.before, step.now)? {
            let closed = step.state.take(self.table, &range)?;
            if matches!(self.emit, Emit::OnWindowClose { .. }) && !closed.is_empty() {
                delta = self.close(&closed)?;
            }
        }
        Ok(Output {
            late: punctual.late,
            ..Output::mapped(delta, RowMap::Unknown)
        })
    }
}

/// How an aggregation's groups are keyed, with its window's end checked.
pub(crate) fn groups_of(
    aggregate: &Aggregate,
    node: &Node,
    input: &Schema,
) -> Result<Groups, Error> {
    let window_end = match aggregate.emit {
        Emit::Changes { window_end_key } => window_end_key,
        Emit::OnWindowClose { window_end_key } => Some(window_end_key),
    };
    if let Some(key) = window_end {
        let data_type = input.field(aggregate.keys[key]).data_type();
        if !is_window_end(data_type) {
            return Err(Error::Node {
                node: node.id.0,
                why: format!("{data_type} cannot be the end of a window"),
            });
        }
    }
    Groups::new(&aggregate.keys, window_end, input)
}

/// Per row how often it occurs, if any does not occur just once.
fn repeats(operator: &str, input: &Delta) -> Result<Option<UInt32Array>, Error> {
    let Some(weights) = input.weights() else {
        return Ok(None);
    };
    if weights.values().iter().all(|weight| *weight == 1) {
        return Ok(None);
    }
    let mut positions = Vec::with_capacity(weights.len());
    for (row, weight) in weights.values().iter().enumerate() {
        let withdrawn = || Error::Withdrawal {
            operator: operator.to_owned(),
        };
        let times = usize::try_from(*weight)
            .ok()
            .filter(|times| *times > 0)
            .ok_or_else(withdrawn)?;
        positions.extend(std::iter::repeat_n(row as u32, times));
    }
    Ok(Some(UInt32Array::from(positions)))
}

fn repeat(
    grouped: &mut Grouped,
    arguments: &mut [Arguments],
    repeats: &UInt32Array,
) -> Result<(), Error> {
    grouped.groups = repeats
        .values()
        .iter()
        .map(|row| grouped.groups[*row as usize])
        .collect();
    for arguments in arguments {
        for column in &mut arguments.columns {
            *column = take(column, repeats, None)?;
        }
        if let Some(filter) = &mut arguments.filter {
            *filter = repeats
                .values()
                .iter()
                .map(|row| Some(filter.value(*row as usize)))
                .collect::<BooleanArray>();
        }
    }
    Ok(())
}
