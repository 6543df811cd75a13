//! Cuts the text into tokens, one at a time: text behind the last token asked for is not read.

use crate::ParseError;

/// Words that are never property names, in any case of letters.
const KEYWORDS: [(&str, Kind); 12] = [
    ("NOT", Kind::Not),
    ("AND", Kind::And),
    ("OR", Kind::Or),
    ("BETWEEN", Kind::Between),
    ("IN", Kind::In),
    ("TRUE", Kind::True),
    ("FALSE", Kind::False),
    ("NULL", Kind::Null),
    ("IS", Kind::Is),
    ("CONTAINS", Kind::Contains),
    ("STARTSWITH", Kind::StartsWith),
    ("ENDSWITH", Kind::EndsWith),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Not,
    And,
    Or,
    Between,
    In,
    True,
    False,
    Null,
    Is,
    Contains,
    StartsWith,
    EndsWith,
    Decimal,
    Float,
    Text,
    Name,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Open,
    Close,
    Comma,
    End,
}

/// A token and where it lies in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn next(&mut self) -> Result<Token, ParseError> {
        self.skip_blanks_and_comments();
        let start = self.at;
        let (kind, length) = self.token()?;
        self.at += length;
        Ok(Token {
            kind,
            start,
            end: self.at,
        })
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            let rest = self.rest();
            let blanks = run(rest, |byte| b" \t\n\r\x0c".contains(&byte));
            let skipped = match comment(&rest[blanks..]) {
                Some(comment) => blanks + comment,
                None => blanks,
            };
            if skipped == 0 {
                return;
            }
            self.at += skipped;
        }
    }

    fn token(&self) -> Result<(Kind, usize), ParseError> {
        let rest = self.rest();
        let Some(&first) = rest.first() else {
            return Ok((Kind::End, 0));
        };
        let followed_by = |byte: u8| rest.get(1) == Some(&byte);
        Ok(match first {
            b'=' => (Kind::Equal, 1),
            b'<' if followed_by(b'>') => (Kind::NotEqual, 2),
            b'<' if followed_by(b'=') => (Kind::LessOrEqual, 2),
            b'<' => (Kind::Less, 1),
            b'>' if followed_by(b'=') => (Kind::GreaterOrEqual, 2),
            b'>' => (Kind::Greater, 1),
            b'+' => (Kind::Plus, 1),
            b'-' => (Kind::Minus, 1),
            b'(' => (Kind::Open, 1),
            b')' => (Kind::Close, 1),
            b',' => (Kind::Comma, 1),
            b'\'' => match text(rest) {
                Some(length) => (Kind::Text, length),
                None => return Err(self.refuse("this string has no closing quote")),
            },
            byte if begins_name(byte) => {
                let length = run(rest, |byte| begins_name(byte) || byte.is_ascii_digit());
                (word(&self.text[self.at..self.at + length]), length)
            }
            _ => match number(rest) {
                Some(number) => number,
                None => return Err(self.refuse("this character has no meaning here")),
            },
        })
    }

    fn refuse(&self, why: &str) -> ParseError {
        ParseError::new(self.text, self.at, why)
    }
}

fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$'
}

fn word(name: &str) -> Kind {
    let keyword = KEYWORDS
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(name));
    keyword.map_or(Kind::Name, |&(_, kind)| kind)
}

/// Bytes at the front for which the condition holds.
fn run(bytes: &[u8], condition: impl Fn(u8) -> bool) -> usize {
    bytes
        .iter()
        .position(|&byte| !condition(byte))
        .unwrap_or(bytes.len())
}

/// Length of the comment that begins here. One that does not end is none.
fn comment(rest: &[u8]) -> Option<usize> {
    if rest.starts_with(b"--") {
        let end = rest
            .iter()
            .position(|&byte| byte == b'\n' || byte == b'\r')?;
        return Some(end + 1);
    }
    if rest.starts_with(b"/*") {
        let end = rest[2..].windows(2).position(|pair| pair == b"*/")?;
        return Some(2 + end + 2);
    }
    None
}

