//! Java properties as RocketMQ's processes read them, and what becomes of each line here.

use std::fmt;

use super::check::Finding;
use super::{Layers, load};
use crate::nearest::nearest;

/// One line of a file, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: usize,
    pub key: String,
    pub fate: Fate,
}

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It sets one of ours: `part.key=value`, ready for `--set`.
    Mapped(String),
    /// It is accepted and changes nothing here, because of this.
    WithoutEffect(String),
    /// It can't be honoured, because of this; starting anyway would break what its author expects.
    Refused(String),
}

/// A whole file, line by line, comments and blank lines left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    pub lines: Vec<Line>,
}

impl Translated {
    /// The `--set` flags of all mapped lines, in order.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|line| match &line.fate {
            Fate::Mapped(flag) => Some(flag.as_str()),
            _ => None,
        })
    }

    /// The refused lines as sentences.
    pub fn refusals(&self) -> Vec<String> {
        self.lines
            .iter()
            .filter(|line| matches!(line.fate, Fate::Refused(_)))
            .map(Line::to_string)
            .collect()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { number, key, fate } = self;
        match fate {
            Fate::Mapped(flag) => write!(f, "line {number}: {key} sets {flag}"),
            Fate::WithoutEffect(why) => write!(f, "line {number}: {key} has no effect: {why}"),
            Fate::Refused(why) => write!(f, "line {number}: {key}: {why}"),
        }
    }
}

/// The text of a file (`key=value`, `#` comments), before anything is made of it.
pub(super) struct Properties<'a> {
    /// Number, key and value; no value where the line is no pair.
    lines: Vec<(usize, &'a str, Option<&'a str>)>,
}

impl<'a> Properties<'a> {
    pub fn read(text: &'a str) -> Properties<'a> {
        let lines = text
            .lines()
            .map(str::trim)
            .enumerate()
            .filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', '!']))
            .map(|(index, line)| match line.split_once(['=', ':']) {
                Some((key, value)) => (index + 1, key.trim(), Some(value.trim())),
                None => (index + 1, line, None),
            });
        Properties {
            lines: lines.collect(),
        }
    }

    /// The value of a key, if it can be read as what it has to be. The last line counts, as in Java.
    pub fn last<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        let lines = self.lines.iter().rev();
        lines
            .filter(|(_, name, _)| *name == key)
            .find_map(|(_, _, value)| value.as_ref()?.parse().ok())
    }

    /// Decides each line by its key and value.
    pub fn translated(self, fate: impl Fn(&str, &str) -> Fate) -> Translated {
        let lines = self.lines.into_iter().map(|(number, key, value)| Line {
            number,
            key: key.to_owned(),
            fate: match value {
                Some(value) => tried(fate(key, value)),
                None => Fate::Refused("is not key=value".to_owned()),
            },
        });
        Translated {
            lines: lines.collect(),
        }
    }
}

/// A value that our settings refuse is refused where it stands.
fn tried(fate: Fate) -> Fate {
    let Fate::Mapped(flag) = &fate else {
        return fate;
    };
    let alone = Layers {
        flags: vec![flag.clone()],
        ..Layers::default()
    };
    match load(&alone) {
        Ok(_) => fate,
        Err(findings) => {
            let messages: Vec<_> = findings.iter().map(Finding::message).collect();
            Fate::Refused(messages.join("; "))
        }
    }
}

/// A key without an entry: RocketMQ may know it, so it is not called a mistake.
pub(super) fn not_known<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Fate {
    // RocketMQ knows hundreds of keys that are no misspelling of these.
    let close = known.filter(|name| {
        name.len().abs_diff(key.len()) <= 2 && name.as_bytes().first() == key.as_bytes().first()
    });
    let hint = nearest(key, close)
        .first()
        .map(|near| format!("; the nearest name that is: {near}"))
        .unwrap_or_default();
    Fate::WithoutEffect(format!("it is not known here{hint}"))
}

/// RocketMQ names the sizes of its thread pools and their queues after one pattern.
pub(super) fn sizes_a_thread_pool(key: &str) -> bool {
    ["ThreadPoolNums", "PoolQueueCapacity"]
        .iter()
        .any(|end| key.ends_with(end))
}

pub(super) const NO_THREAD_POOLS: &str = "no request waits for a thread of a pool";
pub(super) const NO_SUCH_PATH: &str =
    "is not a setting here: nothing is run or read from such a path; remove the line";
