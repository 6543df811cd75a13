//! What numbers and strings in an expression stand for.

use std::cmp::Ordering;

use super::Parser;
use crate::ParseError;
use crate::expression::Constant;
use crate::number;
use crate::token::Token;

impl Parser<'_> {
    /// The string between the quotes, with each pair of quotes as one.
    pub(super) fn decoded(&self, token: Token) -> Box<str> {
        self.text[token.start + 1..token.end - 1]
            .replace("''", "'")
            .into()
    }

    /// A number of 32 bits if it fits, else of 64.
    pub(super) fn decimal(&self, token: Token) -> Result<Constant, ParseError> {
        let digits = self.text[token.start..token.end].trim_end_matches(['l', 'L']);
        let Some(number) = number::long(digits) else {
            return Err(self.refuse(token.start, "this number does not fit in 64 bits"));
        };
        Ok(i32::try_from(number).map_or(Constant::Long(number), Constant::Int))
    }

    /// A double. Zero is refused, as by RocketMQ, which takes it for one that is too small.
    pub(super) fn float(&self, token: Token) -> Result<Constant, ParseError> {
        let number = number::double(&self.text[token.start..token.end]);
        match number {
            Some(0.0) => Err(self.refuse(
                token.start,
                "a fraction this small cannot be written; zero is 0",
            )),
            Some(number) if number.is_finite() => Ok(Constant::Double(number)),
            _ => Err(self.refuse(token.start, "this number is too large")),
        }
    }
}

impl Constant {
    /// Compares two numbers; anything else is not greater.
    pub(super) fn is_greater_than(&self, other: &Self) -> bool {
        let ordering = match (self, other) {
            (Self::Double(left), right) => right.as_double().map(|right| left.total_cmp(&right)),
            (left, Self::Double(right)) => left.as_double().map(|left| left.total_cmp(right)),
            (left, right) => left
                .as_long()
                .zip(right.as_long())
                .map(|(left, right)| left.cmp(&right)),
        };
        ordering == Some(Ordering::Greater)
    }

    fn as_long(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(i64::from(*number)),
            Self::Long(number) => Some(*number),
            _ => None,
        }
    }

    fn as_double(&self) -> Option<f64> {
        match self {
            Self::Double(number) => Some(*number),
            other => other.as_long().map(|number| number as f64),
        }
    }
}
