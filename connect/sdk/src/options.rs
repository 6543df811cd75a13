//! A connector's options after they were checked: every value is of its kind.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;

use crate::{Finding, OptionKind, OptionSpec, nearest, parse_bytes, parse_columns, parse_duration};

/// What stands in place of a secret wherever it would be shown.
pub const MASK: &str = "******";

/// A connector's options. Every value is of its kind, and defaults are filled in. Printing
/// them shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    specs: Arc<[OptionSpec]>,
    values: BTreeMap<String, String>,
}

impl Options {
    /// Checks a flat map against the options there are. All findings come back, not the first;
    /// the options hold whatever was right.
    pub fn check(
        specs: impl Into<Arc<[OptionSpec]>>,
        given: &BTreeMap<String, String>,
    ) -> (Self, Vec<Finding>) {
        let specs = specs.into();
        let mut findings = Vec::new();
        let mut values = BTreeMap::new();
        for (key, value) in given {
            let Some(spec) = specs.iter().find(|spec| spec.name == key) else {
                findings.push(unknown(key, &specs));
                continue;
            };
            match spec.kind.complaint(value) {
                None => drop(values.insert(key.clone(), value.clone())),
                Some(complaint) => {
                    let mut finding = Finding::error("connector.option.value", key, complaint);
                    if let OptionKind::Choice(words) = spec.kind
                        && let Some(word) = nearest(value, words.iter().copied())
                    {
                        finding = finding.with_hint(format!("did you mean \"{word}\"?"));
                    }
                    findings.push(finding);
                }
            }
        }
        for spec in specs.iter() {
            if spec.required && !given.contains_key(spec.name) {
                let message = format!("option \"{}\" is required", spec.name);
                findings.push(
                    Finding::error("connector.option.missing", spec.name, message)
                        .with_hint(spec.documentation),
                );
            }
        }
        (Self { specs, values }, findings)
    }

    /// The text of an option: what was given, else its default.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(value) => Some(value),
            None => self.spec(name)?.default,
        }
    }

    /// Whether it was given, be it with its default.
    pub fn is_given(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// True only if it says so.
    pub fn boolean(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// A duration; `None` for a limit without end.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        parse_duration(self.text(name)?)
    }

    /// A size in bytes.
    pub fn bytes(&self, name: &str) -> Option<u64> {
        parse_bytes(self.text(name)?)
    }

    /// The items of a list, none if it is not given.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.text(name).map(split_list).unwrap_or_default()
    }

    /// The columns of a table.
    pub fn columns(&self, name: &str) -> Option<SchemaRef> {
        parse_columns(self.text(name)?).ok()
    }

    /// The same with one value in place of another. The value must be of the option's kind.
    pub fn with(&self, name: &str, value: impl Into<String>) -> Self {
        let mut changed = self.clone();
        changed.values.insert(name.to_owned(), value.into());
        changed
    }

    /// What was given, with secrets masked: what may be shown.
    pub fn shown(&self) -> BTreeMap<String, String> {
        let show = |(key, value): (&String, &String)| {
            let kind = self.spec(key).map_or(OptionKind::Text, |spec| spec.kind);
            (key.clone(), mask(kind, value))
        };
        self.values.iter().map(show).collect()
    }

    fn spec(&self, name: &str) -> Option<&OptionSpec> {
        self.specs.iter().find(|spec| spec.name == name)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

impl OptionKind {
    /// A value of this kind as it may be shown.
    pub fn mask(self, value: &str) -> String {
        mask(self, value)
    }
}

fn mask(kind: OptionKind, value: &str) -> String {
    match kind {
        OptionKind::Secret => MASK.to_owned(),
        OptionKind::Url => match password(value) {
            Some(range) => format!("{}{MASK}{}", &value[..range.start], &value[range.end..]),
            None => value.to_owned(),
        },
        _ => value.to_owned(),
    }
}

/// Where the password stands in `scheme://user:password@host`.
fn password(url: &str) -> Option<std::ops::Range<usize>> {
    let start = url.find("://")? + 3;
    let authority = url[start..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |end| start + end);
    let at = start + url[start..authority].rfind('@')?;
    let colon = start + url[start..at].find(':')?;
    Some(colon + 1..at)
}

/// Writes items as [`Options::list`] reads them.
pub fn join_list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let escaped: Vec<String> = items
        .into_iter()
        .map(|item| item.replace(',', "\\,"))
        .collect();
    escaped.join(",")
}

