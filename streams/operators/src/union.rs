//! All rows of all inputs, under the output's column names.

use crate::{Error, Operator, Output, Step};
use arrow::{array::RecordBatch, datatypes::SchemaRef};
use dataflow::Delta;

pub(crate) struct Union {
    schema: SchemaRef,
}

impl Union {
    pub(crate) fn new(schema: &SchemaRef) -> Self {
        Self {
            schema: schema.clone(),
        }
    }
}

impl Operator for Union {
    fn step(&mut self, inputs: &[&Delta], _: &mut Step<'_>) -> Result<Output, Error> {
        let renamed = inputs.iter().map(|input| {
            let batch =
                RecordBatch::try_new(self.schema.clone(), input.batch().columns().to_vec())?;
            Ok(input.with_batch(batch)?)
        });
        let renamed = renamed.collect::<Result<Vec<Delta>, Error>>()?;
        Ok(Output::same(Delta::concat(&self.schema, &renamed)?))
    }
}
