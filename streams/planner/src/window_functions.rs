//! Brings Flink's window table functions into a form that the SQL parser reads:
//! `TABLE(TUMBLE(TABLE t, DESCRIPTOR(c), …))` becomes `TUMBLE(t, c, …)`, places kept.

use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use crate::{
    cursor::{Cursor, is_keyword},
    dialect::place,
    error::Error,
    nearest::nearest,
};

const WINDOWS: &[&str] = &["TUMBLE", "HOP", "CUMULATE", "SESSION"];

/// Rewrites every window table function in the tokens of a query.
pub(crate) fn rewrite(tokens: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>, Error> {
    let mut rewritten = Vec::with_capacity(tokens.len() + 1);
    let mut cursor = Cursor::new(tokens);
    while let Some(token) = cursor.rest().first() {
        match is_keyword(&token.token, "TABLE") && cursor.peek_at(1) == Some(&Token::LParen) {
            true => window(&mut cursor, &mut rewritten)?,
            false => {
                rewritten.push(token.clone());
                cursor.advance();
            }
        }
    }
    if let Some(last) = tokens.last() {
        rewritten.push(TokenWithSpan::new(Token::EOF, last.span));
    }
    Ok(rewritten)
}

/// `TABLE ( TUMBLE ( … ) )`
fn window(cursor: &mut Cursor<'_>, rewritten: &mut Vec<TokenWithSpan>) -> Result<(), Error> {
    cursor.advance();
    cursor.expect_token(&Token::LParen)?;
    let function = cursor.rest().first().cloned();
    let name = cursor.name("a window function")?;
    match name.text.to_uppercase().as_str() {
        "TUMBLE" => {}
        other if WINDOWS.contains(&other) => {
            return Err(
                Error::unsupported(name.place, format!("the window function {other}"))
                    .hint("TUMBLE"),
            );
        }
        _ => {
            return Err(Error::unsupported(
                name.place,
                format!("the table function {}", name.text),
            )
            .nearest(nearest(&name.text, WINDOWS.iter().copied())));
        }
    }
    rewritten.extend(function);
    let open = cursor.rest().first().cloned();
    cursor.expect_token(&Token::LParen)?;
    rewritten.extend(open);
    loop {
        argument(cursor, rewritten)?;
        let separator = cursor.rest().first().cloned();
        if !cursor.take_token(&Token::Comma) {
            break;
        }
        rewritten.extend(separator);
    }
    let close = cursor.rest().first().cloned();
    cursor.expect_token(&Token::RParen)?;
    rewritten.extend(close);
    cursor.expect_token(&Token::RParen)
}

/// One argument, with its name if it has one: `DATA => TABLE t`.
fn argument(cursor: &mut Cursor<'_>, rewritten: &mut Vec<TokenWithSpan>) -> Result<(), Error> {
    if cursor.peek_at(1) == Some(&Token::RArrow) {
        rewritten.extend(cursor.rest().first().cloned());
        cursor.advance();
        rewritten.extend(cursor.rest().first().cloned());
        cursor.advance();
    }
    if cursor.take(&["TABLE"]) {
        return copy_name(cursor, rewritten, "the name of a table or view");
    }
    if cursor.take(&["DESCRIPTOR"]) {
        cursor.expect_token(&Token::LParen)?;
        copy_name(cursor, rewritten, "the column that carries event time")?;
        if cursor.peek() == Some(&Token::Comma) {
            return Err(cursor.unexpected("one column"));
        }
        return cursor.expect_token(&Token::RParen);
    }
    if cursor.sees("SELECT") || cursor.peek() == Some(&Token::LParen) {
        return Err(
            Error::unsupported(cursor.place(), "a query inside a window function")
                .hint("CREATE VIEW of the query, and TABLE that view"),
        );
    }
    let tokens = cursor.until(|cursor| cursor.peek() == Some(&Token::Comma));
    rewritten.extend(tokens.iter().cloned());
    Ok(())
}

/// A single name, quoted so that no keyword is read into it.
fn copy_name(
    cursor: &mut Cursor<'_>,
    rewritten: &mut Vec<TokenWithSpan>,
    what: &str,
) -> Result<(), Error> {
    let token = cursor.rest().first().cloned();
    let name = cursor.object_name(what)?;
    if let Some(token) = token {
        let word = Word {
            value: name.text,
            quote_style: Some('`'),
            keyword: sqlparser::keywords::Keyword::NoKeyword,
        };
        debug_assert_eq!(place(token.span), name.place);
        rewritten.push(TokenWithSpan::new(Token::Word(word), token.span));
    }
    Ok(())
}
