//! Every expression of every planned script decodes and compiles over the columns it is for.

#![allow(clippy::disallowed_methods)]

mod loader;

use arrow::datatypes::{DataType, Schema};
use dataflow::{Dataflow, Expression, Node, NodeKind};
use datafusion::{
    common::DFSchema,
    execution::TaskContext,
    logical_expr::{
        Expr, execution_props::ExecutionProps, physical_planning_context::PhysicalPlanningContext,
    },
    physical_expr::create_physical_expr,
};
use datafusion_proto::bytes::Serializeable;
use planner::plan;
use std::fs;

/// Decodes an expression and gives the type it has when compiled.
fn compiled(expression: &Expression, columns: &Schema, functions: &TaskContext) -> DataType {
    let decoded = Expr::from_bytes_with_ctx(&expression.encoded, functions)
        .unwrap_or_else(|error| panic!("{}: {error}", expression.sql));
    let schema = DFSchema::try_from(columns.clone()).expect("names in a node are unique");
    let context = PhysicalPlanningContext::default();
    let compiled = create_physical_expr(&decoded, &schema, &ExecutionProps::new(), &context)
        .unwrap_or_else(|error| panic!("{}: {error}", expression.sql));
    compiled
        .data_type(columns)
        .unwrap_or_else(|error| panic!("{}: {error}", expression.sql))
}

fn check(node: &Node, dataflow: &Dataflow, functions: &TaskContext) -> usize {
    let Some(input) = node.inputs.first().map(|input| dataflow.node(*input)) else {
        return 0;
    };
    let of = |expression: &Expression| compiled(expression, &input.schema, functions);
    match &node.kind {
        NodeKind::Project(expressions) => {
            for (expression, field) in expressions.iter().zip(node.schema.fields()) {
                assert_eq!(of(expression), *field.data_type(), "{}", expression.sql);
            }
            expressions.len()
        }
        NodeKind::Filter(predicate) => {
            assert_eq!(of(predicate), DataType::Boolean, "{}", predicate.sql);
            1
        }
        NodeKind::Watermark(watermark) => {
            let time = input.schema.field(watermark.column).data_type();
            assert_eq!(
                of(&watermark.expression),
                *time,
                "{}",
                watermark.expression.sql
            );
            1
        }
        NodeKind::Aggregate(aggregate) => {
            for call in &aggregate.aggregates {
                let whole = Expr::from_bytes_with_ctx(&call.expression.encoded, functions);
                let whole = whole.unwrap_or_else(|error| panic!("{}: {error}", call.sql()));
                assert!(matches!(whole, Expr::AggregateFunction(_)), "{whole}");
                call.arguments
                    .iter()
                    .for_each(|argument| drop(of(argument)));
                assert!(
                    call.filter
                        .iter()
                        .all(|filter| of(filter) == DataType::Boolean),
                    "{}",
                    call.sql()
                );
                assert!(!call.state_fields.is_empty(), "{}", call.sql());
            }
            aggregate.aggregates.len()
        }
        NodeKind::LookupJoin(join) => {
            for (left, right) in join.left_keys.iter().zip(&join.right_keys) {
                assert_eq!(
                    of(left),
                    join.table.columns[*right].data_type,
                    "{}",
                    left.sql
                );
            }
            let residual = join
                .residual
                .iter()
                .map(|residual| compiled(residual, &node.schema, functions));
            assert!(
                residual
                    .into_iter()
                    .all(|data_type| data_type == DataType::Boolean)
            );
            join.left_keys.len()
        }
        _ => 0,
    }
}

#[test]
fn every_expression_decodes_and_compiles_to_the_type_of_its_column() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sql");
    let mut checked = 0;
    for entry in fs::read_dir(folder).expect("the folder of scripts is there") {
        let path = entry.expect("it is readable").path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            let script = fs::read_to_string(&path).expect("a script is text");
            let planned = plan(&script, &loader::environment())
                .unwrap_or_else(|errors| panic!("{}:\n{errors}", path.display()));
            let functions = planned.functions.task_context();
            for dataflow in std::iter::once(&planned.dataflow).chain(&planned.explained) {
                checked += dataflow
                    .nodes
                    .iter()
                    .map(|node| check(node, dataflow, &functions))
                    .sum::<usize>();
            }
        }
    }
    assert!(checked > 50, "only {checked} expressions were found");
}
