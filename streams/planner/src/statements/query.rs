//! Queries inside statements: cut out, rewritten where Flink's grammar differs, and parsed.

use sqlparser::{
    ast::{DataType, Expr, Query},
    parser::{Parser, ParserError},
    tokenizer::{Token, TokenWithSpan},
};

use crate::{
    cursor::{Cursor, Name, is_keyword},
    depth,
    dialect::{Flink, lower_first, place},
    error::{Error, Place},
    window_functions,
};

/// A parsed query and when its results leave.
pub(crate) struct QueryText {
    pub(crate) query: Box<Query>,
    pub(crate) emission: Option<(Emission, Place)>,
    pub(crate) place: Place,
}

/// An `EMIT` clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Emission {
    Changes,
    OnWindowClose,
}

/// `CREATE [MATERIALIZED] VIEW`.
pub(crate) struct CreateView {
    pub(crate) name: Name,
    pub(crate) columns: Vec<Name>,
    pub(crate) materialized: bool,
    pub(crate) query: QueryText,
}

/// `INSERT INTO … SELECT …`.
pub(crate) struct Insert {
    pub(crate) place: Place,
    pub(crate) table: Name,
    pub(crate) columns: Vec<Name>,
    pub(crate) query: QueryText,
}

impl CreateView {
    /// Reads what follows `VIEW`.
    pub(super) fn parse(mut cursor: Cursor<'_>, materialized: bool) -> Result<Self, Error> {
        cursor.take(&["IF", "NOT", "EXISTS"]);
        let name = cursor.object_name("the view's name")?;
        let columns = match cursor.peek() {
            Some(Token::LParen) => cursor.names("a column's name")?,
            _ => Vec::new(),
        };
        if cursor.take(&["COMMENT"]) {
            cursor.text("the comment in quotes")?;
        }
        cursor.expect(&["AS"])?;
        let query = QueryText::parse(cursor.rest(), cursor.place())?;
        Ok(Self {
            name,
            columns,
            materialized,
            query,
        })
    }
}

impl Insert {
    pub(super) fn parse(mut cursor: Cursor<'_>) -> Result<Self, Error> {
        let place = cursor.place();
        cursor.expect(&["INSERT"])?;
        if cursor.sees("OVERWRITE") {
            return Err(Error::unsupported(cursor.place(), "INSERT OVERWRITE"));
        }
        cursor.expect(&["INTO"])?;
        let table = cursor.object_name("the table's name")?;
        if cursor.sees("PARTITION") {
            return Err(Error::unsupported(cursor.place(), "PARTITION in INSERT"));
        }
        let lists_columns = cursor.peek() == Some(&Token::LParen)
            && !cursor
                .peek_at(1)
                .is_some_and(|token| is_keyword(token, "SELECT") || is_keyword(token, "WITH"));
        let columns = match lists_columns {
            true => cursor.names("a column of the table")?,
            false => Vec::new(),
        };
        if cursor.sees("VALUES") {
            return Err(Error::unsupported(cursor.place(), "INSERT … VALUES")
                .hint("INSERT INTO … SELECT … FROM a table"));
        }
        let query = QueryText::parse(cursor.rest(), cursor.place())?;
        Ok(Self {
            place,
            table,
            columns,
            query,
        })
    }
}

impl QueryText {
    /// Parses a query with its `EMIT` clause, which the SQL parser would take for an alias.
    pub(super) fn parse(tokens: &[TokenWithSpan], place: Place) -> Result<Self, Error> {
        let mut cursor = Cursor::new(tokens);
        let query_tokens =
            cursor.until(|cursor| cursor.sees("EMIT") || cursor.sees_all(&["LATE", "ROWS"]));
        let emission = emission(&mut cursor)?;
        if cursor.sees_all(&["LATE", "ROWS"]) {
            return Err(Error::unsupported(cursor.place(), "LATE ROWS TO")
                .hint("SET 'errors.late' = 'dead-letter' keeps late rows in a topic"));
        }
        cursor.expect_end()?;
        if query_tokens.is_empty() {
            return Err(cursor.unexpected("a query"));
        }
        depth::check_tokens(query_tokens)?;
        let rewritten = window_functions::rewrite(query_tokens)?;
        let mut parser = Parser::new(&Flink).with_tokens_with_locations(rewritten);
        let query = parser
            .parse_query()
            .map_err(|error| syntax(error, &parser, place))?;
        at_end(&parser, place)?;
        Ok(Self {
            query,
            emission,
            place,
        })
    }
}

