//! Why a text is not a filter, and where.

use std::fmt;

/// Characters of the text shown around the place.
const EXCERPT: usize = 60;

/// A text that RocketMQ's parser would refuse.
///
/// Displayed with the line at fault and a caret under the place:
/// ```text
/// expected a value, found the end at line 1, column 5
///   a =
///       ^
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(Box<Refusal>);

/// Boxed, because every step of the parser may return one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    message: String,
    line: usize,
    column: usize,
    excerpt: String,
    caret: usize,
}

impl ParseError {
    pub(crate) fn new(text: &str, at: usize, message: impl Into<String>) -> Self {
        let (before, after) = text.split_at(at);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before[line_start..].chars().count();
        let shown_before: Vec<char> = before[line_start..]
            .chars()
            .rev()
            .take(EXCERPT / 2)
            .collect();
        let shown_after = after.chars().take_while(|&character| character != '\n');
        let excerpt = shown_before
            .iter()
            .rev()
            .copied()
            .chain(shown_after.take(EXCERPT / 2));
        Self(Box::new(Refusal {
            message: message.into(),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            excerpt: excerpt.map(printable).collect(),
            caret: shown_before.len(),
        }))
    }

    /// What is wrong, in one line without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Line of the place, from 1.
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// Column of the place in characters, from 1.
    pub fn column(&self) -> usize {
        self.0.column
    }
}

/// One column wide, so that the caret stands where it should.
fn printable(character: char) -> char {
    match character {
        control if control.is_control() => ' ',
        other => other,
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal {
            message,
            line,
            column,
            excerpt,
            caret,
        } = &*self.0;
        writeln!(formatter, "{message} at line {line}, column {column}")?;
        writeln!(formatter, "  {}", excerpt.trim_end())?;
        write!(formatter, "  {:caret$}^", "")
    }
}

impl std::error::Error for ParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        let error = ParseError::new(
            "a = 5 AND\n\tb = !",
            15,
            "this character has no meaning here",
        );
        assert_eq!(
            error.to_string(),
            "this character has no meaning here at line 2, column 6\n   b = !\n       ^"
        );
    }

    #[test]
    fn long_lines_are_shown_in_part() {
        let text = format!("{}!{}", "x".repeat(1000), "y".repeat(1000));
        let error = ParseError::new(&text, 1000, "bad");
        assert_eq!((error.line(), error.column()), (1, 1001));
        assert!(error.to_string().len() < 200);
    }

    #[test]
    fn the_end_of_an_empty_text_is_a_place() {
        assert_eq!(
            ParseError::new("", 0, "nothing").to_string(),
            "nothing at line 1, column 1\n  \n  ^"
        );
    }
}
