//! The arguments of `TUMBLE`: which table, which column, how long, from where.

use arrow::datatypes::IntervalMonthDayNanoType;
use datafusion::{
    common::{Column, ScalarValue},
    logical_expr::{Expr, LogicalPlan},
};
use sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, Ident, ObjectName, Spanned, TableFactor, TableFunctionArgs,
};

use crate::{
    dialect::place,
    error::{Error, Place},
    nearest::nearest,
    roles::{Role, roles},
};

/// Arguments by position or by Flink's names for them.
pub(super) struct WindowArguments {
    table: Ident,
    time: Ident,
    pub(super) size: ast::Expr,
    pub(super) offset: Option<ast::Expr>,
}

const NAMES: [&str; 4] = ["DATA", "TIMECOL", "SIZE", "OFFSET"];

impl WindowArguments {
    pub(super) fn read(name: &ObjectName, arguments: TableFunctionArgs) -> Result<Self, Error> {
        let mut slots: [Option<ast::Expr>; 4] = Default::default();
        for (position, argument) in arguments.args.into_iter().enumerate() {
            let (slot, expression) = match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => (position, expression),
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(expression),
                    ..
                } => {
                    let slot = NAMES
                        .iter()
                        .position(|known| name.value.eq_ignore_ascii_case(known));
                    let unknown = || {
                        refused(
                            place(name.span),
                            format!("TUMBLE has no argument {}", name.value),
                        )
                        .why(format!("its arguments are {}", NAMES.join(", ")))
                        .nearest(nearest(&name.value, NAMES))
                    };
                    (slot.ok_or_else(unknown)?, expression)
                }
                other => {
                    return Err(refused(
                        place(other.span()),
                        "TUMBLE takes a table, a column and intervals",
                    ));
                }
            };
            match slots.get_mut(slot) {
                Some(free @ None) => *free = Some(expression),
                _ => {
                    return Err(refused(
                        place(expression.span()),
                        "TUMBLE has four arguments, each once",
                    ));
                }
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
            _ => Err(refused(
                place(name.span()),
                "TUMBLE takes TABLE name, DESCRIPTOR(column) and an interval",
            )),
        }
    }

    /// The table as it would stand in `FROM`.
    pub(super) fn relation(&self) -> TableFactor {
        TableFactor::Table {
            name: ObjectName::from(vec![self.table.clone()]),
            alias: None,
            args: None,
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        }
    }

    /// The column that `DESCRIPTOR` names, which must be the input's event time.
    pub(super) fn time_column(&self, input: &LogicalPlan) -> Result<Column, Error> {
        let written = &self.time.value;
        let at = place(self.time.span);
        let schema = input.schema();
        let names = || schema.fields().iter().map(|field| field.name().as_str());
        let Some(position) = names().position(|name| name == written) else {
            return Err(Error::new(
                "sql.column.unknown",
                at,
                format!("{} has no column {written}", self.table.value),
            )
            .nearest(nearest(written, names())));
        };
        match roles(input)[position] {
            Role::EventTime => Ok(Column::from(schema.qualified_field(position))),
            Role::ProcessingTime => Err(Error::unsupported(at, "a window over processing time")
                .hint("declare a WATERMARK in the table and window its column")),
            _ => Err(Error::new(
                "sql.window.time",
                at,
                format!("{written} does not carry event time"),
            )
            .hint(format!(
                "declare  WATERMARK FOR {written} AS {written} - INTERVAL '1' SECOND  in the table"
            ))),
        }
    }
}

fn refused(at: Place, message: impl Into<String>) -> Error {
    Error::new("sql.window.argument", at, message)
}

fn identifier(expression: ast::Expr, otherwise: &str) -> Result<Ident, Error> {
    match expression {
        ast::Expr::Identifier(identifier) => Ok(identifier),
        other => Err(refused(place(other.span()), otherwise)),
    }
}

/// The length of a constant interval.
pub(super) fn milliseconds(interval: &Expr, at: Place) -> Result<i64, Error> {
    if let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = interval {
        let (months, days, nanoseconds) = IntervalMonthDayNanoType::to_parts(*interval);
        if months != 0 {
            return Err(
                refused(at, "a window cannot last months or years").why("they differ in length")
            );
        }
        if nanoseconds % 1_000_000 == 0 {
            let days = i64::from(days).checked_mul(86_400_000);
            if let Some(length) = days.and_then(|days| days.checked_add(nanoseconds / 1_000_000)) {
                return Ok(length);
            }
        }
    }
    Err(
        refused(at, "expected a constant interval of whole milliseconds")
            .hint("as in INTERVAL '1' HOUR"),
    )
}
