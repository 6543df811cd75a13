//! Looks through a parsed query for what no operator does, and says where it stands.
//!
//! The SQL planner would either accept such clauses or refuse them without a place. Names of
//! tables and functions are checked here too, because here their places are known.

use sqlparser::ast::{
    self, DateTimeField, Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, Join, JoinConstraint, JoinOperator, ObjectName, Query, Select, SetExpr,
    SetOperator, SetQuantifier, Spanned, TableFactor, TableVersion, Visit, Visitor,
};
use std::ops::ControlFlow;

use crate::{
    dialect::place,
    error::{Error, Place},
    functions::Functions,
    nearest::nearest,
};

/// Which tables and views a query may read.
pub(crate) trait Relations {
    fn knows(&self, name: &str) -> bool;
    /// A statement for it failed, so it is no news that it is missing.
    fn is_broken(&self, name: &str) -> bool;
    fn names(&self) -> Vec<String>;
}

/// Everything in the query that cannot be planned, in no order. `start` is where it begins.
///
/// An empty list inside `Err` means that the query reads something already reported.
pub(crate) fn check(
    query: &Query,
    start: Place,
    relations: &dyn Relations,
    functions: &Functions,
) -> Result<(), Vec<Error>> {
    let mut check = Check {
        relations,
        functions,
        start,
        common: Vec::new(),
        errors: Vec::new(),
        broken: false,
    };
    check.query(query);
    let _ = Visit::visit(query, &mut check);
    match check.errors.is_empty() && !check.broken {
        true => Ok(()),
        false => Err(check.errors),
    }
}

struct Check<'a> {
    relations: &'a dyn Relations,
    functions: &'a Functions,
    start: Place,
    /// Names of common table expressions seen so far.
    common: Vec<String>,
    errors: Vec<Error>,
    broken: bool,
}

