//! Builds the compiled form from the tokens, by descent through the grammar:
//!
//! ```text
//! or       := and { OR and }
//! and      := equality { AND equality }
//! equality := compare { "=" compare | "<>" compare | IS [NOT] NULL }
//! compare  := unary { (">"|">="|"<"|"<=") unary | [NOT] BETWEEN unary AND unary
//!           | [NOT] (CONTAINS|STARTSWITH|ENDSWITH) text | [NOT] IN "(" text { "," text } ")" }
//! unary    := ("+"|"-"|NOT) unary | primary
//! primary  := text | number | TRUE | FALSE | NULL | name | "(" or ")"
//! ```
//! The end is wherever no rule can go on. NOT binds tighter than a comparison. The functions on
//! the way down to a parenthesis do little each: their frames are what nesting costs in stack.

mod literal;
mod node;

use crate::ParseError;
use crate::expression::{Constant, Expression, Order, Place};
use crate::token::{Kind, Lexer, Token};
use node::Node;

/// Levels to which an expression may be nested. Deeper ones could exhaust the stack of whoever
/// evaluates them.
pub(crate) const DEEPEST: usize = 256;

pub(crate) fn parse(text: &str) -> Result<Expression, ParseError> {
    let mut parser = Parser {
        text,
        lexer: Lexer::new(text),
        next: None,
        depth: 0,
    };
    let whole = parser.any_of()?;
    Ok(parser.as_boolean(whole)?.expression)
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    /// The token that was looked at but not taken.
    next: Option<Token>,
    depth: usize,
}

