//! Plans the tables of a `FROM` clause that only a streaming dialect has: windows and lookups.

use arrow::datatypes::IntervalMonthDayNanoType;
use datafusion::{
    common::{
        Column, DFSchema, DataFusionError, Diagnostic, Result, ScalarValue, Span, TableReference,
    },
    logical_expr::{
        Expr, LogicalPlan, LogicalPlanBuilder, cast, lit,
        planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning},
    },
};
use sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, Ident, ObjectName, Spanned, TableFactor, TableFunctionArgs,
    TableVersion,
};
use std::sync::{Arc, Mutex};

use crate::{
    catalog::Catalog,
    roles::{Role, roles},
    tumble::{TumbleNode, WINDOW_COLUMNS},
    types::TIMESTAMP,
};

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
        let written = single(name)?;
        let Some((_, source)) = self
            .tables
            .iter()
            .find(|(table, _)| *table == written.value)
        else {
            return Err(at(
                name.span(),
                format!("{name} is a view, and only a table can be looked up"),
            ));
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
        let arguments = Arguments::read(name, arguments)?;
        let table = TableFactor::Table {
            name: ObjectName::from(vec![arguments.table.clone()]),
            alias: None,
            args: None,
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        };
        let input = context.plan(table)?;
        let column = time_column(&input, &arguments)?;
        let size = milliseconds(&arguments.size, context)?;
        if size <= 0 {
            return Err(at(
                arguments.size.span(),
                "a window must last longer than nothing",
            ));
        }
        let offset = arguments
            .offset
            .as_ref()
            .map_or(Ok(0), |offset| milliseconds(offset, context))?;
        let offset = offset.rem_euclid(size);
        match self.mode {
            Mode::Stream => TumbleNode::plan(input, column, size, offset),
            Mode::Batch => arithmetic(input, column, size, offset),
        }
    }
}

/// The arguments of `TUMBLE`, by position or by Flink's names for them.
struct Arguments {
    table: Ident,
    time: Ident,
    size: ast::Expr,
    offset: Option<ast::Expr>,
}

impl Arguments {
    fn read(name: &ObjectName, arguments: TableFunctionArgs) -> Result<Self> {
        let mut slots: [Option<ast::Expr>; 4] = Default::default();
        for (position, argument) in arguments.args.into_iter().enumerate() {
            let (slot, expression) = match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => (position, expression),
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(expression),
                    ..
                } => {
                    let known = ["DATA", "TIMECOL", "SIZE", "OFFSET"];
                    let slot = known
                        .iter()
                        .position(|known| name.value.eq_ignore_ascii_case(known));
                    let slot = slot.ok_or_else(|| {
                        at(
                            name.span,
                            format!(
                                "TUMBLE has no argument {name}; it has DATA, TIMECOL, SIZE, OFFSET"
                            ),
                        )
                    })?;
                    (slot, expression)
                }
                other => {
                    return Err(at(
                        other.span(),
                        "TUMBLE takes a table, a column and intervals",
                    ));
                }
            };
            match slots.get_mut(slot) {
                Some(free @ None) => *free = Some(expression),
                _ => return Err(at(expression.span(), "TUMBLE has four arguments at most")),
            }
        }
        match slots {
            [Some(table), Some(time), Some(size), offset] => {
                let table =
                    identifier(table, "the first argument of TUMBLE is a table: TABLE name")?;
                let time = identifier(
                    time,
                    "the second argument of TUMBLE is a column: DESCRIPTOR(name)",
                )?;
                Ok(Self {
                    table,
                    time,
                    size,
                    offset,
                })
            }
            _ => Err(at(
                name.span(),
                "TUMBLE takes TABLE name, DESCRIPTOR(column) and an interval",
            )),
        }
    }
}

fn identifier(expression: ast::Expr, otherwise: &str) -> Result<Ident> {
    match expression {
        ast::Expr::Identifier(identifier) => Ok(identifier),
        other => Err(at(other.span(), otherwise)),
    }
}

fn single(name: &ObjectName) -> Result<Ident> {
    let part = name.0.first().filter(|_| name.0.len() == 1);
    part.and_then(|part| part.as_ident().cloned())
        .ok_or_else(|| at(name.span(), format!("{name} is not a single name")))
}

/// The column that `DESCRIPTOR` names, which must be the input's event time.
fn time_column(input: &LogicalPlan, arguments: &Arguments) -> Result<Column> {
    let written = &arguments.time;
    let schema: &DFSchema = input.schema();
    let found = schema
        .fields()
        .iter()
        .position(|field| *field.name() == written.value);
    let Some(position) = found else {
        let names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let near = crate::nearest::nearest(&written.value, names.iter().copied());
        let near = near
            .map(|word| format!("; did you mean {word}?"))
            .unwrap_or_default();
        return Err(at(
            written.span,
            format!("{} has no column {written}{near}", arguments.table),
        ));
    };
    let known = roles(input);
    match known[position] {
        Role::EventTime => Ok(Column::from(schema.qualified_field(position))),
        Role::ProcessingTime => Err(at(
            written.span,
            "windows over processing time are not supported",
        )),
        _ => Err(at(
            written.span,
            format!(
                "{written} does not carry event time; declare WATERMARK FOR {written} in its table"
            ),
        )),
    }
}

/// The length of a constant interval.
fn milliseconds(expression: &ast::Expr, context: &mut dyn RelationPlannerContext) -> Result<i64> {
    let planned = context.sql_to_expr(expression.clone(), &DFSchema::empty())?;
    if let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = planned {
        let (months, days, nanoseconds) = IntervalMonthDayNanoType::to_parts(interval);
        if months != 0 {
            return Err(at(
                expression.span(),
                "a window cannot last months or years: they differ in length",
            ));
        }
        if nanoseconds % 1_000_000 == 0 {
            let days = i64::from(days).checked_mul(86_400_000);
            if let Some(length) = days.and_then(|days| days.checked_add(nanoseconds / 1_000_000)) {
                return Ok(length);
            }
        }
    }
    Err(at(
        expression.span(),
        "expected a constant interval of whole milliseconds, as in INTERVAL '1' HOUR",
    ))
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

/// An error that knows its place in the script.
fn at(span: sqlparser::tokenizer::Span, message: impl Into<String>) -> DataFusionError {
    let message = message.into();
    let span = Span::try_from_sqlparser_span(span);
    DataFusionError::Plan(message.clone()).with_diagnostic(Diagnostic::new_error(message, span))
}
