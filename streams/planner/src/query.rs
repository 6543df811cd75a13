//! From a parsed query to a checked and typed plan, and from there to a lean one.

use datafusion::{
    common::{Column, DataFusionError, SchemaError, tree_node::TreeNode},
    logical_expr::LogicalPlan,
    optimizer::{
        Analyzer, Optimizer, OptimizerContext, OptimizerRule, eliminate_filter::EliminateFilter,
        extract_equijoin_predicate::ExtractEquijoinPredicate,
        optimize_projections::OptimizeProjections, push_down_filter::PushDownFilter,
        simplify_expressions::SimplifyExpressions,
    },
};
use sqlparser::ast::{self, Ident, Spanned};
use std::sync::Arc;

use crate::{
    catalog::{Catalog, Scanned},
    dialect::{lower_first, place},
    error::{Error, Place},
    functions::Functions,
    meaning::give_flinks_meaning,
    nearest::nearest,
    relations::{AsOf, FlinkRelations, Mode},
    respell::respell,
    roles::{Role, has_windows, roles},
    scope::{Scope, options},
    statements::{Emission, QueryText},
    supported,
    tumble::EmitNode,
};

/// Plans a query over what the script has created so far. No errors inside `Err` mean that it
/// reads something already reported.
pub(crate) fn plan(
    text: QueryText,
    mode: Mode,
    catalog: &Catalog,
    functions: &Functions,
) -> Result<LogicalPlan, Vec<Error>> {
    let QueryText {
        mut query,
        emission,
        place,
    } = text;
    supported::check(&query, place, catalog, functions)?;
    respell(query.as_mut());
    let (relations, lookups) = FlinkRelations::new(mode, catalog);
    let scope = Scope::new(catalog, functions, relations);
    let one = |error: DataFusionError| vec![planning_error(&error, place)];
    let planned = scope.query(*query).map_err(one)?;
    let analyzed = analyze(give_flinks_meaning(planned).map_err(one)?).map_err(one)?;
    if mode == Mode::Batch {
        return Ok(analyzed);
    }
    let lookups = lookups
        .lock()
        .expect("no thread panics while it holds the lookups")
        .clone();
    let errors: Vec<Error> = lookups
        .iter()
        .filter_map(|lookup| check_lookup(lookup, &analyzed, place).err())
        .collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    match emission {
        Some((Emission::OnWindowClose, clause)) if !has_windows(&analyzed) => Err(vec![
            Error::new(
                "sql.emit.window",
                clause,
                "EMIT ON WINDOW CLOSE needs a window to close",
            )
            .hint("group by window_start and window_end of TABLE(TUMBLE(…))"),
        ]),
        Some((emission, _)) => Ok(EmitNode::plan(analyzed, emission)),
        None => Ok(analyzed),
    }
}

/// Resolves types and inserts the casts that follow from them.
pub(crate) fn analyze(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    Analyzer::new().execute_and_check(plan, &options(), |_, _| {})
}

