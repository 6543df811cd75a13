//! An error as a reader sees it: what, why, what now, where.

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
    /// The file it is about.
    pub place: String,
    /// Under which the other side knows the request that failed.
    pub request_id: String,
}

impl Failure {
    pub fn new(exit: Exit, code: impl Into<String>, what: impl Into<String>) -> Failure {
        Failure {
            exit,
            code: code.into(),
            what: what.into(),
            why: String::new(),
            fix: String::new(),
            place: String::new(),
            request_id: String::new(),
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

    pub fn at(mut self, place: impl fmt::Display) -> Failure {
        self.place = place.to_string();
        self
    }

    /// The same four parts for programs.
    pub fn to_json(&self) -> serde_json::Value {
        let mut parts = serde_json::json!({ "code": self.code, "message": self.what, "why": self.why, "fix": self.fix });
        for (name, text) in [("place", &self.place), ("request_id", &self.request_id)] {
            if !text.is_empty() {
                parts[name] = text.as_str().into();
            }
        }
        serde_json::json!({ "error": parts })
    }

    fn place_and_request(&self) -> String {
        let request = match self.request_id.as_str() {
            "" => String::new(),
            id => format!("request {id}"),
        };
        let parts = [self.place.clone(), request];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(", ")
    }
}

/// `1 mistake`, `2 mistakes`.
pub fn counted(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}  [{}]", self.what, self.code)?;
        let place = self.place_and_request();
        for (name, text) in [("why", &self.why), ("fix", &self.fix), ("where", &place)] {
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
        .fix("create it:  millstream topic create ordres")
        .at("orders.sql");
        insta::assert_snapshot!(failure, @r#"
        error: topic "ordres" does not exist  [topic.not-found]
          why: the broker at 127.0.0.1:10911 has 3 topics; the nearest is "orders"
          fix: create it:  millstream topic create ordres
          where: orders.sql
        "#);
    }
}