/// Length of the string that begins here, quotes included. Two quotes inside stand for one; if
/// the text ends in such a string, the string ended at the first quote of the last pair.
fn text(rest: &[u8]) -> Option<usize> {
    let mut ended = None;
    let mut at = 1;
    while let Some(quote) = rest[at..].iter().position(|&byte| byte == b'\'') {
        at += quote + 1;
        ended = Some(at);
        if rest.get(at) != Some(&b'\'') {
            break;
        }
        at += 1;
    }
    ended
}

/// The longest number that begins here: `05` is a 0, and then a 5.
fn number(rest: &[u8]) -> Option<(Kind, usize)> {
    let digits = run(rest, |byte| byte.is_ascii_digit());
    let mut length = digits;
    let mut is_float = false;
    if rest.get(length) == Some(&b'.') {
        let fraction = run(&rest[length + 1..], |byte| byte.is_ascii_digit());
        if digits + fraction > 0 {
            length += 1 + fraction;
            is_float = true;
        }
    }
    if length == 0 {
        return None;
    }
    if let Some(exponent) = exponent(&rest[length..]) {
        length += exponent;
        is_float = true;
    }
    if is_float {
        return Some((Kind::Float, length));
    }
    if rest[0] == b'0' {
        return Some((Kind::Decimal, 1));
    }
    let suffix = matches!(rest.get(length), Some(b'l' | b'L'));
    Some((Kind::Decimal, length + usize::from(suffix)))
}

fn exponent(rest: &[u8]) -> Option<usize> {
    let sign = match rest {
        [b'e' | b'E', b'+' | b'-', ..] => 2,
        [b'e' | b'E', ..] => 1,
        _ => return None,
    };
    let digits = run(&rest[sign..], |byte| byte.is_ascii_digit());
    (digits > 0).then_some(sign + digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(Kind, &str)]) {
        let mut lexer = Lexer::new(text);
        for &expected in expected {
            let token = lexer.next().expect("a token");
            assert_eq!(
                (token.kind, &text[token.start..token.end]),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn numbers_are_as_long_as_they_can_be() {
        check(
            "05",
            &[(Kind::Decimal, "0"), (Kind::Decimal, "5"), (Kind::End, "")],
        );
        check("0x5", &[(Kind::Decimal, "0"), (Kind::Name, "x5")]);
        check("0L", &[(Kind::Decimal, "0"), (Kind::Name, "L")]);
        check("12L3", &[(Kind::Decimal, "12L"), (Kind::Decimal, "3")]);
        check("05.5", &[(Kind::Float, "05.5")]);
        check("5.e3", &[(Kind::Float, "5.e3")]);
        check("1.2.3", &[(Kind::Float, "1.2"), (Kind::Float, ".3")]);
        check("5e", &[(Kind::Decimal, "5"), (Kind::Name, "e")]);
        check(
            "5e+",
            &[(Kind::Decimal, "5"), (Kind::Name, "e"), (Kind::Plus, "+")],
        );
        check("007e1f", &[(Kind::Float, "007e1"), (Kind::Name, "f")]);
    }

    #[test]
    fn quotes_inside_strings_are_doubled() {
        check("'a''b' 'c'", &[(Kind::Text, "'a''b'"), (Kind::Text, "'c'")]);
        check("''", &[(Kind::Text, "''")]);
        check("'a''b", &[(Kind::Text, "'a'")]);
        check("'a\nb'", &[(Kind::Text, "'a\nb'")]);
    }

    #[test]
    fn comments_end_or_are_none() {
        check("-- x\r\na", &[(Kind::Name, "a"), (Kind::End, "")]);
        check(
            "--",
            &[(Kind::Minus, "-"), (Kind::Minus, "-"), (Kind::End, "")],
        );
        check("/***/a/* * / **/b", &[(Kind::Name, "a"), (Kind::Name, "b")]);
        assert!(Lexer::new("/* a").next().is_err());
        assert!(Lexer::new("/*/").next().is_err());
    }

    #[test]
    fn keywords_have_any_case_and_names_any_letters() {
        check(
            "nOt nota $_1",
            &[
                (Kind::Not, "nOt"),
                (Kind::Name, "nota"),
                (Kind::Name, "$_1"),
            ],
        );
        for bad in ["!", ".", "\"", "ä", "#", "\u{a0}"] {
            assert!(Lexer::new(bad).next().is_err(), "{bad}");
        }
    }
}
