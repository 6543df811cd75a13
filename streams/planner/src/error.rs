//! What is wrong with a script: where, what, why, and what to write instead.

use std::fmt;

/// One finding, with the place in the script where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Stable word for programs, as in `sql.column.unknown`.
    pub code: &'static str,
    /// Line in the script, from 1.
    pub line: u64,
    /// Column in the line, from 1, counted in characters.
    pub column: u64,
    /// Characters that the caret underlines; at least 1.
    pub length: u64,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// The fact behind it.
    pub why: Option<String>,
    /// What to write instead.
    pub hint: Option<String>,
    /// The line itself; empty if the place is unknown.
    pub source: String,
}

/// A stretch of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
    pub(crate) length: u64,
}

impl Error {
    pub(crate) fn new(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self {
            code,
            line: place.line,
            column: place.column,
            length: place.length.max(1),
            message: message.into(),
            why: None,
            hint: None,
            source: String::new(),
        }
    }

    /// Something this engine does not do, named as the user wrote it.
    pub(crate) fn unsupported(place: Place, what: impl fmt::Display) -> Self {
        Self::new("sql.unsupported", place, format!("{what} is not supported"))
    }

    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint if there is a word near enough to what was written.
    pub(crate) fn nearest(mut self, nearest: Option<String>) -> Self {
        if let Some(word) = nearest {
            self.hint = Some(format!("did you mean {word}?"));
        }
        self
    }

    fn in_script(mut self, script: &str) -> Self {
        let line = usize::try_from(self.line).unwrap_or(0);
        self.source = line
            .checked_sub(1)
            .and_then(|line| script.lines().nth(line))
            .unwrap_or_default()
            .to_owned();
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {} [{}]", self.message, self.code)?;
        if !self.source.is_empty() {
            let margin = self.line.to_string().len();
            writeln!(
                f,
                "{:margin$} --> line {}, column {}",
                "", self.line, self.column
            )?;
            writeln!(f, "{} | {}", self.line, self.source)?;
            let before: String = (1..self.column)
                .zip(self.source.chars())
                .map(|(_, c)| if c == '\t' { '\t' } else { ' ' })
                .collect();
            let length = usize::try_from(self.length).unwrap_or(1);
            writeln!(f, "{:margin$} | {before}{}", "", "^".repeat(length))?;
        }
        if let Some(why) = &self.why {
            writeln!(f, "  why: {why}")?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "  fix: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Everything found wrong with one script, in its order. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.render())]
pub struct Errors(Vec<Error>);

impl Errors {
    pub(crate) fn new(mut errors: Vec<Error>, script: &str) -> Self {
        errors.sort_by_key(|error| (error.line, error.column));
        errors.dedup();
        Self(
            errors
                .into_iter()
                .map(|error| error.in_script(script))
                .collect(),
        )
    }

    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.0.iter()
    }

    fn render(&self) -> String {
        let parts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        parts.join("\n").trim_end().to_owned()
    }
}

impl IntoIterator for Errors {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
