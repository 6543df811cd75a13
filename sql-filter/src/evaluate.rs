//! Asks an expression about one message, with the three truth values of SQL.

use std::cmp::Ordering;

use crate::PropertyLookup;
use crate::expression::{Between, Constant, Expression, In, Order, Search};
use crate::number;

/// Elements of IN up to which looking at each is faster than bisecting.
const FEW: usize = 8;

/// What an expression gives for a message.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Null,
    Truth(bool),
    Int(i32),
    Long(i64),
    Double(f64),
    Text(&'a str),
}

/// The comparison is impossible, where RocketMQ throws: the message does not pass.
#[derive(Debug)]
pub(crate) struct Impossible;

/// True, false or unknown.
type Truth = Result<Option<bool>, Impossible>;

/// The truth value of an expression. One that gives none (a number, say) is false.
pub(crate) fn truth<P: PropertyLookup + ?Sized>(expression: &Expression, properties: &P) -> Truth {
    Ok(match expression {
        Expression::Constant(Constant::Truth(truth)) => Some(*truth),
        Expression::Constant(Constant::Null) => None,
        Expression::Constant(_) | Expression::Property(_) | Expression::Negated(_) => Some(false),
        // Whatever the text is: only its absence matters.
        Expression::AsTruth(name) => properties.get(name).map(|_| false),
        Expression::Not(inner) => truth(inner, properties)?.map(|truth| !truth),
        Expression::All(parts) => return until(parts, properties, false),
        Expression::Any(parts) => return until(parts, properties, true),
        Expression::Equal(sides) => return equal(sides, properties),
        Expression::IsNull(inner) => Some(matches!(value(inner, properties)?, Value::Null)),
        Expression::Order(order, sides) => {
            let left = value(&sides[0], properties)?;
            return ordered(*order, left, &sides[1], properties);
        }
        Expression::Between(between) => return is_between(between, properties),
        Expression::In(list) => properties.get(&list.property).map(|text| is_in(list, text)),
        Expression::Search(search) => Some(found(search, properties)?),
    })
}

/// Asks the parts in order and stops at the first that is `decisive`: false for AND, true for OR.
fn until<P: PropertyLookup + ?Sized>(
    parts: &[Expression],
    properties: &P,
    decisive: bool,
) -> Truth {
    let mut unknown = false;
    for part in parts {
        match truth(part, properties)? {
            Some(truth) if truth == decisive => return Ok(Some(decisive)),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { None } else { Some(!decisive) })
}

fn value<'a, P: PropertyLookup + ?Sized>(
    expression: &'a Expression,
    properties: &'a P,
) -> Result<Value<'a>, Impossible> {
    Ok(match expression {
        Expression::Constant(constant) => match constant {
            Constant::Null => Value::Null,
            Constant::Truth(truth) => Value::Truth(*truth),
            Constant::Int(number) => Value::Int(*number),
            Constant::Long(number) => Value::Long(*number),
            Constant::Double(number) => Value::Double(*number),
            Constant::Text(text) => Value::Text(text),
        },
        Expression::Property(name) => properties.get(name).map_or(Value::Null, Value::Text),
        Expression::Negated(inner) => match value(inner, properties)? {
            Value::Int(number) => Value::Int(number.wrapping_neg()),
            Value::Long(number) => Value::Long(number.wrapping_neg()),
            Value::Double(number) => Value::Double(-number),
            Value::Null | Value::Truth(_) | Value::Text(_) => Value::Null,
        },
        boolean => truth(boolean, properties)?.map_or(Value::Null, Value::Truth),
    })
}

fn equal<P: PropertyLookup + ?Sized>(sides: &[Expression; 2], properties: &P) -> Truth {
    let left = value(&sides[0], properties)?;
    let right = value(&sides[1], properties)?;
    Ok(match (left, right) {
        (Value::Null, Value::Null) => Some(true),
        (Value::Null, _) => None,
        (_, Value::Null) => Some(false),
        (Value::Text(left), Value::Text(right)) => Some(left == right),
        (Value::Truth(left), Value::Truth(right)) => Some(left == right),
        (left, right) => Some(compare(left, right)?.is_eq()),
    })
}

