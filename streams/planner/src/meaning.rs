//! Gives aggregates and casts the types and values they have in Flink.
//!
//! | call | Flink | the executor's own | here |
//! |---|---|---|---|
//! | `AVG` of integers | same type, cut towards zero | `DOUBLE` | `SUM / COUNT`, exact |
//! | `SUM` of `INT`, `FLOAT` … | same type | `BIGINT`, `DOUBLE` | cast back; an overflow is an error |
//! | `SUM`, `AVG` of `DECIMAL(p, s)` | `DECIMAL(38, s)`, `DECIMAL(38, max(6, s))` | p + 10, p + 4 | cast |
//! | `CAST(timestamp AS STRING)` | `2001-01-31 09:05:00.250` | `T` between | formatted |

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::{
    common::{
        Column, DFSchema, Result,
        tree_node::{Transformed, TreeNode},
    },
    functions::datetime::to_char,
    functions_aggregate::{count::count_udaf, sum::sum_udaf},
    logical_expr::{
        Aggregate, Expr, ExprSchemable, LogicalPlan, Projection, cast, expr::AggregateFunction,
        expr_rewriter::NamePreserver, lit, utils::merge_schema,
    },
};
use std::sync::Arc;

/// Rewrites a plan that has not been analyzed yet.
pub(crate) fn give_flinks_meaning(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up(|node| {
        let node = texts_of_timestamps(node.recompute_schema()?)?;
        match node {
            LogicalPlan::Aggregate(aggregate) => aggregates(aggregate).map(Transformed::yes),
            other => Ok(Transformed::yes(other)),
        }
    })?;
    Ok(rewritten.data)
}

/// The same for a single expression over these columns.
pub(crate) fn give_flinks_meaning_to(expression: Expr, columns: &DFSchema) -> Result<Expr> {
    Ok(expression
        .transform_up(|part| text_of_timestamp(part, columns))?
        .data)
}

fn texts_of_timestamps(plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    let rewritten = plan.map_expressions(|expression| {
        let name = names.save(&expression);
        let changed = expression.transform_up(|part| text_of_timestamp(part, &columns))?;
        Ok(changed.update_data(|expression| name.restore(expression)))
    })?;
    Ok(rewritten.data)
}

fn text_of_timestamp(expression: Expr, columns: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::Cast(written) = &expression else {
        return Ok(Transformed::no(expression));
    };
    let from = written.expr.get_type(columns)?;
    let (DataType::Timestamp(unit, None), DataType::Utf8) = (from, written.field.data_type())
    else {
        return Ok(Transformed::no(expression));
    };
    let fraction = match unit {
        TimeUnit::Second => "",
        TimeUnit::Millisecond => "%.3f",
        TimeUnit::Microsecond => "%.6f",
        TimeUnit::Nanosecond => "%.9f",
    };
    let pattern = lit(format!("%Y-%m-%d %H:%M:%S{fraction}"));
    Ok(Transformed::yes(
        to_char().call(vec![written.expr.as_ref().clone(), pattern]),
    ))
}

/// Splits an aggregation into calls whose types agree with Flink's and a projection above.
fn aggregates(aggregate: Aggregate) -> Result<LogicalPlan> {
    let columns = Arc::clone(aggregate.input.schema());
    let mut calls: Vec<Expr> = Vec::new();
    let mut results = Vec::new();
    let mut changed = false;
    let keys = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
    for (position, written) in aggregate.aggr_expr.iter().enumerate() {
        let mut call = |call: Expr| {
            let name = call.schema_name().to_string();
            if !calls.contains(&call) {
                calls.push(call);
            }
            Expr::Column(Column::new_unqualified(name))
        };
        let result = match meaning(written, &columns, &mut call)? {
            Some(result) => {
                changed = true;
                result
            }
            None => call(written.clone()),
        };
        results.push(result.alias(aggregate.schema.field(keys + position).name().clone()));
    }
    if !changed {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let kept =
        (0..keys).map(|key| Expr::Column(Column::from(aggregate.schema.qualified_field(key))));
    let outputs: Vec<Expr> = kept.chain(results).collect();
    let input = Aggregate::try_new(aggregate.input, aggregate.group_expr, calls)?;
    Ok(LogicalPlan::Projection(Projection::try_new(
        outputs,
        Arc::new(LogicalPlan::Aggregate(input)),
    )?))
}

/// What an aggregate call means in Flink, if not what it means to the executor.
fn meaning(
    written: &Expr,
    columns: &DFSchema,
    call: &mut impl FnMut(Expr) -> Expr,
) -> Result<Option<Expr>> {
    let function = match written {
        Expr::Alias(alias) => return meaning(&alias.expr, columns, call),
        Expr::AggregateFunction(function) => function,
        _ => return Ok(None),
    };
    let [argument] = function.params.args.as_slice() else {
        return Ok(None);
    };
    let data_type = argument.get_type(columns)?;
    let of = |udaf, argument: Expr| {
        let params = &function.params;
        Expr::AggregateFunction(AggregateFunction::new_udf(
            udaf,
            vec![argument],
            params.distinct,
            params.filter.clone(),
            params.order_by.clone(),
            params.null_treatment,
        ))
    };
    Ok(match (function.func.name(), &data_type) {
        ("avg", DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64) => {
            let wide = match data_type {
                DataType::Int64 => argument.clone(),
                _ => cast(argument.clone(), DataType::Int64),
            };
            let sum = call(of(sum_udaf(), wide));
            let count = call(of(count_udaf(), argument.clone()));
            Some(cast(sum / count, data_type))
        }
        ("avg", DataType::Float32)
        | ("sum", DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Float32) => {
            Some(cast(call(written.clone()), data_type))
        }
        ("sum", DataType::Decimal128(_, scale)) => Some(cast(
            call(written.clone()),
            DataType::Decimal128(38, *scale),
        )),
        ("avg", DataType::Decimal128(_, scale)) => Some(cast(
            call(written.clone()),
            DataType::Decimal128(38, (*scale).max(6)),
        )),
        _ => None,
    })
}
