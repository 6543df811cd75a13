//! The compiled form of a filter.

use std::cmp::Ordering;

/// A node. Runs of AND and OR, and the elements of IN, are kept flat, so the depth of a tree is
/// the depth to which its text is nested.
#[derive(Clone, Debug)]
pub(crate) enum Expression {
    Constant(Constant),
    Property(Box<str>),
    /// Minus in front of something.
    Negated(Box<Expression>),
    /// A property where a truth value is wanted.
    AsTruth(Box<str>),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Equal(Box<[Expression; 2]>),
    IsNull(Box<Expression>),
    Order(Order, Box<[Expression; 2]>),
    Between(Box<Between>),
    In(Box<In>),
    Search(Box<Search>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Constant {
    Null,
    Truth(bool),
    Int(i32),
    Long(i64),
    Double(f64),
    Text(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// `value >= low AND value <= high`, or the opposite.
#[derive(Clone, Debug)]
pub(crate) struct Between {
    pub(crate) value: Expression,
    pub(crate) low: Expression,
    pub(crate) high: Expression,
    pub(crate) outside: bool,
}

/// Membership in a list of texts, which is sorted.
#[derive(Clone, Debug)]
pub(crate) struct In {
    pub(crate) property: Box<str>,
    pub(crate) elements: Vec<Box<str>>,
    pub(crate) outside: bool,
}

/// A text sought in another.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    pub(crate) value: Expression,
    pub(crate) place: Place,
    pub(crate) sought: Box<str>,
    pub(crate) absent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Anywhere,
    Start,
    End,
}

impl Expression {
    /// True if the expression gives a truth value, whatever the message.
    pub(crate) fn is_boolean(&self) -> bool {
        match self {
            Self::Constant(constant) => constant.is_boolean(),
            Self::Property(_) | Self::Negated(_) => false,
            _ => true,
        }
    }
}

impl Constant {
    pub(crate) fn is_boolean(&self) -> bool {
        matches!(self, Self::Null | Self::Truth(_))
    }
}

impl Order {
    pub(crate) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Place {
    pub(crate) fn has(self, text: &str, sought: &str) -> bool {
        match self {
            Self::Anywhere => text.contains(sought),
            Self::Start => text.starts_with(sought),
            Self::End => text.ends_with(sought),
        }
    }
}
