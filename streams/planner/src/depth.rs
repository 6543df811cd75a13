//! Keeps what a script nests within what the stack of a thread can hold.
//!
//! Planning walks expressions and plans by recursion. A sum of ten thousand terms is as deep
//! as it is long, and would end the process instead of the statement.

use datafusion::logical_expr::LogicalPlan;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::{cursor::is_keyword, dialect::place, error::Error};

/// Most operators that may hang together, and most steps of a plan above one another. A debug
/// build plans about twice as many on a stack of 2 MiB.
const LIMIT: usize = 64;

/// Refuses a query or expression whose operators hang together too deeply.
pub(crate) fn check_tokens(tokens: &[TokenWithSpan]) -> Result<(), Error> {
    let mut open: Vec<usize> = Vec::new();
    let mut here = 0;
    for token in tokens {
        match &token.token {
            Token::LParen => {
                open.push(here);
                here = 0;
            }
            Token::RParen => here += open.pop().unwrap_or(0),
            Token::Comma => here = 0,
            other if hangs_together(other) => here += 1,
            _ => {}
        }
        if open.iter().sum::<usize>() + here > LIMIT {
            return Err(Error::new(
                "sql.depth",
                place(token.span),
                format!("more than {LIMIT} operators hang together here"),
            )
            .hint("IN (…) for many comparisons, a view for a part of the query"));
        }
    }
    Ok(())
}

fn hangs_together(token: &Token) -> bool {
    let words = [
        "AND", "OR", "NOT", "LIKE", "BETWEEN", "IS", "JOIN", "UNION", "CASE",
    ];
    match token {
        Token::Word(_) => words.iter().any(|word| is_keyword(token, word)),
        Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::StringConcat
        | Token::Eq
        | Token::DoubleEq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq => true,
        _ => false,
    }
}

/// Whether a plan has more steps above one another, or beside one another, than can be planned
/// further. A view that reads itself twice through another doubles with every view.
pub(crate) fn is_too_large(plan: &LogicalPlan) -> bool {
    let mut level: Vec<&LogicalPlan> = vec![plan];
    for _ in 0..LIMIT {
        level = level.into_iter().flat_map(LogicalPlan::inputs).collect();
        if level.is_empty() {
            return false;
        }
        if level.len() > 4 * LIMIT {
            return true;
        }
    }
    true
}
