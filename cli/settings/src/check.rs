//! Finds everything that is wrong with a settings text, at once, with line, column and the nearest key.

use std::fmt;
use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::{DEFAULT, Settings};
use crate::nearest::nearest;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A file, a variable or a flag.
    origin: String,
    /// Line and column, both from 1.
    place: Option<(usize, usize)>,
    message: String,
}

impl Finding {
    pub fn new(origin: &str, message: String) -> Finding {
        Finding {
            origin: origin.to_owned(),
            place: None,
            message,
        }
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn inside(self, file: &Path) -> Finding {
        Finding {
            origin: file.display().to_string(),
            ..self
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything wrong with the text of a settings file.
pub fn check(text: &str) -> Vec<Finding> {
    let origin = "settings";
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(why) => {
            return vec![at(
                origin,
                text,
                why.span().map_or(0, |span| span.start),
                why.message().to_owned(),
            )];
        }
    };
    let default: Table = DEFAULT.parse().expect("the embedded default is valid TOML");
    let mut findings = Vec::new();
    for (part, value) in document.get_ref() {
        let name = part.get_ref().as_ref();
        let Some(Value::Table(known)) = default.get(name) else {
            findings.push(at(
                origin,
                text,
                part.span().start,
                unknown_key(origin, name).message,
            ));
            continue;
        };
        let DeValue::Table(keys) = value.get_ref() else {
            findings.push(at(
                origin,
                text,
                value.span().start,
                format!("{name} is a table: write [{name}]"),
            ));
            continue;
        };
        for (key, value) in keys {
            let path = format!("{name}.{}", key.get_ref());
            if !known.contains_key(key.get_ref().as_ref()) {
                findings.push(at(
                    origin,
                    text,
                    key.span().start,
                    unknown_key(origin, &path).message,
                ));
                continue;
            }
            let one = &text[value.span()];
            let table = format!("[{name}]\n{} = {one}\n", key.get_ref()).parse::<Table>();
            for finding in table.iter().flat_map(|table| values(table, origin)) {
                findings.push(at(origin, text, value.span().start, finding.message));
            }
        }
    }
    findings.sort_by_key(|finding| finding.place);
    findings
}

/// What is wrong with the values of a partial table, each tried alone over the default.
pub(super) fn values(table: &Table, origin: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (part, keys) in table {
        for (key, value) in keys.as_table().into_iter().flatten() {
            let mut whole: Table = DEFAULT.parse().expect("the embedded default is valid TOML");
            if let Some(Value::Table(part)) = whole.get_mut(part) {
                part.insert(key.clone(), value.clone());
            }
            if let Err(why) = whole.try_into::<Settings>() {
                findings.push(Finding::new(
                    origin,
                    format!("{part}.{key}: {}", why.message()),
                ));
            }
        }
    }
    findings
}

pub(super) fn unknown_key(origin: &str, path: &str) -> Finding {
    let default: Table = DEFAULT.parse().expect("the embedded default is valid TOML");
    let mut known: Vec<String> = default.keys().cloned().collect();
    for (part, keys) in &default {
        known.extend(
            keys.as_table()
                .into_iter()
                .flat_map(|keys| keys.keys().map(move |key| format!("{part}.{key}"))),
        );
    }
    let hint = nearest(path, known.iter().map(String::as_str))
        .first()
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    Finding::new(origin, format!("unknown key {path}{hint}"))
}

fn at(origin: &str, text: &str, offset: usize, message: String) -> Finding {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    Finding {
        origin: origin.to_owned(),
        place: Some((line, column)),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_reported_with_their_places() {
        let text = "[borker]\nname = 1\n\n[store]\nflush = \"never\"\nsegment-bites = \"1GiB\"\nhot-bytes = \"lots\"\n";
        let found: Vec<_> = check(text).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "settings:1:2: unknown key borker; did you mean broker?",
                "settings:5:9: store.flush: unknown variant `never`, expected `async` or `sync`",
                "settings:6:1: unknown key store.segment-bites; did you mean store.segment-bytes?",
                "settings:7:13: store.hot-bytes: invalid value: string \"lots\", expected a size such as \"64KiB\", \"10MiB\" or \"1GiB\"",
            ]
        );
    }

    #[test]
    fn broken_toml_is_one_finding_with_a_place() {
        let found = check("[broker\nname = 1");
        assert_eq!(found.len(), 1);
        assert!(
            found[0].to_string().starts_with("settings:1:"),
            "{}",
            found[0]
        );
    }
}
