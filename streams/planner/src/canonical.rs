//! The canonical text of expressions: our own, so that operator names outlive upgrades.
//!
//! It is also the list of what operators evaluate: an expression without a text is refused.

use arrow::datatypes::{DataType, Decimal128Type, DecimalType, IntervalMonthDayNanoType};
use datafusion::{
    common::ScalarValue,
    logical_expr::{Case, Expr, Operator, expr::AggregateFunction},
};

use crate::types::{canonical, flink_type};

/// The text of an expression whose columns are unqualified, or what in it has none.
pub(crate) fn text(expression: &Expr) -> Result<String, String> {
    Ok(match expression {
        Expr::Alias(alias) => text(&alias.expr)?,
        Expr::Column(column) => name(&column.name),
        Expr::Literal(value, _) => literal(value)?,
        Expr::BinaryExpr(binary) => {
            let operator = operator(binary.op)?;
            format!(
                "({} {operator} {})",
                text(&binary.left)?,
                text(&binary.right)?
            )
        }
        Expr::Like(like) => {
            let not = if like.negated { "NOT " } else { "" };
            let word = if like.case_insensitive {
                "ILIKE"
            } else {
                "LIKE"
            };
            let escape = like
                .escape_char
                .map(|escape| format!(" ESCAPE '{escape}'"))
                .unwrap_or_default();
            format!(
                "({} {not}{word} {}{escape})",
                text(&like.expr)?,
                text(&like.pattern)?
            )
        }
        Expr::Not(inner) => format!("(NOT {})", text(inner)?),
        Expr::Negative(inner) => format!("(- {})", text(inner)?),
        Expr::IsNull(inner) => format!("({} IS NULL)", text(inner)?),
        Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", text(inner)?),
        Expr::IsTrue(inner) => format!("({} IS TRUE)", text(inner)?),
        Expr::IsNotTrue(inner) => format!("({} IS NOT TRUE)", text(inner)?),
        Expr::IsFalse(inner) => format!("({} IS FALSE)", text(inner)?),
        Expr::IsNotFalse(inner) => format!("({} IS NOT FALSE)", text(inner)?),
        Expr::IsUnknown(inner) => format!("({} IS UNKNOWN)", text(inner)?),
        Expr::IsNotUnknown(inner) => format!("({} IS NOT UNKNOWN)", text(inner)?),
        Expr::Between(between) => {
            let not = if between.negated { "NOT " } else { "" };
            format!(
                "({} {not}BETWEEN {} AND {})",
                text(&between.expr)?,
                text(&between.low)?,
                text(&between.high)?
            )
        }
        Expr::InList(list) => {
            let not = if list.negated { "NOT " } else { "" };
            format!("({} {not}IN ({}))", text(&list.expr)?, all(&list.list)?)
        }
        Expr::Case(case) => case_text(case)?,
        Expr::Cast(cast) => format!(
            "CAST({} AS {})",
            text(&cast.expr)?,
            flink_type(&canonical(cast.field.data_type()))
        ),
        Expr::ScalarFunction(function) => format!("{}({})", function.name(), all(&function.args)?),
        Expr::AggregateFunction(function) => aggregate(function)?,
        other => return Err(format!("the expression {other}")),
    })
}

fn aggregate(function: &AggregateFunction) -> Result<String, String> {
    let params = &function.params;
    if !params.order_by.is_empty() || params.null_treatment.is_some() {
        return Err(format!("ORDER BY inside {}", function.func.name()));
    }
    let distinct = if params.distinct { "DISTINCT " } else { "" };
    let filter = match &params.filter {
        Some(filter) => format!(" FILTER (WHERE {})", text(filter)?),
        None => String::new(),
    };
    let arguments = match params.args.as_slice() {
        [Expr::Literal(value, _)] if function.func.name() == "count" && !value.is_null() => {
            "*".to_owned()
        }
        arguments => all(arguments)?,
    };
    Ok(format!(
        "{}({distinct}{arguments}){filter}",
        function.func.name()
    ))
}

