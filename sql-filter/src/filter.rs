//! An expression, parsed once and asked about many messages.

use crate::expression::Expression;
use crate::{ParseError, PropertyLookup, evaluate, parser};

/// A compiled filter expression.
#[derive(Clone, Debug)]
pub struct Filter {
    expression: Expression,
}

impl Filter {
    /// Compiles an expression. What follows its end is ignored, as in RocketMQ: `a = 5 garbage`
    /// is `a = 5`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let expression = parser::parse(text)?;
        Ok(Self { expression })
    }

    /// True if the message passes. It does not if the expression is unknown (null), or if a
    /// property cannot be compared with what it is compared with.
    ///
    /// Allocates nothing.
    pub fn matches<P: PropertyLookup + ?Sized>(&self, properties: &P) -> bool {
        matches!(
            evaluate::truth(&self.expression, properties),
            Ok(Some(true))
        )
    }
}
