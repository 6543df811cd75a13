//! Fits a query's columns to the table it is written to.

use dataflow::TableSpec;
use datafusion::{
    common::{Column, DataFusionError, ScalarValue},
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast},
};

use crate::{
    cursor::Name,
    error::{Error, Place},
    nearest::nearest,
    query::planning_error,
    types::{casts_unasked, flink_type},
};

/// The plan with exactly the table's persisted columns, by position or by the names listed.
pub(crate) fn fit(
    plan: LogicalPlan,
    table: &TableSpec,
    listed: &[Name],
    place: Place,
) -> Result<LogicalPlan, Vec<Error>> {
    let persisted: Vec<&dataflow::Column> = table.persisted().collect();
    let mut errors = Vec::new();
    let mut targets = Vec::new();
    for name in listed {
        match persisted.iter().position(|column| column.name == name.text) {
            Some(position) if targets.contains(&position) => {
                errors.push(Error::new(
                    "sql.column.repeated",
                    name.place,
                    format!("column {} is listed twice", name.text),
                ));
            }
            Some(position) => targets.push(position),
            None => {
                let names = persisted.iter().map(|column| column.name.as_str());
                errors.push(
                    Error::new(
                        "sql.column.unknown",
                        name.place,
                        format!("table {} has no column {} to write", table.name, name.text),
                    )
                    .nearest(nearest(&name.text, names)),
                );
            }
        }
    }
    if listed.is_empty() {
        targets = (0..persisted.len()).collect();
    }
    let given: Vec<_> = plan
        .schema()
        .iter()
        .map(|(qualifier, field)| (Column::from((qualifier, field)), field.clone()))
        .collect();
    if errors.is_empty() && given.len() != targets.len() {
        let names: Vec<&str> = targets
            .iter()
            .map(|target| persisted[*target].name.as_str())
            .collect();
        errors.push(
            Error::new(
                "sql.sink.columns",
                place,
                format!(
                    "table {} takes {} columns, not {}",
                    table.name,
                    targets.len(),
                    given.len()
                ),
            )
            .why(format!(
                "they are written to {} in this order",
                names.join(", ")
            )),
        );
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut values = Vec::new();
    for (position, wanted) in persisted.iter().enumerate() {
        let Some(source) = targets.iter().position(|target| *target == position) else {
            if !wanted.nullable {
                errors.push(Error::new(
                    "sql.sink.null",
                    place,
                    format!(
                        "column {} of {} is not written and cannot be null",
                        wanted.name, table.name
                    ),
                ));
            }
            values.push(null_of(wanted));
            continue;
        };
        let (column, field) = &given[source];
        if !casts_unasked(field.data_type(), &wanted.data_type) {
            errors.push(
                Error::new(
                    "sql.sink.type",
                    place,
                    format!(
                        "column {} of {} takes {}, not {}",
                        wanted.name,
                        table.name,
                        flink_type(&wanted.data_type),
                        flink_type(field.data_type())
                    ),
                )
                .hint(format!("CAST(… AS {})", flink_type(&wanted.data_type))),
            );
            continue;
        }
        let value = Expr::Column(column.clone());
        let same = *field.data_type() == wanted.data_type;
        values.push(
            if same {
                value
            } else {
                cast(value, wanted.data_type.clone())
            }
            .alias(&wanted.name),
        );
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let projected: Result<LogicalPlan, DataFusionError> = LogicalPlanBuilder::from(plan)
        .project(values)
        .and_then(LogicalPlanBuilder::build);
    projected.map_err(|error| vec![planning_error(&error, place)])
}

fn null_of(column: &dataflow::Column) -> Expr {
    cast(
        Expr::Literal(ScalarValue::Null, None),
        column.data_type.clone(),
    )
    .alias(&column.name)
}
