//! Plans the tables of a `FROM` clause that only a streaming dialect has: windows and lookups.

use arrow::datatypes::IntervalMonthDayNanoType;
use datafusion::{
    common::{Column, DFSchema, DataFusionError, Result, ScalarValue, TableReference},
    logical_expr::{
        Expr, LogicalPlan, LogicalPlanBuilder, cast, lit,
        planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning},
    },
};
use sqlparser::ast::{
    self, Ident, ObjectName, Spanned, TableFactor, TableFunctionArgs, TableVersion,
};
use std::sync::{Arc, Mutex};

use crate::{
    catalog::Catalog,
    dialect::place,
    error::Error,
    tumble::{TumbleNode, WINDOW_COLUMNS},
    types::TIMESTAMP,
};

mod window;

use window::{WindowArguments, milliseconds};

/// How a query will run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As a dataflow.
    Stream,
    /// Once, over whole tables: windows become arithmetic, lookups become joins.
    Batch,
}

/// The planner of our relations. Remembers which column each lookup named behind `AS OF`.
pub(crate) struct FlinkRelations {
    mode: Mode,
    lookups: Lookups,
    tables: Vec<(String, Arc<dyn datafusion::logical_expr::TableSource>)>,
}

/// Lookups met while planning: the table's name in the query, the column behind `AS OF`.
pub(crate) type Lookups = Arc<Mutex<Vec<AsOf>>>;

/// One `FOR SYSTEM_TIME AS OF`.
#[derive(Clone, Debug)]
pub(crate) struct AsOf {
    pub(crate) table: String,
    pub(crate) expression: ast::Expr,
}

impl FlinkRelations {
    pub(crate) fn new(mode: Mode, catalog: &Catalog) -> (Self, Lookups) {
        let lookups = Lookups::default();
        let source = |name: &String| match mode {
            Mode::Stream => catalog.lookup_source(name),
            Mode::Batch => catalog.source(&TableReference::bare(name.as_str())).ok(),
        };
        let tables = catalog
            .tables
            .keys()
            .filter_map(|name| Some((name.clone(), source(name)?)))
            .collect();
        (
            Self {
                mode,
                lookups: Arc::clone(&lookups),
                tables,
            },
            lookups,
        )
    }
}

impl std::fmt::Debug for FlinkRelations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlinkRelations")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl RelationPlanner for FlinkRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (plan, alias) = match relation {
            TableFactor::Table {
                name,
                alias,
                args: None,
                version: Some(TableVersion::ForSystemTimeAsOf(time)),
                ..
            } => (self.lookup(&name, time)?, alias),
            TableFactor::Table {
                name,
                alias,
                args: Some(arguments),
                ..
            } => (self.tumble(&name, arguments, context)?, alias),
            other => return Ok(RelationPlanning::Original(Box::new(other))),
        };
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(
            plan, alias,
        ))))
    }
}

impl FlinkRelations {
    fn lookup(&self, name: &ObjectName, time: ast::Expr) -> Result<LogicalPlan> {
        let written = single(name).map_err(refusal)?;
        let Some((_, source)) = self
            .tables
            .iter()
            .find(|(table, _)| *table == written.value)
        else {
            let message = format!("{name} is a view, and only a table can be looked up");
            return Err(refusal(Error::new(
                "sql.lookup.view",
                place(name.span()),
                message,
            )));
        };
        let asked = AsOf {
            table: written.value.clone(),
            expression: time,
        };
        self.lookups
            .lock()
            .expect("no thread panics while it holds the lookups")
            .push(asked);
        LogicalPlanBuilder::scan(
            TableReference::bare(written.value),
            Arc::clone(source),
            None,
        )?
        .build()
    }

    fn tumble(
        &self,
        name: &ObjectName,
        arguments: TableFunctionArgs,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<LogicalPlan> {
        let arguments = WindowArguments::read(name, arguments).map_err(refusal)?;
        let input = context.plan(arguments.relation())?;
        let column = arguments.time_column(&input).map_err(refusal)?;
        let mut constant = |interval: &ast::Expr| {
            let planned = context.sql_to_expr(interval.clone(), &DFSchema::empty())?;
            milliseconds(&planned, place(interval.span())).map_err(refusal)
        };
        let size = constant(&arguments.size)?;
        if size <= 0 {
            let at = place(arguments.size.span());
            return Err(refusal(Error::new(
                "sql.window.argument",
                at,
                "a window must last longer than nothing",
            )));
        }
        let offset = arguments
            .offset
            .as_ref()
            .map_or(Ok(0), constant)?
            .rem_euclid(size);
        match self.mode {
            Mode::Stream => TumbleNode::plan(input, column, size, offset),
            Mode::Batch => arithmetic(input, column, size, offset),
        }
    }
}

/// Windows as plain expressions, for the batch executor.
fn arithmetic(
    input: LogicalPlan,
    time: Column,
    size_ms: i64,
    offset_ms: i64,
) -> Result<LogicalPlan> {
    let span = |milliseconds: i64| {
        let nanoseconds = milliseconds
            .checked_mul(1_000_000)
            .ok_or_else(|| DataFusionError::Plan("a window is too long".to_owned()))?;
        Ok::<_, DataFusionError>(lit(ScalarValue::IntervalMonthDayNano(Some(
            IntervalMonthDayNanoType::make_value(0, 0, nanoseconds),
        ))))
    };
    let origin = lit(ScalarValue::TimestampMillisecond(Some(offset_ms), None));
    let bin = datafusion::functions::datetime::date_bin();
    let start = cast(
        bin.call(vec![span(size_ms)?, Expr::Column(time.clone()), origin]),
        TIMESTAMP,
    );
    let end = cast(start.clone() + span(size_ms)?, TIMESTAMP);
    let last = cast(end.clone() - span(1)?, TIMESTAMP);
    let windows = [start, end, last]
        .into_iter()
        .zip(WINDOW_COLUMNS)
        .map(|(bound, name)| bound.alias(name));
    let columns: Vec<Expr> = input
        .schema()
        .columns()
        .into_iter()
        .map(Expr::Column)
        .chain(windows)
        .collect();
    LogicalPlanBuilder::from(input)
        .filter(Expr::Column(time).is_not_null())?
        .project(columns)?
        .build()
}

/// One of our errors on its way through the SQL planner.
fn refusal(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A name without a path before it.
fn single(name: &ObjectName) -> std::result::Result<Ident, Error> {
    let part = name.0.first().filter(|_| name.0.len() == 1);
    part.and_then(|part| part.as_ident().cloned())
        .ok_or_else(|| {
            Error::unsupported(
                place(name.span()),
                format!("the name {name}, which has a path,"),
            )
        })
}
