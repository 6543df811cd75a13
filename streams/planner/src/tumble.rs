//! The two things in a plan that the SQL planner has no words for: window assignment and the
//! moment at which results leave.

use arrow::datatypes::Field;
use datafusion::{
    common::{Column, DFSchema, DFSchemaRef, Result, plan_err},
    logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore},
};
use std::{fmt, sync::Arc};

use crate::{statements::Emission, types::TIMESTAMP};

/// Columns that a window table function appends.
pub(crate) const WINDOW_COLUMNS: [&str; 3] = ["window_start", "window_end", "window_time"];

/// Assigns each row of the input to one window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TumbleNode {
    pub(crate) input: LogicalPlan,
    /// Column of the input that carries event time.
    pub(crate) time: Column,
    pub(crate) size_ms: i64,
    pub(crate) offset_ms: i64,
    schema: DFSchemaRef,
}

impl TumbleNode {
    pub(crate) fn plan(
        input: LogicalPlan,
        time: Column,
        size_ms: i64,
        offset_ms: i64,
    ) -> Result<LogicalPlan> {
        let node = Self::new(input, time, size_ms, offset_ms)?;
        Ok(LogicalPlan::Extension(Extension {
            node: Arc::new(node),
        }))
    }

    fn new(input: LogicalPlan, time: Column, size_ms: i64, offset_ms: i64) -> Result<Self> {
        let mut fields: Vec<_> = input
            .schema()
            .iter()
            .map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)))
            .collect();
        fields.extend(
            WINDOW_COLUMNS.map(|name| (None, Arc::new(Field::new(name, TIMESTAMP, false)))),
        );
        let schema = Arc::new(DFSchema::new_with_metadata(fields, Default::default())?);
        Ok(Self {
            input,
            time,
            size_ms,
            offset_ms,
            schema,
        })
    }
}

impl PartialOrd for TumbleNode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (&self.time, self.size_ms, self.offset_ms).partial_cmp(&(
            &other.time,
            other.size_ms,
            other.offset_ms,
        ))
    }
}

impl UserDefinedLogicalNodeCore for TumbleNode {
    fn name(&self) -> &str {
        "Tumble"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![Expr::Column(self.time.clone())]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tumble: {}, {} ms", self.time, self.size_ms)
    }

    fn with_exprs_and_inputs(
        &self,
        expressions: Vec<Expr>,
        inputs: Vec<LogicalPlan>,
    ) -> Result<Self> {
        let (Ok([Expr::Column(time)]), Ok([input])) = (
            <[Expr; 1]>::try_from(expressions),
            <[LogicalPlan; 1]>::try_from(inputs),
        ) else {
            return plan_err!("a window has one input and one time column");
        };
        Self::new(input, time, self.size_ms, self.offset_ms)
    }

    /// Lets columns that nobody reads be pruned below the window.
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.input.schema().fields().len();
        let time = self.input.schema().maybe_index_of_column(&self.time)?;
        let mut needed: Vec<usize> = output_columns
            .iter()
            .copied()
            .filter(|column| *column < width)
            .collect();
        needed.push(time);
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

/// Says when the results of its input leave, where a clause says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd)]
pub(crate) struct EmitNode {
    pub(crate) input: LogicalPlan,
    pub(crate) emission: Emission,
}

impl EmitNode {
    pub(crate) fn plan(input: LogicalPlan, emission: Emission) -> LogicalPlan {
        LogicalPlan::Extension(Extension {
            node: Arc::new(Self { input, emission }),
        })
    }
}

impl UserDefinedLogicalNodeCore for EmitNode {
    fn name(&self) -> &str {
        "Emit"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Emit: {:?}", self.emission)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Ok([input]) = <[LogicalPlan; 1]>::try_from(inputs) else {
            return plan_err!("EMIT has one input");
        };
        Ok(Self {
            input,
            emission: self.emission,
        })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}