/// The right side is not looked at when there is nothing to compare it with.
fn ordered<P: PropertyLookup + ?Sized>(
    order: Order,
    left: Value<'_>,
    right: &Expression,
    properties: &P,
) -> Truth {
    if let Value::Null = left {
        return Ok(None);
    }
    let ordering = match (left, value(right, properties)?) {
        (_, Value::Null) => return Ok(None),
        (Value::Text(left), Value::Text(right)) => double(left)?.total_cmp(&double(right)?),
        (left, right) => compare(left, right)?,
    };
    Ok(Some(order.holds(ordering)))
}

/// Compares values of different kinds: the shorter number becomes the longer one, a text
/// becomes what the other side is.
fn compare(left: Value<'_>, right: Value<'_>) -> Result<Ordering, Impossible> {
    use Value::{Double, Int, Long, Text, Truth};
    Ok(match (left, right) {
        (Int(left), Int(right)) => left.cmp(&right),
        (Int(left), Long(right)) => i64::from(left).cmp(&right),
        (Long(left), Int(right)) => left.cmp(&i64::from(right)),
        (Long(left), Long(right)) => left.cmp(&right),
        (Int(left), Double(right)) => f64::from(left).total_cmp(&right),
        (Double(left), Int(right)) => left.total_cmp(&f64::from(right)),
        (Long(left), Double(right)) => (left as f64).total_cmp(&right),
        (Double(left), Long(right)) => left.total_cmp(&(right as f64)),
        (Double(left), Double(right)) => left.total_cmp(&right),
        (Text(left), Int(right)) => int(left)?.cmp(&right),
        (Int(left), Text(right)) => left.cmp(&int(right)?),
        (Text(left), Long(right)) => long(left)?.cmp(&right),
        (Long(left), Text(right)) => left.cmp(&long(right)?),
        (Text(left), Double(right)) => double(left)?.total_cmp(&right),
        (Double(left), Text(right)) => left.total_cmp(&double(right)?),
        (Text(left), Truth(right)) => left.eq_ignore_ascii_case("true").cmp(&right),
        (Text(left), Text(right)) => left.cmp(right),
        (Truth(left), Truth(right)) => left.cmp(&right),
        // Java casts the truth value to a string here, and fails.
        (Truth(_), Text(_)) => return Err(Impossible),
        // Nothing to compare: Java calls the left side the lesser one.
        (Truth(_), _) | (_, Truth(_)) | (Value::Null, _) | (_, Value::Null) => Ordering::Less,
    })
}

fn int(text: &str) -> Result<i32, Impossible> {
    number::int(text).ok_or(Impossible)
}

fn long(text: &str) -> Result<i64, Impossible> {
    number::long(text).ok_or(Impossible)
}

fn double(text: &str) -> Result<f64, Impossible> {
    number::double(text).ok_or(Impossible)
}

fn is_between<P: PropertyLookup + ?Sized>(between: &Between, properties: &P) -> Truth {
    let value = value(&between.value, properties)?;
    let (first, second, decisive) = if between.outside {
        (Order::Less, Order::Greater, true)
    } else {
        (Order::GreaterOrEqual, Order::LessOrEqual, false)
    };
    let first = ordered(first, value, &between.low, properties)?;
    if first == Some(decisive) {
        return Ok(first);
    }
    let second = ordered(second, value, &between.high, properties)?;
    Ok(if second == Some(decisive) {
        second
    } else {
        first.and(second)
    })
}

fn is_in(list: &In, text: &str) -> bool {
    let found = if list.elements.len() <= FEW {
        list.elements.iter().any(|element| **element == *text)
    } else {
        list.elements
            .binary_search_by(|element| (**element).cmp(text))
            .is_ok()
    };
    found != list.outside
}

/// False without a text to search in and without one to search for, even when absence is asked.
/// In the latter case the left side is not looked at, and cannot fail.
fn found<P: PropertyLookup + ?Sized>(search: &Search, properties: &P) -> Result<bool, Impossible> {
    if search.sought.is_empty() {
        return Ok(false);
    }
    Ok(match value(&search.value, properties)? {
        Value::Text(text) => search.place.has(text, &search.sought) != search.absent,
        _ => false,
    })
}
