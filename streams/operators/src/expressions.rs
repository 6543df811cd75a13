//! Evaluates expressions. With `accumulators`, the only place here that knows DataFusion.
//!
//! An expression is decoded and compiled once, when its operator is built. If a batch fails,
//! the rows that fail alone are found by halving it, so a policy can act on them alone.

use crate::{Error, RowError};
use arrow::{
    array::{Array, ArrayRef, BooleanArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Schema},
};
use dataflow::{Expression, FunctionError};
use datafusion::{
    common::{
        Column, DFSchema, DataFusionError,
        tree_node::{Transformed, TreeNode},
    },
    execution::{TaskContext, context::SessionContext},
    logical_expr::{
        Expr, execution_props::ExecutionProps, physical_planning_context::PhysicalPlanningContext,
    },
    physical_expr::{PhysicalExpr, create_physical_expr},
};
use datafusion_proto::bytes::Serializeable;
use std::{collections::BTreeMap, sync::Arc};

/// The functions that expressions may name. Cheap to clone.
#[derive(Clone)]
pub struct Functions(Arc<TaskContext>);

impl From<Arc<TaskContext>> for Functions {
    fn from(context: Arc<TaskContext>) -> Self {
        Self(context)
    }
}

impl Functions {
    /// The built-in functions alone.
    pub fn built_in() -> Self {
        Self(SessionContext::new().task_ctx())
    }

    /// Decodes an expression over these columns.
    pub(crate) fn decode(&self, expression: &Expression) -> Result<Expr, Error> {
        let decoded = Expr::from_bytes_with_ctx(&expression.encoded, &self.0);
        let unqualified = decoded.and_then(|decoded| {
            let plain = decoded.transform(|part| {
                Ok(match part {
                    Expr::Column(column) => {
                        Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))
                    }
                    other => Transformed::no(other),
                })
            });
            plain.map(|plain| plain.data)
        });
        unqualified.map_err(|error| failed(&expression.sql, &error))
    }

    pub(crate) fn properties(&self) -> ExecutionProps {
        let mut properties = ExecutionProps::new();
        properties.config_options = Some(Arc::clone(self.0.session_config().options()));
        properties
    }

    /// Compiles an expression over these columns to give values of this type.
    pub(crate) fn compile(
        &self,
        expression: &Expression,
        input: &Schema,
        result: Option<&DataType>,
    ) -> Result<Evaluator, Error> {
        let failed = |error| failed(&expression.sql, &error);
        let decoded = self.decode(expression)?;
        let columns = DFSchema::try_from(input.clone()).map_err(failed)?;
        let context = PhysicalPlanningContext::default();
        let compiled = create_physical_expr(&decoded, &columns, &self.properties(), &context)
            .map_err(failed)?;
        let natural = compiled.data_type(input).map_err(failed)?;
        let result = result.unwrap_or(&natural).clone();
        Ok(Evaluator {
            sql: expression.sql.clone(),
            compiled,
            result,
        })
    }
}

/// A compiled expression.
pub(crate) struct Evaluator {
    sql: String,
    compiled: Arc<dyn PhysicalExpr>,
    result: DataType,
}

impl Evaluator {
    /// One value per row.
    ///
    /// # Errors
    /// [`Error::Rows`] with every row that has no value, if other rows have one.
    pub(crate) fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, Error> {
        self.try_evaluate(batch)
            .map_err(|error| self.isolate(batch, &error))
    }

    /// Per row whether the expression is true; false for null.
    pub(crate) fn evaluate_mask(&self, batch: &RecordBatch) -> Result<BooleanArray, Error> {
        let values = self.evaluate(batch)?;
        let mask = values
            .as_any()
            .downcast_ref::<BooleanArray>()
            .ok_or_else(|| Error::Expression {
                sql: self.sql.clone(),
                why: format!("a condition is Boolean, not {}", values.data_type()),
            })?;
        Ok(match mask.nulls() {
            None => mask.clone(),
            Some(nulls) => BooleanArray::new(mask.values() & nulls.inner(), None),
        })
    }

    pub(crate) fn data_type(&self) -> &DataType {
        &self.result
    }

    fn try_evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, DataFusionError> {
        let values = self
            .compiled
            .evaluate(batch)?
            .into_array(batch.num_rows())?;
        if values.data_type() == &self.result {
            Ok(values)
        } else {
            Ok(cast(&values, &self.result)?)
        }
    }

    /// Finds the rows that fail alone. Where a function blames no row, none is blamed.
    fn isolate(&self, batch: &RecordBatch, whole: &DataFusionError) -> Error {
        let mut rows = Vec::new();
        let mut parts = if blames_no_row(whole) {
            Vec::new()
        } else {
            vec![(0, batch.num_rows())]
        };
        while let Some((from, length)) = parts.pop() {
            match self.try_evaluate(&batch.slice(from, length)) {
                Ok(_) => {}
                Err(error) if blames_no_row(&error) => return failed(&self.sql, &error),
                Err(error) if length <= 1 => {
                    let row = u32::try_from(from).expect("a batch has fewer than 2^32 rows");
                    rows.push(RowError {
                        row,
                        why: format!("{}: {}", self.sql, reason(&error)),
                    });
                }
                Err(_) => {
                    let half = length / 2;
                    parts.push((from + half, length - half));
                    parts.push((from, half));
                }
            }
        }
        if rows.is_empty() {
            failed(&self.sql, whole)
        } else {
            Error::rows("expression", rows)
        }
    }
}

fn blames_no_row(error: &DataFusionError) -> bool {
    let DataFusionError::External(error) = error.find_root() else {
        return false;
    };
    error
        .downcast_ref::<FunctionError>()
        .is_some_and(|error| error.rows.is_empty())
}

/// Evaluates several expressions over one batch; the rows that fail in any are reported at once.
pub(crate) fn evaluate_all<'a>(
    operator: &str,
    expressions: impl IntoIterator<Item = &'a Evaluator>,
    batch: &RecordBatch,
) -> Result<Vec<ArrayRef>, Error> {
    let mut columns = Vec::new();
    let mut bad = BTreeMap::new();
    for expression in expressions {
        match expression.evaluate(batch) {
            Ok(column) => columns.push(column),
            Err(Error::Rows { rows, .. }) => {
                bad.extend(rows.into_iter().rev().map(|row| (row.row, row.why)))
            }
            Err(error) => return Err(error),
        }
    }
    if bad.is_empty() {
        return Ok(columns);
    }
    Err(Error::rows(
        operator,
        bad.into_iter()
            .map(|(row, why)| RowError { row, why })
            .collect(),
    ))
}

pub(crate) fn failed(sql: &str, error: &DataFusionError) -> Error {
    Error::Expression {
        sql: sql.to_owned(),
        why: reason(error),
    }
}

/// The innermost message, without the library's own prefixes.
fn reason(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => error.to_string(),
        DataFusionError::External(error) => error
            .downcast_ref::<FunctionError>()
            .and_then(FunctionError::only_row)
            .unwrap_or_else(|| error.to_string()),
        DataFusionError::Execution(text) | DataFusionError::Plan(text) => text.clone(),
        other => other.strip_backtrace(),
    }
}