fn emission(cursor: &mut Cursor<'_>) -> Result<Option<(Emission, Place)>, Error> {
    let place = cursor.place();
    if !cursor.take(&["EMIT"]) {
        return Ok(None);
    }
    if cursor.take(&["CHANGES"]) {
        return Ok(Some((Emission::Changes, place)));
    }
    cursor.take(&["ON"]);
    if cursor.take(&["WINDOW", "CLOSE"]) {
        return Ok(Some((Emission::OnWindowClose, place)));
    }
    if cursor.sees("EVERY") {
        return Err(
            Error::unsupported(place, "EMIT EVERY").hint("EMIT CHANGES or EMIT ON WINDOW CLOSE")
        );
    }
    Err(cursor.unexpected("CHANGES or ON WINDOW CLOSE"))
}

/// Parses a whole expression.
pub(crate) fn parse_expression(tokens: &[TokenWithSpan], place: Place) -> Result<Expr, Error> {
    if tokens.is_empty() {
        return Err(Error::new("sql.syntax", place, "expected an expression"));
    }
    depth::check_tokens(tokens)?;
    let mut parser = Parser::new(&Flink).with_tokens_with_locations(tokens.to_vec());
    let expression = parser
        .parse_expr()
        .map_err(|error| syntax(error, &parser, place))?;
    at_end(&parser, place)?;
    Ok(expression)
}

/// Reads a type and leaves the cursor behind it.
pub(crate) fn parse_type(cursor: &mut Cursor<'_>) -> Result<DataType, Error> {
    let start = cursor.place();
    for nested in ["ROW", "MAP", "MULTISET", "ARRAY", "RAW", "VARIANT"] {
        if cursor.sees(nested) {
            return Err(Error::unsupported(start, format!("the type {nested}")));
        }
    }
    let rest = cursor.rest();
    let mut parser = Parser::new(&Flink).with_tokens_with_locations(rest.to_vec());
    let data_type = parser
        .parse_data_type()
        .map_err(|error| syntax(error, &parser, start))?;
    let next = parser.peek_token();
    while let Some(token) = cursor.rest().first() {
        if token.span == next.span && token.token == next.token {
            break;
        }
        cursor.advance();
    }
    Ok(data_type)
}

fn at_end(parser: &Parser<'_>, fallback: Place) -> Result<(), Error> {
    let next = parser.peek_token();
    if next.token == Token::EOF {
        return Ok(());
    }
    let place = if next.span.start.line == 0 {
        fallback
    } else {
        place(next.span)
    };
    Err(Error::new(
        "sql.syntax",
        place,
        format!("expected the end of the statement, found {}", next.token),
    ))
}

/// The parser's message, without its own text for the place: we have the place itself.
fn syntax(error: ParserError, parser: &Parser<'_>, fallback: Place) -> Error {
    let text = match error {
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return Error::new("sql.syntax", fallback, "the query is nested too deeply");
        }
    };
    let (message, located) = match text.rsplit_once(" at Line: ") {
        Some((message, position)) => (message.to_owned(), located(position)),
        None => (text, None),
    };
    let next = parser.peek_token();
    let place = located.unwrap_or(if next.span.start.line == 0 {
        fallback
    } else {
        place(next.span)
    });
    let message = message
        .replace("Expected: ", "expected ")
        .replace(", found: EOF", ", the statement ends")
        .replace(", found: ", ", found ");
    Error::new("sql.syntax", place, lower_first(&message))
}

fn located(position: &str) -> Option<Place> {
    let (line, column) = position.split_once(", Column: ")?;
    Some(Place {
        line: line.trim().parse().ok()?,
        column: column.trim().parse().ok()?,
        length: 1,
    })
}
