//! Keeps the rows for which a condition is true.

use crate::{Error, Functions, Operator, Output, RowMap, Step, expressions::Evaluator};
use arrow::datatypes::{DataType, Schema};
use dataflow::{Delta, Expression};

pub(crate) struct Filter {
    condition: Evaluator,
}

impl Filter {
    pub(crate) fn new(
        condition: &Expression,
        input: &Schema,
        functions: &Functions,
    ) -> Result<Self, Error> {
        Ok(Self {
            condition: functions.compile(condition, input, Some(&DataType::Boolean))?,
        })
    }
}

impl Operator for Filter {
    fn step(&mut self, inputs: &[&Delta], _: &mut Step<'_>) -> Result<Output, Error> {
        let input = inputs[0];
        if input.is_empty() {
            return Ok(Output::same(input.clone()));
        }
        let mask = self.condition.evaluate_mask(input.batch())?;
        if mask.true_count() == mask.len() {
            return Ok(Output::same(input.clone()));
        }
        Ok(Output::mapped(input.filter(&mask)?, RowMap::Kept(mask)))
    }
}