fn case_text(case: &Case) -> Result<String, String> {
    let mut written = "CASE".to_owned();
    if let Some(subject) = &case.expr {
        written += &format!(" {}", text(subject)?);
    }
    for (when, then) in &case.when_then_expr {
        written += &format!(" WHEN {} THEN {}", text(when)?, text(then)?);
    }
    if let Some(otherwise) = &case.else_expr {
        written += &format!(" ELSE {}", text(otherwise)?);
    }
    Ok(written + " END")
}

fn all(expressions: &[Expr]) -> Result<String, String> {
    Ok(expressions
        .iter()
        .map(text)
        .collect::<Result<Vec<_>, _>>()?
        .join(", "))
}

/// A column's name, quoted unless it is a plain word.
pub(crate) fn name(name: &str) -> String {
    match is_plain(name) {
        true => name.to_owned(),
        false => format!("`{}`", name.replace('`', "``")),
    }
}

/// Whether a name needs no quotes.
pub(crate) fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn operator(operator: Operator) -> Result<&'static str, String> {
    Ok(match operator {
        Operator::Eq => "=",
        Operator::NotEq => "<>",
        Operator::Lt => "<",
        Operator::LtEq => "<=",
        Operator::Gt => ">",
        Operator::GtEq => ">=",
        Operator::Plus => "+",
        Operator::Minus => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Modulo => "%",
        Operator::And => "AND",
        Operator::Or => "OR",
        Operator::IsDistinctFrom => "IS DISTINCT FROM",
        Operator::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
        Operator::StringConcat => "||",
        other => return Err(format!("the operator {other}")),
    })
}

fn literal(value: &ScalarValue) -> Result<String, String> {
    if value.is_null() {
        return Ok(match canonical(&value.data_type()) {
            DataType::Null => "NULL".to_owned(),
            typed => format!("CAST(NULL AS {})", flink_type(&typed)),
        });
    }
    Ok(match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        ScalarValue::Boolean(Some(truth)) => truth.to_string().to_uppercase(),
        ScalarValue::Float64(Some(number)) => format!("{number:?}"),
        ScalarValue::Float32(Some(number)) => format!("{number:?}"),
        ScalarValue::IntervalMonthDayNano(Some(interval)) => {
            let (months, days, nanoseconds) = IntervalMonthDayNanoType::to_parts(*interval);
            interval_text(months, days, nanoseconds)
        }
        ScalarValue::IntervalYearMonth(Some(months)) => interval_text(*months, 0, 0),
        ScalarValue::Decimal128(Some(digits), precision, scale) => {
            Decimal128Type::format_decimal(*digits, *precision, *scale)
        }
        ScalarValue::Binary(Some(bytes)) => {
            format!(
                "x'{}'",
                bytes
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
            )
        }
        ScalarValue::TimestampSecond(..)
        | ScalarValue::TimestampMillisecond(..)
        | ScalarValue::TimestampMicrosecond(..)
        | ScalarValue::TimestampNanosecond(..)
        | ScalarValue::Date32(_)
        | ScalarValue::Time32Millisecond(_)
        | ScalarValue::Time64Nanosecond(_) => {
            format!("{} '{value}'", flink_type(&value.data_type()))
        }
        other => other.to_string(),
    })
}

fn interval_text(months: i32, days: i32, nanoseconds: i64) -> String {
    let mut parts = Vec::new();
    if months != 0 {
        parts.push(format!("INTERVAL '{months}' MONTH"));
    }
    if days != 0 {
        parts.push(format!("INTERVAL '{days}' DAY"));
    }
    if nanoseconds != 0 || parts.is_empty() {
        let units = [
            (3_600_000_000_000, "HOUR"),
            (60_000_000_000, "MINUTE"),
            (1_000_000_000, "SECOND"),
            (1_000_000, "MILLISECOND"),
        ];
        let whole = units
            .iter()
            .find(|(unit, _)| nanoseconds != 0 && nanoseconds % unit == 0);
        parts.push(match whole {
            Some((unit, word)) => format!("INTERVAL '{}' {word}", nanoseconds / unit),
            None => format!("INTERVAL '{nanoseconds}' NANOSECOND"),
        });
    }
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        format!("({})", parts.join(" + "))
    }
}
