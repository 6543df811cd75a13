//! Computes new columns from the input's, row by row.

use crate::{
    Error, Functions, Operator, Output, Step,
    expressions::{Evaluator, evaluate_all},
};
use arrow::{
    array::{RecordBatch, RecordBatchOptions},
    datatypes::{Schema, SchemaRef},
};
use dataflow::{Delta, Expression};

pub(crate) struct Project {
    expressions: Vec<Evaluator>,
    schema: SchemaRef,
}

impl Project {
    pub(crate) fn new(
        expressions: &[Expression],
        input: &Schema,
        schema: &SchemaRef,
        functions: &Functions,
    ) -> Result<Self, Error> {
        let compiled = expressions
            .iter()
            .zip(schema.fields())
            .map(|(expression, field)| {
                functions.compile(expression, input, Some(field.data_type()))
            });
        Ok(Self {
            expressions: compiled.collect::<Result<_, _>>()?,
            schema: schema.clone(),
        })
    }
}

impl Operator for Project {
    fn step(&mut self, inputs: &[&Delta], _: &mut Step<'_>) -> Result<Output, Error> {
        let input = inputs[0];
        if input.is_empty() {
            return Ok(Output::same(Delta::empty(self.schema.clone())));
        }
        let columns = evaluate_all("project", &self.expressions, input.batch())?;
        let options = RecordBatchOptions::new().with_row_count(Some(input.rows()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(Output::same(input.with_batch(batch)?))
    }
}
