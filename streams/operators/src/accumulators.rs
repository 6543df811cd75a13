//! Groups rows and evaluates aggregate functions. With `expressions`, the only place here that
//! knows DataFusion.
//!
//! The library's accumulators give up what they hold when asked for their state or result. So
//! none lives longer than one call here: state stands in rows, is merged into a fresh
//! accumulator, and is drawn out again.

use crate::{
    Error, Functions,
    expressions::{Evaluator, evaluate_all, failed},
};
use arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch},
    compute::{cast, concat},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use dataflow::AggregateCall;
use datafusion::{
    common::{DFSchema, DataFusionError},
    logical_expr::{EmitTo, GroupsAccumulator, physical_planning_context::PhysicalPlanningContext},
    physical_expr::{
        GroupsAccumulatorAdapter,
        aggregate::{AggregateFunctionExpr, LoweredAggregateBuilder},
    },
    physical_plan::aggregates::{
        group_values::{GroupValues, new_group_values},
        order::GroupOrdering,
    },
};
use std::sync::Arc;

/// Numbers the distinct keys of a batch from 0, in the order they first occur.
pub(crate) struct Interner {
    schema: SchemaRef,
    values: Box<dyn GroupValues>,
}

/// Rows by the number of their key.
pub(crate) struct Interned {
    /// Per row the number of its key.
    pub(crate) groups: Vec<usize>,
    /// The distinct keys.
    pub(crate) keys: Vec<ArrayRef>,
    pub(crate) count: usize,
}

impl Interner {
    /// For keys of these columns, of which there is at least one.
    pub(crate) fn new(schema: SchemaRef) -> Result<Self, Error> {
        let values = Self::values(&schema)?;
        Ok(Self { schema, values })
    }

    fn values(schema: &SchemaRef) -> Result<Box<dyn GroupValues>, Error> {
        new_group_values(schema.clone(), &GroupOrdering::None)
            .map_err(|error| failed("GROUP BY", &error))
    }

    pub(crate) fn intern(&mut self, columns: &[ArrayRef]) -> Result<Interned, Error> {
        if !self.values.is_empty() {
            // An earlier call failed half way.
            self.values = Self::values(&self.schema)?;
        }
        let mut groups = Vec::new();
        let interned = self.values.intern(columns, &mut groups).and_then(|()| {
            let count = self.values.len();
            let keys = self.values.emit(EmitTo::All)?;
            self.values.clear_shrink(columns[0].len());
            Ok((count, keys))
        });
        let (count, keys) = interned.map_err(|error| failed("GROUP BY", &error))?;
        let keys = keys
            .iter()
            .zip(self.schema.fields())
            .map(|(key, field)| as_type(key, field.data_type()));
        Ok(Interned {
            groups,
            keys: keys.collect::<Result<_, _>>()?,
            count,
        })
    }
}

/// An aggregate function with its arguments, ready to be applied to batches.
pub(crate) struct Function {
    sql: String,
    compiled: Arc<AggregateFunctionExpr>,
    arguments: Vec<Evaluator>,
    filter: Option<Evaluator>,
    state: Vec<Field>,
    output: DataType,
}

/// What a function is applied to: one element per row.
pub(crate) struct Arguments {
    pub(crate) columns: Vec<ArrayRef>,
    /// Rows that count. `None`: all of them.
    pub(crate) filter: Option<BooleanArray>,
}

impl Function {
    pub(crate) fn new(
        call: &AggregateCall,
        input: &Schema,
        functions: &Functions,
    ) -> Result<Self, Error> {
        let sql = call.sql().to_owned();
        let decoded = functions.decode(&call.expression)?;
        let lowered = DFSchema::try_from(input.clone()).and_then(|columns| {
            let context = PhysicalPlanningContext::default();
            LoweredAggregateBuilder::new(
                &decoded,
                &columns,
                input,
                &functions.properties(),
                &context,
            )
            .build()
        });
        let lowered = lowered.map_err(|error| failed(&sql, &error))?;
        let state = lowered
            .aggregate
            .state_fields()
            .map_err(|error| failed(&sql, &error))?;
        let compile = |argument| functions.compile(argument, input, None);
        let arguments = call
            .arguments
            .iter()
            .map(compile)
            .collect::<Result<Vec<_>, _>>()?;
        let boolean = |filter| functions.compile(filter, input, Some(&DataType::Boolean));
        Ok(Self {
            sql,
            compiled: lowered.aggregate,
            arguments,
            filter: call.filter.as_ref().map(boolean).transpose()?,
            state: state.iter().map(|field| field.as_ref().clone()).collect(),
            output: call.output.data_type().clone(),
        })
    }

