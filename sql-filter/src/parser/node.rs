//! Nodes under construction, and the rules that hold between a node and its parts.

use super::{DEEPEST, Parser};
use crate::ParseError;
use crate::expression::{Between, Constant, Expression, In, Place, Search};
use crate::token::Kind;

/// An expression, where it began, and how many levels it has.
pub(super) struct Node {
    pub(super) expression: Expression,
    pub(super) start: usize,
    pub(super) depth: usize,
}

impl Node {
    pub(super) fn leaf(expression: Expression, start: usize) -> Self {
        Self {
            expression,
            start,
            depth: 1,
        }
    }
}

impl Parser<'_> {
    /// A node over parts of the given depth. Chains such as `a IS NULL IS NULL …` nest without
    /// parentheses, so the limit is kept here too.
    pub(super) fn node(
        &self,
        expression: Expression,
        start: usize,
        depth_of_parts: usize,
    ) -> Result<Node, ParseError> {
        let depth = depth_of_parts + 1;
        if depth > DEEPEST {
            return Err(self.too_deep(start));
        }
        Ok(Node {
            expression,
            start,
            depth,
        })
    }

    /// The node where a truth value is wanted: a property is allowed there, a number is not.
    pub(super) fn as_boolean(&self, node: Node) -> Result<Node, ParseError> {
        match node.expression {
            Expression::Property(name) => Ok(Node {
                expression: Expression::AsTruth(name),
                ..node
            }),
            ref expression if expression.is_boolean() => Ok(node),
            _ => Err(self.refuse(
                node.start,
                "this is not a condition: it gives no truth value",
            )),
        }
    }

    /// Refuses what can never be less or greater than anything.
    pub(super) fn must_have_order(&self, node: &Node) -> Result<(), ParseError> {
        let why = match &node.expression {
            Expression::Constant(Constant::Text(_)) => "a string is neither less nor greater",
            Expression::Constant(Constant::Null) => "NULL is neither less nor greater",
            expression if expression.is_boolean() => "a truth value is neither less nor greater",
            _ => return Ok(()),
        };
        Err(self.refuse(node.start, why))
    }

    /// Ends in the wrong order are refused, but not behind NOT: RocketMQ looks only here.
    pub(super) fn between(&mut self, value: Node, outside: bool) -> Result<Node, ParseError> {
        let low = self.unary()?;
        self.expect(Kind::And, "AND between the two ends of BETWEEN")?;
        let high = self.unary()?;
        for part in [&value, &low, &high] {
            self.must_have_order(part)?;
        }
        if let (Expression::Constant(from), Expression::Constant(to)) =
            (&low.expression, &high.expression)
            && !outside
            && from.is_greater_than(to)
        {
            return Err(self.refuse(low.start, "BETWEEN begins behind its end"));
        }
        let start = value.start;
        let depth = value.depth.max(low.depth).max(high.depth);
        let between = Between {
            value: value.expression,
            low: low.expression,
            high: high.expression,
            outside,
        };
        // The two comparisons it stands for are one level of their own.
        self.node(Expression::Between(Box::new(between)), start, depth + 1)
    }

    pub(super) fn in_list(&mut self, left: Node, outside: bool) -> Result<Node, ParseError> {
        self.expect(Kind::Open, "a list in parentheses behind IN")?;
        let mut elements = vec![self.text_literal()?];
        while self.take_if(Kind::Comma)? {
            elements.push(self.text_literal()?);
        }
        self.expect(Kind::Close, "a comma or a closing parenthesis")?;
        elements.sort_unstable();
        elements.dedup();
        let Expression::Property(property) = left.expression else {
            return Err(self.refuse(left.start, "IN needs a property on its left"));
        };
        let list = In {
            property,
            elements,
            outside,
        };
        self.node(Expression::In(Box::new(list)), left.start, left.depth)
    }

    pub(super) fn search(
        &mut self,
        left: Node,
        place: Place,
        absent: bool,
    ) -> Result<Node, ParseError> {
        let search = Search {
            sought: self.text_literal()?,
            value: left.expression,
            place,
            absent,
        };
        self.node(Expression::Search(Box::new(search)), left.start, left.depth)
    }

    fn text_literal(&mut self) -> Result<Box<str>, ParseError> {
        let token = self.expect(Kind::Text, "a string in single quotes")?;
        Ok(self.decoded(token))
    }
}
