//! An error as a reader sees it: what, why, what now.

use std::fmt;

/// Exit codes that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Usage = 1,
    NotFound = 2,
    Unreachable = 3,
    Conflict = 4,
    Partial = 5,
}

/// What a command ends with when it fails. Printed on standard error, or as JSON with `-o json`.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// A stable word such as `topic.not-found`.
    pub code: String,
    pub what: String,
    pub why: String,
    pub fix: String,
}

impl Failure {
    pub fn new(exit: Exit, code: impl Into<String>, what: impl Into<String>) -> Failure {
        Failure {
            exit,
            code: code.into(),
            what: what.into(),
            why: String::new(),
            fix: String::new(),
        }
    }

    pub fn why(mut self, why: impl fmt::Display) -> Failure {
        self.why = why.to_string();
        self
    }

    pub fn fix(mut self, fix: impl Into<String>) -> Failure {
        self.fix = fix.into();
        self
    }

    /// The same four parts for programs.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "error": { "code": self.code, "message": self.what, "why": self.why, "fix": self.fix } })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}  [{}]", self.what, self.code)?;
        for (name, text) in [("why", &self.why), ("fix", &self.fix)] {
            let mut lines = text.lines();
            if let Some(first) = lines.next() {
                write!(f, "\n  {name}: {first}")?;
            }
            for line in lines {
                write!(f, "\n       {line}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_in_its_four_parts() {
        let failure = Failure::new(
            Exit::NotFound,
            "topic.not-found",
            "topic \"ordres\" does not exist",
        )
        .why("the broker at 127.0.0.1:10911 has 3 topics; the nearest is \"orders\"")
        .fix("create it:  millstream topic create ordres");
        insta::assert_snapshot!(failure, @r#"
        error: topic "ordres" does not exist  [topic.not-found]
          why: the broker at 127.0.0.1:10911 has 3 topics; the nearest is "orders"
          fix: create it:  millstream topic create ordres
        "#);
    }
}