impl Parser<'_> {
    fn any_of(&mut self) -> Result<Node, ParseError> {
        let first = self.all_of()?;
        self.joined(first, Kind::Or, Self::all_of, Expression::Any)
    }

    fn all_of(&mut self) -> Result<Node, ParseError> {
        let first = self.equality()?;
        self.joined(first, Kind::And, Self::equality, Expression::All)
    }

    /// A run of parts joined by one word, kept flat.
    fn joined(
        &mut self,
        first: Node,
        word: Kind,
        part: fn(&mut Self) -> Result<Node, ParseError>,
        join: fn(Vec<Expression>) -> Expression,
    ) -> Result<Node, ParseError> {
        if self.peek()?.kind != word {
            return Ok(first);
        }
        let start = first.start;
        let first = self.as_boolean(first)?;
        let mut depth = first.depth;
        let mut parts = vec![first.expression];
        while self.peek()?.kind == word {
            self.take()?;
            let part = part(self)?;
            let part = self.as_boolean(part)?;
            depth = depth.max(part.depth);
            parts.push(part.expression);
        }
        self.node(join(parts), start, depth)
    }

    fn equality(&mut self) -> Result<Node, ParseError> {
        let left = self.comparison()?;
        self.equalities_behind(left)
    }

    fn equalities_behind(&mut self, mut left: Node) -> Result<Node, ParseError> {
        loop {
            left = match self.peek()?.kind {
                Kind::Equal => self.equal(left)?,
                Kind::NotEqual => {
                    let equal = self.equal(left)?;
                    self.negation(equal)?
                }
                Kind::Is => self.is_null(left)?,
                _ => return Ok(left),
            };
        }
    }

    fn is_null(&mut self, left: Node) -> Result<Node, ParseError> {
        self.take()?;
        let negated = self.take_if(Kind::Not)?;
        self.expect(Kind::Null, "NULL or NOT NULL behind IS")?;
        let is_null = Expression::IsNull(Box::new(left.expression));
        let is_null = self.node(is_null, left.start, left.depth)?;
        if negated {
            self.negation(is_null)
        } else {
            Ok(is_null)
        }
    }

    fn negation(&self, of: Node) -> Result<Node, ParseError> {
        self.node(Expression::Not(Box::new(of.expression)), of.start, of.depth)
    }

    fn equal(&mut self, left: Node) -> Result<Node, ParseError> {
        self.take()?;
        let right = self.comparison()?;
        for side in [&left, &right] {
            if let Expression::Constant(Constant::Null) = side.expression {
                return Err(self.refuse(
                    side.start,
                    "NULL equals nothing; use IS NULL or IS NOT NULL",
                ));
            }
        }
        if let (Expression::Constant(Constant::Truth(_)), Expression::Constant(constant)) =
            (&left.expression, &right.expression)
            && !constant.is_boolean()
        {
            return Err(self.refuse(right.start, "a truth value cannot equal this"));
        }
        let (start, depth) = (left.start, left.depth.max(right.depth));
        self.node(
            Expression::Equal(Box::new([left.expression, right.expression])),
            start,
            depth,
        )
    }

    fn comparison(&mut self) -> Result<Node, ParseError> {
        let left = self.unary()?;
        self.comparisons_behind(left)
    }

    fn comparisons_behind(&mut self, mut left: Node) -> Result<Node, ParseError> {
        loop {
            left = match self.peek()?.kind {
                Kind::Less => self.ordered(left, Order::Less)?,
                Kind::LessOrEqual => self.ordered(left, Order::LessOrEqual)?,
                Kind::Greater => self.ordered(left, Order::Greater)?,
                Kind::GreaterOrEqual => self.ordered(left, Order::GreaterOrEqual)?,
                Kind::Not => {
                    self.take()?;
                    self.membership(left, true)?
                }
                Kind::Between | Kind::In | Kind::Contains | Kind::StartsWith | Kind::EndsWith => {
                    self.membership(left, false)?
                }
                _ => return Ok(left),
            };
        }
    }

    fn ordered(&mut self, left: Node, order: Order) -> Result<Node, ParseError> {
        self.take()?;
        let right = self.unary()?;
        self.must_have_order(&left)?;
        self.must_have_order(&right)?;
        let (start, depth) = (left.start, left.depth.max(right.depth));
        let sides = Box::new([left.expression, right.expression]);
        self.node(Expression::Order(order, sides), start, depth)
    }

    /// What may stand behind NOT as well as alone.
    fn membership(&mut self, left: Node, negated: bool) -> Result<Node, ParseError> {
        let token = self.take()?;
        match token.kind {
            Kind::Between => self.between(left, negated),
            Kind::In => self.in_list(left, negated),
            Kind::Contains => self.search(left, Place::Anywhere, negated),
            Kind::StartsWith => self.search(left, Place::Start, negated),
            Kind::EndsWith => self.search(left, Place::End, negated),
            _ => Err(self.expected(
                "BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH behind NOT",
                token,
            )),
        }
    }

    fn unary(&mut self) -> Result<Node, ParseError> {
        let token = self.take()?;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.too_deep(token.start));
        }
        let node = match token.kind {
            Kind::Plus => self.unary(),
            Kind::Minus => self.minus(token),
            Kind::Not => self.not(token),
            Kind::Open => self.parentheses(),
            _ => self.leaf(token),
        };
        self.depth -= 1;
        node
    }

    fn minus(&mut self, token: Token) -> Result<Node, ParseError> {
        let inner = self.unary()?;
        let negated = Expression::Negated(Box::new(inner.expression));
        self.node(negated, token.start, inner.depth)
    }

    fn not(&mut self, token: Token) -> Result<Node, ParseError> {
        let inner = self.unary()?;
        let inner = self.as_boolean(inner)?;
        self.node(
            Expression::Not(Box::new(inner.expression)),
            token.start,
            inner.depth,
        )
    }

    fn parentheses(&mut self) -> Result<Node, ParseError> {
        let inner = self.any_of()?;
        self.expect(Kind::Close, "a closing parenthesis")?;
        Ok(inner)
    }

    fn leaf(&mut self, token: Token) -> Result<Node, ParseError> {
        let expression = match token.kind {
            Kind::Name => Expression::Property(self.text[token.start..token.end].into()),
            Kind::Text => Expression::Constant(Constant::Text(self.decoded(token))),
            Kind::Decimal => Expression::Constant(self.decimal(token)?),
            Kind::Float => Expression::Constant(self.float(token)?),
            Kind::True => Expression::Constant(Constant::Truth(true)),
            Kind::False => Expression::Constant(Constant::Truth(false)),
            Kind::Null => Expression::Constant(Constant::Null),
            _ => return Err(self.expected("a value", token)),
        };
        Ok(Node::leaf(expression, token.start))
    }

    fn peek(&mut self) -> Result<Token, ParseError> {
        match self.next {
            Some(token) => Ok(token),
            None => Ok(*self.next.insert(self.lexer.next()?)),
        }
    }

    fn take(&mut self) -> Result<Token, ParseError> {
        let token = self.peek()?;
        self.next = None;
        Ok(token)
    }

    fn take_if(&mut self, kind: Kind) -> Result<bool, ParseError> {
        let found = self.peek()?.kind == kind;
        if found {
            self.next = None;
        }
        Ok(found)
    }

    fn expect(&mut self, kind: Kind, what: &str) -> Result<Token, ParseError> {
        let token = self.take()?;
        if token.kind == kind {
            return Ok(token);
        }
        Err(self.expected(what, token))
    }

    fn expected(&self, what: &str, found: Token) -> ParseError {
        let found_text = match found.kind {
            Kind::End => "the end".to_string(),
            _ => self.text[found.start..found.end].chars().take(40).collect(),
        };
        self.refuse(found.start, format!("expected {what}, found {found_text}"))
    }

    fn refuse(&self, at: usize, why: impl Into<String>) -> ParseError {
        ParseError::new(self.text, at, why)
    }

    fn too_deep(&self, at: usize) -> ParseError {
        self.refuse(at, format!("nested deeper than {DEEPEST} levels"))
    }
}