impl Check<'_> {
    fn refuse(&mut self, at: &impl Spanned, what: impl std::fmt::Display) {
        let place = self.place(at);
        self.errors.push(Error::unsupported(place, what));
    }

    fn refuse_with(&mut self, at: &impl Spanned, what: impl std::fmt::Display, hint: &str) {
        let place = self.place(at);
        self.errors.push(Error::unsupported(place, what).hint(hint));
    }

    fn place(&self, at: &impl Spanned) -> Place {
        let span = at.span();
        if span.start.line == 0 {
            self.start
        } else {
            place(span)
        }
    }

    fn query(&mut self, query: &Query) {
        if let Some(with) = &query.with {
            if with.recursive {
                self.refuse(with, "WITH RECURSIVE");
            }
            for common in &with.cte_tables {
                self.query(&common.query);
                let name = &common.alias.name;
                if self.relations.knows(&name.value) {
                    let error = Error::new(
                        "sql.name.taken",
                        place(name.span),
                        format!("{} is a table or view already", name.value),
                    );
                    self.errors
                        .push(error.hint("give the common table expression another name"));
                }
                self.common.push(name.value.clone());
            }
        }
        if let Some(order) = &query.order_by {
            self.refuse_with(
                order,
                "ORDER BY",
                "leave it out: an endless result has no last row",
            );
        }
        if let Some(limit) = &query.limit_clause {
            self.refuse(limit, "LIMIT");
        }
        if let Some(fetch) = &query.fetch {
            self.refuse(fetch, "FETCH");
        }
        self.body(&query.body);
    }

    fn body(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation {
                left,
                op: SetOperator::Union,
                set_quantifier,
                right,
            } => {
                if *set_quantifier != SetQuantifier::All {
                    self.refuse_with(right.as_ref(), "UNION", "UNION ALL");
                }
                self.body(left);
                self.body(right);
            }
            SetExpr::SetOperation { op, right, .. } => self.refuse(right.as_ref(), op),
            other => self.refuse(other, "this kind of query"),
        }
    }

    fn select(&mut self, select: &Select) {
        if let Some(Distinct::On(columns)) = &select.distinct {
            match columns.first() {
                Some(first) => self.refuse(first, "DISTINCT ON"),
                None => self.refuse(select, "DISTINCT ON"),
            }
        }
        let clauses: [(bool, &str); 8] = [
            (select.top.is_some(), "TOP"),
            (select.into.is_some(), "SELECT INTO"),
            (!select.lateral_views.is_empty(), "LATERAL VIEW"),
            (select.prewhere.is_some(), "PREWHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (
                !select.sort_by.is_empty()
                    || !select.cluster_by.is_empty()
                    || !select.distribute_by.is_empty(),
                "SORT BY",
            ),
            (!select.named_window.is_empty(), "WINDOW"),
            (select.from.is_empty(), "a query without FROM"),
        ];
        for (_, what) in clauses.into_iter().filter(|(present, _)| *present) {
            self.refuse(select, what);
        }
        if let Some(qualify) = &select.qualify {
            self.refuse(qualify, "QUALIFY");
        }
        match &select.group_by {
            GroupByExpr::All(_) => self.refuse(&select.group_by, "GROUP BY ALL"),
            GroupByExpr::Expressions(keys, modifiers) => {
                if !modifiers.is_empty() {
                    self.refuse(&select.group_by, "a modifier of GROUP BY");
                }
                for key in keys {
                    if matches!(key, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_)) {
                        self.refuse(key, "GROUPING SETS, CUBE or ROLLUP");
                    }
                }
            }
        }
        if let [_, second, ..] = select.from.as_slice() {
            self.refuse_with(
                second,
                "a join by comma",
                "JOIN … FOR SYSTEM_TIME AS OF … ON …",
            );
        }
        for from in &select.from {
            self.first_relation(&from.relation);
            for join in &from.joins {
                self.join(join);
            }
        }
    }

    fn first_relation(&mut self, relation: &TableFactor) {
        match relation {
            TableFactor::Table {
                name,
                args: None,
                version,
                ..
            } => {
                if let Some(version) = version {
                    self.refuse_with(
                        version_expression(version),
                        "FOR SYSTEM_TIME AS OF on the first table",
                        "it belongs to a joined table",
                    );
                }
                self.table(name);
            }
            TableFactor::Table {
                name,
                args: Some(arguments),
                ..
            } if name.to_string().eq_ignore_ascii_case("TUMBLE") => {
                let data = arguments.args.iter().find_map(|argument| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(table))) => {
                        Some(table)
                    }
                    FunctionArg::Named {
                        name,
                        arg: FunctionArgExpr::Expr(Expr::Identifier(table)),
                        ..
                    } if name.value.eq_ignore_ascii_case("DATA") => Some(table),
                    _ => None,
                });
                if let Some(table) = data {
                    self.relation(&table.value, place(table.span));
                }
            }
            TableFactor::Table { name, .. } => {
                self.refuse(name, format!("the table function {name}"))
            }
            TableFactor::Derived {
                lateral: false,
                subquery,
                ..
            } => self.query(subquery),
            other => self.refuse(other, "this kind of table"),
        }
    }

    fn join(&mut self, join: &Join) {
        let constraint = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => constraint,
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => constraint,
            other => {
                let name = match other {
                    JoinOperator::Right(_) | JoinOperator::RightOuter(_) => "RIGHT JOIN",
                    JoinOperator::FullOuter(_) => "FULL JOIN",
                    JoinOperator::CrossJoin(_) => "CROSS JOIN",
                    _ => "this kind of join",
                };
                return self.refuse_with(&join.relation, name, "JOIN or LEFT JOIN");
            }
        };
        if !matches!(constraint, JoinConstraint::On(_) | JoinConstraint::Using(_)) {
            self.refuse(&join.relation, "a join without ON");
        }
        match &join.relation {
            TableFactor::Table {
                name,
                args: None,
                version: Some(TableVersion::ForSystemTimeAsOf(_)),
                ..
            } => self.table(name),
            TableFactor::Table {
                name,
                args: None,
                version: None,
                ..
            } => {
                self.table(name);
                let hint = format!(
                    "JOIN {name} FOR SYSTEM_TIME AS OF the first table's PROCTIME() column looks rows up"
                );
                self.refuse_with(&join.relation, "a join of two streams", &hint);
            }
            other => self.refuse(other, "a join of two streams"),
        }
    }

    fn table(&mut self, name: &ObjectName) {
        let written = match name.0.as_slice() {
            [part] => part.as_ident().map(|identifier| identifier.value.clone()),
            _ => None,
        };
        let Some(written) = written else {
            return self.refuse(
                name,
                format!("the name {name}, with a catalog or database before it,"),
            );
        };
        self.relation(&written, self.place(name));
    }

    fn relation(&mut self, written: &str, at: Place) {
        if self.relations.is_broken(written) {
            self.broken = true;
        } else if !self.relations.knows(written)
            && !self.common.iter().any(|common| common == written)
        {
            self.errors.push(unknown_table(written, at, self.relations));
        }
    }

    fn function(&mut self, function: &Function) {
        let written = function.name.to_string();
        let lower = written.to_lowercase();
        if !self.functions.names().any(|known| known == lower) {
            let mut error = Error::new(
                "sql.function.unknown",
                self.place(&function.name),
                format!("there is no function {written}"),
            );
            error = error
                .nearest(nearest(&written, self.functions.names()).map(|word| word.to_uppercase()));
            self.errors.push(error);
            return;
        }
        if function.over.is_some() {
            self.refuse(&function.name, "OVER");
        }
        if !function.within_group.is_empty() || function.null_treatment.is_some() {
            self.refuse(&function.name, "WITHIN GROUP or a treatment of nulls");
        }
        let expected = match lower.as_str() {
            "concat" => 1..=usize::MAX,
            "mod" | "ifnull" => 2..=2,
            name if crate::functions::RESPELLED.contains(&name) => 1..=1,
            _ => 0..=usize::MAX,
        };
        let (given, clauses) = match &function.args {
            FunctionArguments::List(list) => (list.args.len(), !list.clauses.is_empty()),
            _ => (0, false),
        };
        if !expected.contains(&given) {
            let error = Error::new(
                "sql.function.arguments",
                self.place(&function.name),
                format!("{written} cannot be called with {given} arguments"),
            );
            self.errors.push(error);
        }
        if clauses {
            self.refuse(
                &function.name,
                "ORDER BY or another clause inside a function",
            );
        }
    }
}