    /// Columns of the partial state.
    pub(crate) fn state_fields(&self) -> &[Field] {
        &self.state
    }

    pub(crate) fn output(&self) -> &DataType {
        &self.output
    }

    pub(crate) fn argument_types(&self) -> Vec<DataType> {
        self.arguments
            .iter()
            .map(|argument| argument.data_type().clone())
            .collect()
    }

    /// Evaluates arguments and filter over the input.
    pub(crate) fn arguments(&self, batch: &RecordBatch) -> Result<Arguments, Error> {
        let columns = evaluate_all(&self.sql, &self.arguments, batch)?;
        let filter = self
            .filter
            .as_ref()
            .map(|filter| filter.evaluate_mask(batch))
            .transpose()?;
        Ok(Arguments { columns, filter })
    }

    /// Partial state of each of `count` groups: what is stored for some, then what is new. Every
    /// group has at least one new row.
    pub(crate) fn fold(
        &self,
        stored: (&[ArrayRef], &[usize]),
        new: (&Arguments, &[usize]),
        count: usize,
    ) -> Result<Vec<ArrayRef>, Error> {
        let (arguments, groups) = new;
        let fresh = self.drain(|accumulator| {
            accumulator.update_batch(&arguments.columns, groups, arguments.filter.as_ref(), count)
        })?;
        let (states, stored_groups) = stored;
        if stored_groups.is_empty() {
            return Ok(fresh);
        }
        // In one call: accumulators take a call without nulls to have shown them every group.
        let both = states
            .iter()
            .zip(&fresh)
            .map(|(stored, fresh)| concat(&[stored, fresh]));
        let both = both.collect::<Result<Vec<_>, _>>()?;
        let groups: Vec<usize> = stored_groups.iter().copied().chain(0..count).collect();
        self.drain(|accumulator| accumulator.merge_batch(&both, &groups, count))
    }

    fn drain(
        &self,
        fill: impl FnOnce(&mut dyn GroupsAccumulator) -> Result<(), DataFusionError>,
    ) -> Result<Vec<ArrayRef>, Error> {
        let state = self.accumulator().and_then(|mut accumulator| {
            fill(accumulator.as_mut())?;
            accumulator.state(EmitTo::All)
        });
        let state = state.map_err(|error| failed(&self.sql, &error))?;
        state
            .iter()
            .zip(&self.state)
            .map(|(column, field)| as_type(column, field.data_type()))
            .collect()
    }

    /// The result of each partial state.
    pub(crate) fn results(&self, states: &[ArrayRef], count: usize) -> Result<ArrayRef, Error> {
        let each: Vec<usize> = (0..count).collect();
        self.evaluate(|accumulator| accumulator.merge_batch(states, &each, count))
    }

    /// The result of each of `count` groups over these values alone. Every group has at least one
    /// value, if only one that the filter leaves out.
    pub(crate) fn results_of(
        &self,
        values: &Arguments,
        groups: &[usize],
        count: usize,
    ) -> Result<ArrayRef, Error> {
        self.evaluate(|accumulator| {
            accumulator.update_batch(&values.columns, groups, values.filter.as_ref(), count)
        })
    }

    fn evaluate(
        &self,
        fill: impl FnOnce(&mut dyn GroupsAccumulator) -> Result<(), DataFusionError>,
    ) -> Result<ArrayRef, Error> {
        let results = self.accumulator().and_then(|mut accumulator| {
            fill(accumulator.as_mut())?;
            accumulator.evaluate(EmitTo::All)
        });
        as_type(
            &results.map_err(|error| failed(&self.sql, &error))?,
            &self.output,
        )
    }

    fn accumulator(&self) -> Result<Box<dyn GroupsAccumulator>, DataFusionError> {
        if self.compiled.groups_accumulator_supported() {
            return self.compiled.create_groups_accumulator();
        }
        let compiled = Arc::clone(&self.compiled);
        Ok(Box::new(GroupsAccumulatorAdapter::new(move || {
            compiled.create_accumulator()
        })))
    }
}

fn as_type(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, Error> {
    if column.data_type() == data_type {
        Ok(Arc::clone(column))
    } else {
        Ok(cast(column, data_type)?)
    }
}
