//! `CREATE FUNCTION f(x BIGINT) RETURNS BIGINT LANGUAGE wasm AS 'file.wasm'`.

use sqlparser::{ast::DataType, tokenizer::Token};

use super::parse_type;
use crate::{
    cursor::{Cursor, Name},
    error::{Error, Place},
};

/// A user's function as its statement declares it.
pub(crate) struct CreateFunction {
    pub(crate) name: Name,
    pub(crate) arguments: Vec<(Name, DataType, Place)>,
    pub(crate) returns: (DataType, Place),
    pub(crate) location: Name,
}

impl CreateFunction {
    /// Reads what follows `CREATE FUNCTION`.
    pub(super) fn parse(mut cursor: Cursor<'_>) -> Result<Self, Error> {
        if cursor.sees("FUNCTION") {
            cursor.advance();
        }
        cursor.take(&["IF", "NOT", "EXISTS"]);
        let name = cursor.object_name("the function's name")?;
        if cursor.sees("AS") {
            return Err(
                Error::unsupported(cursor.place(), "a function without a signature")
                    .why("a Java or Python class cannot run here")
                    .hint(
                        "CREATE FUNCTION f(x BIGINT) RETURNS BIGINT LANGUAGE wasm AS 'file.wasm'",
                    ),
            );
        }
        cursor.expect_token(&Token::LParen)?;
        let mut arguments = Vec::new();
        while cursor.peek() != Some(&Token::RParen) {
            if !arguments.is_empty() {
                cursor.expect_token(&Token::Comma)?;
            }
            let argument = cursor.name("an argument's name")?;
            let place = cursor.place();
            arguments.push((argument, parse_type(&mut cursor)?, place));
        }
        cursor.expect_token(&Token::RParen)?;
        cursor.expect(&["RETURNS"])?;
        let place = cursor.place();
        let returns = (parse_type(&mut cursor)?, place);
        cursor.expect(&["LANGUAGE"])?;
        let language = cursor.name("wasm")?;
        if !language.text.eq_ignore_ascii_case("wasm") {
            return Err(
                Error::unsupported(language.place, format!("LANGUAGE {}", language.text))
                    .hint("LANGUAGE wasm"),
            );
        }
        cursor.expect(&["AS"])?;
        let location = cursor.text("the module's file in quotes")?;
        cursor.expect_end()?;
        Ok(Self {
            name,
            arguments,
            returns,
            location,
        })
    }
}