/// Splits at commas; `\\,` is a comma inside an item, blanks around items and empty items go.
pub fn split_list(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let item = items.last_mut().expect("there is always one");
        match c {
            '\\' if chars.next_if_eq(&',').is_some() => item.push(','),
            ',' => items.push(String::new()),
            other => item.push(other),
        }
    }
    items.retain_mut(|item| {
        *item = item.trim().to_owned();
        !item.is_empty()
    });
    items
}

fn unknown(key: &str, specs: &[OptionSpec]) -> Finding {
    let finding = Finding::error(
        "connector.option.unknown",
        key,
        format!("option \"{key}\" is unknown"),
    );
    match nearest(key, specs.iter().map(|spec| spec.name)) {
        Some(name) => finding.with_hint(format!("did you mean \"{name}\"?")),
        None => {
            let names: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
            finding.with_hint(format!("the options are {}", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[OptionSpec] = &[
        OptionSpec::new("path", OptionKind::Text, "The file.").required(),
        OptionSpec::new(
            "mode",
            OptionKind::Choice(&["follow", "bounded"]),
            "When to stop.",
        )
        .default("follow"),
        OptionSpec::new("wait", OptionKind::Duration, "How long.").default("5s"),
        OptionSpec::new("patience", OptionKind::Limit, "How long at most.").default("-1"),
        OptionSpec::new("size", OptionKind::Bytes, "How much."),
        OptionSpec::new(
            "limit",
            OptionKind::Integer { min: 1, max: 10 },
            "How many.",
        ),
        OptionSpec::new("url", OptionKind::Url, "Where."),
        OptionSpec::new("password", OptionKind::Secret, "Who."),
        OptionSpec::new("names", OptionKind::List, "Which."),
    ];

    fn check(pairs: &[(&str, &str)]) -> (Options, Vec<String>) {
        let given = pairs
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect();
        let (options, findings) = Options::check(SPECS, &given);
        (options, findings.iter().map(Finding::to_string).collect())
    }

    #[test]
    fn every_finding_comes_at_once() {
        let (_, findings) = check(&[
            ("mode", "folow"),
            ("wait", "soon"),
            ("limit", "11"),
            ("patience", "-2"),
            ("siez", "1"),
        ]);
        assert_eq!(
            findings,
            [
                "limit: \"11\" is not a whole number from 1 to 10",
                "mode: \"folow\" is not one of follow, bounded (did you mean \"follow\"?)",
                "patience: \"-2\" is neither a duration such as 30s or 5m nor -1 for no end",
                "siez: option \"siez\" is unknown (did you mean \"size\"?)",
                "wait: \"soon\" is not a duration such as 500ms, 5s or 10m",
                "path: option \"path\" is required (The file.)",
            ]
        );
    }

    #[test]
    fn values_are_read_in_their_units_and_defaults_fill_in() {
        let (options, findings) = check(&[
            ("path", "a"),
            ("size", "64KiB"),
            ("limit", "3"),
            ("names", r"a, b\,c ,,"),
        ]);
        assert_eq!(findings, Vec::<String>::new());
        assert_eq!(options.duration("wait"), Some(Duration::from_secs(5)));
        assert_eq!(options.duration("patience"), None);
        assert_eq!(options.bytes("size"), Some(65_536));
        assert_eq!(options.integer("limit"), Some(3));
        assert_eq!(options.list("names"), ["a", "b,c"]);
        assert_eq!(options.text("mode"), Some("follow"));
        assert!(!options.is_given("mode"));
        assert_eq!(options.text("url"), None);
    }

    #[test]
    fn no_secret_is_printed() {
        let (options, _) = check(&[
            ("password", "hush"),
            ("url", "postgres://me:hush:h@u@sh@db:5432/x?a=@"),
        ]);
        let printed = format!("{options:?}");
        assert!(!printed.contains("hush"), "{printed}");
        assert!(
            printed.contains("postgres://me:******@db:5432/x?a=@"),
            "{printed}"
        );
        assert_eq!(options.text("password"), Some("hush"));
    }
}
