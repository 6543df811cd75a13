//! Walks over the dialect's text: brackets, words and strings, within the limits.

use std::borrow::Cow;

use super::JsonError;
use crate::json_text::escape;

/// Deepest nesting. A body needs seven levels at most (a static topic within a registration);
/// the rest is room, and the stack is safe.
const DEPTH_LIMIT: usize = 32;
/// What the values of one body may cost: a list or object eight, anything else one. A registration of
/// 100,000 topics costs less than two thirds of it; a body of 16 MiB made to fill memory costs more.
const BUDGET: usize = 4_000_000;
const CONTAINER_COST: usize = 8;

/// A place in text of the dialect, and what reading on may still cost.
pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    budget: usize,
}

pub(super) struct Place {
    at: usize,
    budget: usize,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Reader<'t> {
        Reader {
            text,
            at: 0,
            depth: 0,
            budget: BUDGET,
        }
    }

    /// Where reading stands, to come back to after a look ahead.
    pub(super) fn place(&self) -> Place {
        Place {
            at: self.at,
            budget: self.budget,
        }
    }

    pub(super) fn return_to(&mut self, place: Place) {
        (self.at, self.budget) = (place.at, place.budget);
    }

    pub(super) fn error(&self, why: &str) -> JsonError {
        JsonError(format!("{why} at byte {}", self.at))
    }

    pub(super) fn locate(&self, error: JsonError) -> JsonError {
        if error.0.contains(" at byte ") {
            error
        } else {
            self.error(&error.0)
        }
    }

    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    pub(super) fn expect(&mut self, wanted: u8) -> Result<(), JsonError> {
        if self.peek() != Some(wanted) {
            return Err(self.error(&format!("{:?} was expected", char::from(wanted))));
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn spend(&mut self, cost: usize) -> Result<(), JsonError> {
        self.budget = self
            .budget
            .checked_sub(cost)
            .ok_or_else(|| self.error("too many values"))?;
        Ok(())
    }

    pub(super) fn open(&mut self, bracket: u8) -> Result<(), JsonError> {
        self.expect(bracket)?;
        self.spend(CONTAINER_COST)?;
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(self.error("nested deeper than 32 levels"));
        }
        Ok(())
    }

    pub(super) fn close(&mut self, bracket: u8) -> Result<(), JsonError> {
        self.depth -= 1;
        self.expect(bracket)
    }

    /// Whether another element follows; steps over the comma before it.
    pub(super) fn more(&mut self, first: &mut bool, end: u8) -> Result<bool, JsonError> {
        let first = std::mem::replace(first, false);
        match self.peek() {
            Some(byte) if byte == end => Ok(false),
            Some(b',') if !first => {
                self.at += 1;
                Ok(self.peek() != Some(end))
            }
            Some(_) if first => Ok(true),
            _ => Err(self.error("a comma or an end was expected")),
        }
    }

    pub(super) fn is_null(&mut self) -> bool {
        self.peek();
        let rest = &self.text.as_bytes()[self.at..];
        rest.starts_with(b"null") && !rest.get(4).copied().is_some_and(is_bare)
    }

    /// A quoted string or a bare word, as its text.
    pub(super) fn scalar(&mut self) -> Result<Cow<'t, str>, JsonError> {
        match self.peek() {
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote),
            _ => self.bare().map(Cow::Borrowed),
        }
    }

    pub(super) fn bare(&mut self) -> Result<&'t str, JsonError> {
        self.peek();
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        self.at += rest.iter().take_while(|byte| is_bare(**byte)).count();
        if self.at == start {
            return Err(self.error("a value was expected"));
        }
        Ok(&self.text[start..self.at])
    }

    pub(super) fn quoted(&mut self, quote: u8) -> Result<Cow<'t, str>, JsonError> {
        self.at += 1;
        let mut plain = String::new();
        loop {
            let rest = &self.text[self.at..];
            let stop = rest.bytes().position(|byte| byte == quote || byte == b'\\');
            let Some(stop) = stop else {
                return Err(self.error("a string does not end"));
            };
            let piece = &rest[..stop];
            self.at += stop + 1;
            if rest.as_bytes()[stop] == quote {
                if plain.is_empty() {
                    return Ok(Cow::Borrowed(piece));
                }
                plain.push_str(piece);
                return Ok(Cow::Owned(plain));
            }
            plain.push_str(piece);
            let (character, length) = escape(&rest.as_bytes()[stop + 1..])
                .ok_or_else(|| self.error("an unknown escape"))?;
            plain.push(character);
            self.at += length;
        }
    }

    pub(super) fn skip(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'{') => {
                self.open(b'{')?;
                let mut first = true;
                while self.more(&mut first, b'}')? {
                    self.skip()?;
                    self.expect(b':')?;
                    self.skip()?;
                }
                self.close(b'}')
            }
            Some(b'[') => {
                self.open(b'[')?;
                let mut first = true;
                while self.more(&mut first, b']')? {
                    self.skip()?;
                }
                self.close(b']')
            }
            _ => self.scalar().map(|_| ()),
        }
    }

    /// A number, which may stand in quotes; the empty text and null are zero, as in Java.
    pub(super) fn number<N: std::str::FromStr>(
        &mut self,
        from_float: impl Fn(f64) -> N,
    ) -> Result<N, JsonError> {
        let text = self.scalar()?;
        match &*text {
            "" | "null" | "false" => Ok(from_float(0.0)),
            "true" => Ok(from_float(1.0)),
            text => match text.parse() {
                Ok(number) => Ok(number),
                Err(_) => match text.parse::<f64>() {
                    Ok(number)
                        if number.is_finite() && number.fract() == 0.0 && number.abs() < 9e15 =>
                    {
                        Ok(from_float(number))
                    }
                    _ => Err(self.error("a number was expected")),
                },
            },
        }
    }
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_' | b'$') || byte >= 0x80
}
