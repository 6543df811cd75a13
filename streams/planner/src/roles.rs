//! Which columns of a plan carry time, and which are the bounds of windows.

use datafusion::{
    common::{DFSchema, tree_node::TreeNode},
    logical_expr::{Expr, LogicalPlan},
};

use crate::{
    catalog::Scanned,
    functions::PROCTIME,
    tumble::{EmitNode, TumbleNode},
};

/// What a column means beyond its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    #[default]
    Plain,
    /// A watermark runs behind it.
    EventTime,
    /// The epoch's time.
    ProcessingTime,
    WindowStart,
    WindowEnd,
}

/// The role of each column of a plan's schema. Unknown nodes have plain columns.
pub(crate) fn roles(plan: &LogicalPlan) -> Vec<Role> {
    match plan {
        LogicalPlan::Projection(projection) => of_expressions(&projection.expr, &projection.input),
        LogicalPlan::Filter(filter) => roles(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => roles(&alias.input),
        LogicalPlan::Distinct(_) => vec![Role::Plain; plan.schema().fields().len()],
        LogicalPlan::Aggregate(aggregate) => {
            let mut keys = of_expressions(&aggregate.group_expr, &aggregate.input);
            if !keys.contains(&Role::WindowEnd) {
                keys = vec![Role::Plain; keys.len()];
            }
            keys.extend(aggregate.aggr_expr.iter().map(|_| Role::Plain));
            keys
        }
        LogicalPlan::Join(join) => {
            let mut all = roles(&join.left);
            all.resize(plan.schema().fields().len(), Role::Plain);
            all
        }
        LogicalPlan::Union(union) => {
            let mut inputs = union.inputs.iter().map(|input| roles(input));
            let first = inputs.next().unwrap_or_default();
            inputs.fold(first, |common, input| {
                let agree =
                    |(one, other): (Role, Role)| if one == other { one } else { Role::Plain };
                common.into_iter().zip(input).map(agree).collect()
            })
        }
        LogicalPlan::TableScan(scan) => match Scanned::of(&scan.source) {
            Some(scanned) if !scanned.lookup => match &scan.projection {
                Some(columns) => columns
                    .iter()
                    .map(|column| scanned.table.roles[*column])
                    .collect(),
                None => scanned.table.roles.clone(),
            },
            _ => vec![Role::Plain; plan.schema().fields().len()],
        },
        LogicalPlan::Extension(extension) => {
            let node = extension.node.as_any();
            if let Some(tumble) = node.downcast_ref::<TumbleNode>() {
                let input = roles(&tumble.input).into_iter();
                let past = input.map(|role| {
                    if role == Role::ProcessingTime {
                        role
                    } else {
                        Role::Plain
                    }
                });
                return past
                    .chain([Role::WindowStart, Role::WindowEnd, Role::EventTime])
                    .collect();
            }
            match node.downcast_ref::<EmitNode>() {
                Some(emit) => roles(&emit.input),
                None => vec![Role::Plain; plan.schema().fields().len()],
            }
        }
        other => vec![Role::Plain; other.schema().fields().len()],
    }
}

/// Roles of expressions over a plan's columns.
pub(crate) fn of_expressions(expressions: &[Expr], input: &LogicalPlan) -> Vec<Role> {
    let known = roles(input);
    expressions
        .iter()
        .map(|expression| of_expression(expression, input.schema(), &known))
        .collect()
}

/// The role of one expression: a column keeps its own, `PROCTIME()` has one.
pub(crate) fn of_expression(expression: &Expr, schema: &DFSchema, known: &[Role]) -> Role {
    match expression {
        Expr::Alias(alias) => of_expression(&alias.expr, schema, known),
        Expr::Column(column) => schema
            .maybe_index_of_column(column)
            .and_then(|column| known.get(column).copied())
            .unwrap_or_default(),
        Expr::ScalarFunction(function) if function.name() == PROCTIME => Role::ProcessingTime,
        _ => Role::Plain,
    }
}

/// Whether a plan assigns windows anywhere.
pub(crate) fn has_windows(plan: &LogicalPlan) -> bool {
    plan.exists(|node| {
        Ok(match node {
            LogicalPlan::Extension(extension) => {
                let node = extension.node.as_any();
                node.is::<TumbleNode>()
            }
            _ => false,
        })
    })
    .unwrap_or(false)
}