/// Applies the rules that keep the meaning of a plan over changing tables, and no others.
pub(crate) fn optimize(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![
        Arc::new(SimplifyExpressions::new()),
        Arc::new(ExtractEquijoinPredicate::new()),
        Arc::new(EliminateFilter::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(OptimizeProjections::new()),
    ];
    let context = OptimizerContext::new_with_config_options(Arc::new(options()))
        .with_skip_failing_rules(false);
    Optimizer::with_rules(rules).optimize(plan, &context, |_, _| {})
}

/// `AS OF` must name a processing-time column of the side that looks up.
fn check_lookup(lookup: &AsOf, plan: &LogicalPlan, start: Place) -> Result<(), Error> {
    let span = lookup.expression.span();
    let at = if span.start.line == 0 {
        start
    } else {
        place(span)
    };
    let column = match &lookup.expression {
        ast::Expr::Identifier(name) => Column::new_unqualified(&name.value),
        ast::Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [Ident { value: table, .. }, Ident { value: name, .. }] => {
                Column::new(Some(table.as_str()), name)
            }
            _ => return Err(not_a_time(at, lookup)),
        },
        _ => return Err(not_a_time(at, lookup)),
    };
    let mut found = None;
    let visited = plan.apply(|node| {
        if let LogicalPlan::Join(join) = node
            && looks_up(&join.right, &lookup.table)
            && let Some(position) = join.left.schema().maybe_index_of_column(&column)
        {
            let role = roles(&join.left).get(position).copied().unwrap_or_default();
            found = found
                .filter(|known| *known == Role::ProcessingTime)
                .or(Some(role));
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    });
    visited.map_err(|error| planning_error(&error, start))?;
    match found {
        Some(Role::ProcessingTime) => Ok(()),
        Some(Role::EventTime) => Err(Error::unsupported(
            at,
            "a join with the table as of an event time",
        )
        .why("rows are looked up as they are now")
        .hint("declare a column  proctime AS PROCTIME()  and name it behind AS OF")),
        Some(_) => Err(not_a_time(at, lookup)),
        None => Err(Error::new(
            "sql.column.unknown",
            at,
            format!(
                "there is no column {} to the left of {}",
                lookup.expression, lookup.table
            ),
        )),
    }
}

fn not_a_time(at: Place, lookup: &AsOf) -> Error {
    Error::new(
        "sql.lookup.time",
        at,
        format!("{} is not a processing time", lookup.expression),
    )
    .hint("declare a column  proctime AS PROCTIME()  in the first table and name it behind AS OF")
}

fn looks_up(plan: &LogicalPlan, table: &str) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => Scanned::of(&scan.source)
            .is_some_and(|scanned| scanned.lookup && scanned.table.spec.name == table),
        LogicalPlan::SubqueryAlias(alias) => looks_up(&alias.input, table),
        LogicalPlan::Projection(projection) => looks_up(&projection.input, table),
        LogicalPlan::Filter(filter) => looks_up(&filter.input, table),
        _ => false,
    }
}

/// One of the SQL planner's errors in our form, at the place it names, else at `start`.
pub(crate) fn planning_error(error: &DataFusionError, start: Place) -> Error {
    let root = error.find_root();
    if let DataFusionError::External(external) = root
        && let Some(own) = external.downcast_ref::<Error>()
    {
        return own.clone();
    }
    let diagnostic = error.diagnostic();
    let spanned = |span: datafusion::common::Span| Place {
        line: span.start.line,
        column: span.start.column,
        length: if span.start.line == span.end.line {
            span.end.column.saturating_sub(span.start.column)
        } else {
            1
        },
    };
    let mut at = diagnostic
        .and_then(|diagnostic| diagnostic.span)
        .map_or(start, spanned);
    if let DataFusionError::SchemaError(schema_error, _) = root {
        match schema_error.as_ref() {
            SchemaError::FieldNotFound {
                field,
                valid_fields,
            } => {
                at = field.spans.first().map_or(at, spanned);
                let qualified = field.relation.is_some();
                let text = |column: &Column| {
                    if qualified {
                        column.flat_name()
                    } else {
                        column.name.clone()
                    }
                };
                let mut names: Vec<String> = valid_fields.iter().map(text).collect();
                names.sort();
                names.dedup();
                let near = nearest(&text(field), names.iter().map(String::as_str));
                return Error::new(
                    "sql.column.unknown",
                    at,
                    format!("there is no column {}", text(field)),
                )
                .why(format!("the columns are {}", names.join(", ")))
                .nearest(near);
            }
            SchemaError::AmbiguousReference { field } => {
                at = field.spans.first().map_or(at, spanned);
                return Error::new(
                    "sql.column.ambiguous",
                    at,
                    format!("column {} is in more than one table", field.name),
                )
                .hint(format!(
                    "write the table's name before it, as in t.{}",
                    field.name
                ));
            }
            SchemaError::DuplicateQualifiedField { name, .. }
            | SchemaError::DuplicateUnqualifiedField { name } => {
                return Error::new(
                    "sql.column.repeated",
                    at,
                    format!("column {name} is given twice"),
                )
                .hint("give one of them another name with AS");
            }
        }
    }
    let message = match diagnostic {
        Some(diagnostic) => diagnostic.message.clone(),
        None => root.message().into_owned(),
    };
    let first_line = message.lines().next().unwrap_or_default();
    Error::new(
        "sql.plan",
        at,
        lower_first(first_line.trim_end_matches('.')),
    )
}
