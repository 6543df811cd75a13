//! Grouped aggregation of rows that may be withdrawn.
//!
//! A group's row holds how many rows it stands for and the state of each function. The group is
//! there as long as that number is above zero; at zero it is dropped with all it knows.

use crate::{
    Error, Functions, Operator, Output, RowMap, Step,
    accumulators::Function,
    additive::{Additive, Weighted},
    aggregate::{GROUPS_TABLE, groups_of},
    emission::{Emission, Results},
    groups::Groups,
    late::Punctual,
    multiset::Multiset,
};
use arrow::{
    array::{ArrayRef, AsArray, Int64Array, UInt32Array},
    compute::take,
    datatypes::{DataType, Field, Int64Type, Schema},
};
use bytes::Bytes;
use dataflow::{Aggregate, Delta, Emit, Node};
use state::{RowCodec, State, TableId};
use std::sync::Arc;

pub(crate) struct RetractingAggregate {
    groups: Groups,
    functions: Vec<(Function, Kernel)>,
    states: RowCodec,
    table: TableId,
    emit: Emit,
    emission: Emission,
}

enum Kernel {
    Additive(Additive),
    Multiset(Multiset),
}

impl Kernel {
    fn state_fields(&self) -> Vec<Field> {
        match self {
            Self::Additive(additive) => additive.state_fields(),
            Self::Multiset(multiset) => vec![multiset.state_field()],
        }
    }
}

impl RetractingAggregate {
    pub(crate) fn new(
        aggregate: &Aggregate,
        node: &Node,
        input: &Schema,
        functions: &Functions,
        state: &mut State,
    ) -> Result<Self, Error> {
        let groups = groups_of(aggregate, node, input)?;
        let keys = groups.stored_fields();
        let mut compiled = Vec::with_capacity(aggregate.aggregates.len());
        let mut state_fields = vec![Field::new("rows", DataType::Int64, false)];
        for (position, call) in aggregate.aggregates.iter().enumerate() {
            let function = Function::new(call, input, functions)?;
            let name = (call.function.as_str(), call.distinct);
            let kernel = match Additive::of(name.0, name.1, &function.argument_types()) {
                Some(additive) => Kernel::Additive(additive),
                None => {
                    let too_many = |_| Error::Node {
                        node: node.id.0,
                        why: "it has too many aggregates".to_owned(),
                    };
                    let part = GROUPS_TABLE + 1 + u8::try_from(position).map_err(too_many)?;
                    Kernel::Multiset(Multiset::new(
                        name,
                        &function,
                        &node.operator,
                        part,
                        &keys,
                        state,
                    )?)
                }
            };
            state_fields.extend(kernel.state_fields());
            compiled.push((function, kernel));
        }
        let table = state.table(&node.operator, GROUPS_TABLE, &keys, &state_fields)?;
        Ok(Self {
            groups,
            functions: compiled,
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
            .map(|(function, _)| function.arguments(input.batch()));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let grouped = self.groups.group(input.batch())?;
        let ones;
        let weights: &[i64] = match input.weights() {
            Some(weights) => weights.values(),
            None => {
                ones = vec![1; input.rows()];
                &ones
            }
        };
        let rows = Weighted {
            groups: &grouped.groups,
            weights,
        };

        let stored = state.get_many(self.table, grouped.rows.iter())?;
        let known = self
            .states
            .decode(stored.iter().flatten().map(|row| &row[..]))?;
        let mut next = 0..;
        let places: UInt32Array = stored
            .iter()
            .map(|row| row.as_ref().and_then(|_| next.next()))
            .collect();
        let old = known
            .iter()
            .map(|column| take(column, &places, None))
            .collect::<Result<Vec<_>, _>>()?;

        let mut new: Vec<ArrayRef> = vec![totals(&old[0], &rows)];
        let mut from = 1;
        for ((function, kernel), arguments) in self.functions.iter_mut().zip(&arguments) {
            let width = kernel.state_fields().len();
            let own = &old[from..from + width];
            from += width;
            match kernel {
                Kernel::Additive(additive) => new.extend(additive.fold(own, arguments, &rows)?),
                Kernel::Multiset(multiset) => {
                    new.push(multiset.fold(function, &own[0], arguments, &grouped, &rows, state)?);
                }
            }
        }
        let totals = new[0].as_primitive::<Int64Type>();
        let encoded = self.states.encode(&new, grouped.count)?;
        for (group, key) in grouped.rows.iter().enumerate() {
            match totals.value(group) {
                0 => state.delete(self.table, key),
                _ => state.put(self.table, key, encoded.row(group)),
            }
        }
        if let Emit::OnWindowClose { .. } = self.emit {
            return Ok(self.emission.nothing());
        }
        self.emission
            .changes(&grouped.keys, &self.results(&old)?, &self.results(&new)?)
    }

    /// The results of those groups that are there.
    fn results(&self, states: &[ArrayRef]) -> Result<Results, Error> {
        let totals = states[0].as_primitive::<Int64Type>();
        let there = |(group, total): (usize, Option<i64>)| {
            total.filter(|total| *total > 0).map(|_| group as u32)
        };
        let groups: Vec<u32> = totals.iter().enumerate().filter_map(there).collect();
        let positions = UInt32Array::from(groups.clone());
        let states = states
            .iter()
            .map(|column| take(column, &positions, None))
            .collect::<Result<Vec<_>, _>>()?;
        let mut columns = Vec::with_capacity(self.functions.len());
        let mut from = 1;
        for (function, kernel) in &self.functions {
            let own = &states[from..from + kernel.state_fields().len()];
            from += own.len();
            columns.push(match kernel {
                Kernel::Additive(additive) => additive.results(own, function)?,
                Kernel::Multiset(_) => Arc::clone(&own[0]),
            });
        }
        Ok(Results { groups, columns })
    }

    /// The final rows of groups whose window closed.
    fn close(&self, closed: &[(Bytes, Bytes)]) -> Result<Delta, Error> {
        let keys = self.groups.keys(closed.iter().map(|(key, _)| &key[..]))?;
        let states = self.states.decode(closed.iter().map(|(_, row)| &row[..]))?;
        self.emission.inserts(&keys, &self.results(&states)?)
    }
}

impl Operator for RetractingAggregate {
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
            for (_, kernel) in &self.functions {
                if let Kernel::Multiset(multiset) = kernel {
                    multiset.close(&range, step.state)?;
                }
            }
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

/// How many rows each group stands for now.
fn totals(old: &ArrayRef, rows: &Weighted<'_>) -> ArrayRef {
    let mut totals: Vec<i64> = old
        .as_primitive::<Int64Type>()
        .iter()
        .map(Option::unwrap_or_default)
        .collect();
    for (group, weight) in rows.groups.iter().zip(rows.weights) {
        totals[*group] = totals[*group].wrapping_add(*weight);
    }
    Arc::new(Int64Array::from(totals))
}
