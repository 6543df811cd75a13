//! Spells Flink's functions so that the SQL planner gives them Flink's meaning.
//!
//! `CONCAT` is null if an argument is, so it becomes `||`; the planner's own leaves nulls out.

use sqlparser::ast::{
    BinaryOperator, DateTimeField, Expr, ExtractSyntax, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, Select, SelectItem, VisitMut, VisitorMut,
};
use std::{collections::BTreeMap, ops::ControlFlow};

/// Respells every function call in a query or an expression.
pub(crate) fn respell(tree: &mut impl VisitMut) {
    let _ = VisitMut::visit(tree, &mut Respelling);
}

struct Respelling;

impl VisitorMut for Respelling {
    type Break = ();

    /// Gives an expression that is selected twice two names, as Flink does.
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expression) = item else {
                continue;
            };
            let text = expression.to_string();
            let times = seen.entry(text.clone()).or_insert(0);
            *times += 1;
            if *times > 1 {
                let alias = Ident::with_quote('`', format!("{text}{}", *times - 2));
                *item = SelectItem::ExprWithAlias {
                    expr: expression.clone(),
                    alias,
                };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expression
            && let Some(respelled) = respelled(function)
        {
            *expression = respelled;
        }
        ControlFlow::Continue(())
    }
}

fn respelled(function: &mut Function) -> Option<Expr> {
    let name = function.name.to_string().to_lowercase();
    let field = match name.as_str() {
        "ifnull" => {
            function.name = ObjectName::from(vec![Ident::new("coalesce")]);
            return None;
        }
        "concat" => {
            let mut parts = arguments(function)?.into_iter();
            let first = parts.next()?;
            return Some(parts.fold(first, |left, right| {
                binary(left, BinaryOperator::StringConcat, right)
            }));
        }
        "mod" => {
            let [left, right] = <[Expr; 2]>::try_from(arguments(function)?).ok()?;
            return Some(binary(left, BinaryOperator::Modulo, right));
        }
        "year" => DateTimeField::Year,
        "quarter" => DateTimeField::Quarter,
        "month" => DateTimeField::Month,
        "week" => DateTimeField::Week(None),
        "dayofmonth" => DateTimeField::Day,
        "hour" => DateTimeField::Hour,
        "minute" => DateTimeField::Minute,
        "second" => DateTimeField::Second,
        _ => return None,
    };
    let [expr] = <[Expr; 1]>::try_from(arguments(function)?).ok()?;
    Some(Expr::Extract {
        field,
        syntax: ExtractSyntax::From,
        expr: Box::new(expr),
    })
}

fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let plain = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression.clone()),
        _ => None,
    };
    list.args.iter().map(plain).collect()
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }))
}
