//! Flink's spelling of SQL for the parser: backticks, `FOR SYSTEM_TIME AS OF`, plain strings.

use sqlparser::{
    dialect::{Dialect, GenericDialect},
    keywords::Keyword,
    parser::Parser,
    tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace},
};
use std::any::TypeId;

use crate::error::{Error, Place};

/// The parser's generic dialect, except where Flink differs.
#[derive(Debug)]
pub(crate) struct Flink;

impl Dialect for Flink {
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_identifier_start(&self, character: char) -> bool {
        character.is_alphabetic() || character == '_' || character == '$'
    }

    fn is_identifier_part(&self, character: char) -> bool {
        character.is_alphanumeric() || character == '_' || character == '$'
    }

    fn is_delimited_identifier_start(&self, character: char) -> bool {
        character == '`'
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn is_table_factor_alias(
        &self,
        explicit: bool,
        keyword: &Keyword,
        parser: &mut Parser,
    ) -> bool {
        self.is_table_alias(keyword, parser) || explicit
    }
}

/// Cuts a script into tokens that know their place. Blanks and comments are left out, hints
/// are refused: they would otherwise vanish as comments.
pub(crate) fn tokenize(script: &str) -> Result<Vec<TokenWithSpan>, Error> {
    let tokens = Tokenizer::new(&Flink, script)
        .tokenize_with_location()
        .map_err(|error| Error::new("sql.text", at(error.location), lower_first(&error.message)))?;
    let mut kept = Vec::with_capacity(tokens.len());
    for token in tokens {
        match &token.token {
            Token::Whitespace(Whitespace::MultiLineComment(text)) if text.starts_with('+') => {
                let hint = text.trim_start_matches('+').trim();
                return Err(Error::unsupported(
                    place(token.span),
                    format!("the hint {hint}"),
                ));
            }
            Token::Whitespace(_) | Token::EOF => {}
            Token::DoubleQuotedString(_) => {
                return Err(Error::new(
                    "sql.text",
                    place(token.span),
                    "double quotes are neither text nor a name in Flink SQL",
                )
                .hint("'…' for text, `…` for a name"));
            }
            _ => kept.push(token),
        }
    }
    Ok(kept)
}

/// The stretch that a span covers on its first line.
pub(crate) fn place(span: Span) -> Place {
    let length = match span.start.line == span.end.line {
        true => span.end.column.saturating_sub(span.start.column),
        false => 1,
    };
    Place {
        length,
        ..at(span.start)
    }
}

fn at(location: Location) -> Place {
    Place {
        line: location.line,
        column: location.column,
        length: 1,
    }
}

/// A message of another library as the middle of one of our sentences.
pub(crate) fn lower_first(message: &str) -> String {
    let mut characters = message.chars();
    match characters.next() {
        Some(first) if characters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => message.to_owned(),
    }
}
