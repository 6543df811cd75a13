//! A reader over a statement's tokens, for the clauses that the SQL parser does not know.

use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use crate::{
    dialect::place,
    error::{Error, Place},
};

/// Reads tokens one after the other and says what it expected where it stumbled.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    tokens: &'a [TokenWithSpan],
    position: usize,
}

/// A name as written, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) place: Place,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(tokens: &'a [TokenWithSpan]) -> Self {
        Self {
            tokens,
            position: 0,
        }
    }

    /// The place of the next token, or of the last one at the end.
    pub(crate) fn place(&self) -> Place {
        let token = self.tokens.get(self.position).or(self.tokens.last());
        token.map_or(
            Place {
                line: 1,
                column: 1,
                length: 1,
            },
            |token| place(token.span),
        )
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.position >= self.tokens.len()
    }

    pub(crate) fn peek(&self) -> Option<&'a Token> {
        self.peek_at(0)
    }

    pub(crate) fn peek_at(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens
            .get(self.position + ahead)
            .map(|token| &token.token)
    }

    /// Everything not read yet.
    pub(crate) fn rest(&self) -> &'a [TokenWithSpan] {
        &self.tokens[self.position.min(self.tokens.len())..]
    }

    pub(crate) fn advance(&mut self) {
        self.position += 1;
    }

    /// Whether the next token is this keyword.
    pub(crate) fn sees(&self, keyword: &str) -> bool {
        self.peek().is_some_and(|token| is_keyword(token, keyword))
    }

    /// Whether these keywords come next.
    pub(crate) fn sees_all(&self, keywords: &[&str]) -> bool {
        keywords.iter().enumerate().all(|(ahead, keyword)| {
            self.peek_at(ahead)
                .is_some_and(|token| is_keyword(token, keyword))
        })
    }

    /// Reads these keywords if they come next.
    pub(crate) fn take(&mut self, keywords: &[&str]) -> bool {
        let seen = self.sees_all(keywords);
        if seen {
            self.position += keywords.len();
        }
        seen
    }

    pub(crate) fn take_token(&mut self, token: &Token) -> bool {
        let seen = self.peek() == Some(token);
        if seen {
            self.position += 1;
        }
        seen
    }

    pub(crate) fn expect(&mut self, keywords: &[&str]) -> Result<(), Error> {
        for keyword in keywords {
            if !self.take(&[keyword]) {
                return Err(self.unexpected(keyword));
            }
        }
        Ok(())
    }

    pub(crate) fn expect_token(&mut self, token: &Token) -> Result<(), Error> {
        match self.take_token(token) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("\"{token}\""))),
        }
    }

    /// A single name, quoted or not.
    pub(crate) fn name(&mut self, what: &str) -> Result<Name, Error> {
        let place = self.place();
        let Some(Token::Word(Word {
            value, quote_style, ..
        })) = self.peek()
        else {
            return Err(self.unexpected(what));
        };
        if !matches!(quote_style, None | Some('`')) {
            return Err(self.unexpected(what));
        }
        self.advance();
        Ok(Name {
            text: value.clone(),
            place,
        })
    }

    /// The name of a table, view or function. A path through catalogs is refused.
    pub(crate) fn object_name(&mut self, what: &str) -> Result<Name, Error> {
        let name = self.name(what)?;
        if self.peek() == Some(&Token::Period) {
            return Err(Error::unsupported(
                name.place,
                format!(
                    "a name with a catalog or database before it, as in {}.…,",
                    name.text
                ),
            )
            .hint("all tables live in one space: write the last part alone"));
        }
        Ok(name)
    }

    pub(crate) fn text(&mut self, what: &str) -> Result<Name, Error> {
        let place = self.place();
        let Some(Token::SingleQuotedString(text)) = self.peek() else {
            return Err(self.unexpected(what));
        };
        self.advance();
        Ok(Name {
            text: text.clone(),
            place,
        })
    }

    /// Names in parentheses, separated by commas.
    pub(crate) fn names(&mut self, what: &str) -> Result<Vec<Name>, Error> {
        self.expect_token(&Token::LParen)?;
        let mut names = vec![self.name(what)?];
        while self.take_token(&Token::Comma) {
            names.push(self.name(what)?);
        }
        self.expect_token(&Token::RParen)?;
        Ok(names)
    }

    /// Reads up to the end, or to the first token outside parentheses for which `stop` is true.
    pub(crate) fn until(&mut self, stop: impl Fn(&Cursor<'a>) -> bool) -> &'a [TokenWithSpan] {
        let start = self.position;
        let mut depth = 0_usize;
        while let Some(token) = self.peek() {
            match token {
                Token::LParen => depth += 1,
                Token::RParen if depth == 0 => break,
                Token::RParen => depth -= 1,
                _ if depth == 0 && stop(self) => break,
                _ => {}
            }
            self.advance();
        }
        &self.tokens[start..self.position]
    }

    pub(crate) fn expect_end(&self) -> Result<(), Error> {
        match self.is_at_end() {
            true => Ok(()),
            false => Err(self.unexpected("the end of the statement")),
        }
    }

    pub(crate) fn unexpected(&self, expected: &str) -> Error {
        let found = self.peek().map_or_else(
            || "the statement ends".to_owned(),
            |token| format!("found {token}"),
        );
        Error::new(
            "sql.syntax",
            self.place(),
            format!("expected {expected}, {found}"),
        )
    }
}

/// Whether the token is this word, unquoted, in any case.
pub(crate) fn is_keyword(token: &Token, keyword: &str) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(keyword))
}