impl Visitor for Check<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Function(function) => self.function(function),
            Expr::InSubquery { subquery, .. }
            | Expr::Exists { subquery, .. }
            | Expr::Subquery(subquery) => {
                self.refuse(subquery.as_ref(), "a query inside an expression");
            }
            Expr::Extract { field, expr, .. } => {
                use DateTimeField as F;
                if !matches!(
                    field,
                    F::Year
                        | F::Quarter
                        | F::Month
                        | F::Week(None)
                        | F::Day
                        | F::Hour
                        | F::Minute
                        | F::Second
                ) {
                    self.refuse(expr.as_ref(), format!("EXTRACT of {field}"));
                }
            }
            Expr::Cast {
                kind: ast::CastKind::TryCast | ast::CastKind::SafeCast,
                expr,
                ..
            } => {
                self.refuse_with(expr.as_ref(), "TRY_CAST", "CAST");
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Checks the functions of an expression outside a query.
pub(crate) fn check_expression(
    expression: &Expr,
    start: Place,
    functions: &Functions,
) -> Result<(), Vec<Error>> {
    let mut check = Check {
        relations: &Nothing,
        functions,
        start,
        common: Vec::new(),
        errors: Vec::new(),
        broken: false,
    };
    let _ = Visit::visit(expression, &mut check);
    match check.errors.is_empty() {
        true => Ok(()),
        false => Err(check.errors),
    }
}

struct Nothing;

impl Relations for Nothing {
    fn knows(&self, _: &str) -> bool {
        false
    }

    fn is_broken(&self, _: &str) -> bool {
        false
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

pub(crate) fn unknown_table(written: &str, place: Place, relations: &dyn Relations) -> Error {
    let names = relations.names();
    let why = match names.as_slice() {
        [] => "the script creates none before this statement".to_owned(),
        names => format!("the script creates {}", names.join(", ")),
    };
    Error::new(
        "sql.table.unknown",
        place,
        format!("there is no table or view {written}"),
    )
    .why(why)
    .nearest(nearest(written, names.iter().map(String::as_str)))
}

fn version_expression(version: &TableVersion) -> &Expr {
    match version {
        TableVersion::ForSystemTimeAsOf(expression)
        | TableVersion::TimestampAsOf(expression)
        | TableVersion::VersionAsOf(expression)
        | TableVersion::Function(expression) => expression,
        TableVersion::Changes { changes, .. } => changes,
    }
}
