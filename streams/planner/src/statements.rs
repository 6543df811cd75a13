//! Cuts a script into statements and reads all but the queries inside them.

use sqlparser::tokenizer::{Token, TokenWithSpan};
use std::collections::BTreeMap;

use crate::{
    cursor::{Cursor, Name, is_keyword},
    dialect::{place, tokenize},
    error::{Error, Place},
    nearest::nearest,
};

mod create_function;
mod create_table;
mod query;

pub(crate) use create_function::CreateFunction;
pub(crate) use create_table::{ColumnDefinition, ColumnSource, CreateTable};
pub(crate) use query::{CreateView, Emission, Insert, QueryText, parse_expression, parse_type};

/// One statement of a script.
pub(crate) enum Statement {
    CreateTable(CreateTable),
    CreateView(CreateView),
    CreateFunction(CreateFunction),
    Insert(Insert),
    Set { key: Name, value: Name },
    Explain(Explained),
}

/// What `EXPLAIN` is asked about.
pub(crate) enum Explained {
    Insert(Insert),
    Query(QueryText),
}

/// Options of a `WITH` clause.
pub(crate) type OptionTexts = BTreeMap<String, (Name, Name)>;

/// Reads a script. Every statement that cannot be read is a finding of its own.
pub(crate) fn parse(script: &str) -> (Vec<Statement>, Vec<Error>) {
    let tokens = match tokenize(script) {
        Ok(tokens) => tokens,
        Err(error) => return (Vec::new(), vec![error]),
    };
    let mut statements = Vec::new();
    let mut errors = Vec::new();
    let mut set_opened = None;
    for piece in tokens.split(|token| token.token == Token::SemiColon) {
        let mut piece = piece;
        let Some(first) = piece.first() else { continue };
        let mut cursor = Cursor::new(piece);
        if cursor.take(&["EXECUTE", "STATEMENT", "SET", "BEGIN"])
            || cursor.take(&["BEGIN", "STATEMENT", "SET"])
        {
            set_opened = Some(place(first.span));
            piece = cursor.rest();
            if piece.is_empty() {
                continue;
            }
        } else if set_opened.is_some() && piece.len() == 1 && is_keyword(&first.token, "END") {
            set_opened = None;
            continue;
        }
        match statement(piece) {
            Ok(statement) => {
                if let Some(place) =
                    set_opened.filter(|_| !matches!(statement, Statement::Insert(_)))
                {
                    errors.push(Error::new(
                        "sql.syntax",
                        place,
                        "a statement set holds INSERT statements only",
                    ));
                }
                statements.push(statement);
            }
            Err(error) => errors.push(error),
        }
    }
    if let Some(place) = set_opened {
        errors.push(
            Error::new("sql.syntax", place, "the statement set has no END")
                .hint("close it with END;"),
        );
    }
    (statements, errors)
}

const STARTS: &[&str] = &["CREATE", "INSERT", "SET", "EXPLAIN", "EXECUTE", "BEGIN"];

fn statement(tokens: &[TokenWithSpan]) -> Result<Statement, Error> {
    let mut cursor = Cursor::new(tokens);
    let start = cursor.place();
    if cursor.take(&["CREATE"]) {
        return create(cursor, start);
    }
    if cursor.sees("INSERT") {
        return Ok(Statement::Insert(Insert::parse(cursor)?));
    }
    if cursor.take(&["SET"]) {
        let key = cursor.text("a key in quotes, as in SET 'key' = 'value'")?;
        cursor.expect_token(&Token::Eq)?;
        let value = cursor.text("a value in quotes")?;
        cursor.expect_end()?;
        return Ok(Statement::Set { key, value });
    }
    if cursor.take(&["EXPLAIN"]) {
        cursor.take(&["PLAN", "FOR"]);
        let explained = match cursor.sees("INSERT") {
            true => Explained::Insert(Insert::parse(cursor)?),
            false => Explained::Query(QueryText::parse(cursor.rest(), cursor.place())?),
        };
        return Ok(Statement::Explain(explained));
    }
    refuse(&cursor, start)
}

fn create(mut cursor: Cursor<'_>, start: Place) -> Result<Statement, Error> {
    let replaces = cursor.take(&["OR", "REPLACE"]);
    let materialized = cursor.take(&["MATERIALIZED"]);
    let temporary = cursor.take(&["TEMPORARY"]);
    if materialized {
        cursor.expect(&["VIEW"])?;
        return Ok(Statement::CreateView(CreateView::parse(cursor, true)?));
    }
    if replaces {
        return Err(Error::unsupported(start, "CREATE OR REPLACE")
            .hint("write CREATE; a job is changed by running its new file"));
    }
    if cursor.take(&["TABLE"]) {
        return Ok(Statement::CreateTable(CreateTable::parse(cursor)?));
    }
    if cursor.take(&["VIEW"]) {
        return Ok(Statement::CreateView(CreateView::parse(cursor, false)?));
    }
    if temporary && cursor.take(&["SYSTEM"]) || cursor.sees("FUNCTION") {
        cursor.expect(&["FUNCTION"])?;
        return Ok(Statement::CreateFunction(CreateFunction::parse(cursor)?));
    }
    let place = cursor.place();
    let Some(Token::Word(word)) = cursor.peek() else {
        return Err(cursor.unexpected("TABLE, VIEW, FUNCTION or MATERIALIZED VIEW"));
    };
    let known = ["TABLE", "VIEW", "FUNCTION", "MATERIALIZED"];
    Err(
        Error::unsupported(place, format!("CREATE {}", word.value.to_uppercase()))
            .nearest(nearest(&word.value, known)),
    )
}

fn refuse(cursor: &Cursor<'_>, start: Place) -> Result<Statement, Error> {
    let Some(Token::Word(word)) = cursor.peek() else {
        return Err(cursor.unexpected("a statement"));
    };
    let name = word.value.to_uppercase();
    let error = Error::unsupported(start, format!("the statement {name}"));
    Err(match name.as_str() {
        "SELECT" | "WITH" | "VALUES" => error
            .why("a job writes its result to a table")
            .hint("INSERT INTO a table, or EXPLAIN the query"),
        _ => error.nearest(nearest(&name, STARTS.iter().copied())),
    })
}

/// `('key' = 'value', …)`; a repeated key is an error.
pub(crate) fn options(cursor: &mut Cursor<'_>) -> Result<OptionTexts, Error> {
    cursor.expect_token(&Token::LParen)?;
    let mut options = OptionTexts::new();
    loop {
        let key = cursor.text("an option in quotes, as in 'key' = 'value'")?;
        cursor.expect_token(&Token::Eq)?;
        let value = cursor.text("a value in quotes")?;
        let place = key.place;
        if options
            .insert(key.text.clone(), (key.clone(), value))
            .is_some()
        {
            return Err(Error::new(
                "sql.option.repeated",
                place,
                format!("option '{}' is given twice", key.text),
            ));
        }
        if !cursor.take_token(&Token::Comma) {
            break;
        }
    }
    cursor.expect_token(&Token::RParen)?;
    Ok(options)
}
