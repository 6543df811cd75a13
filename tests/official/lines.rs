//! What a driver program printed: one line for each message sent, and for each consumed.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Everything one program did.
#[derive(Debug, Default)]
pub struct Lines {
    pub sent: Vec<Sent>,
    pub consumed: Vec<Consumed>,
    pub committed: Vec<Committed>,
    done: bool,
}

/// A receipt.
#[derive(Debug, Deserialize)]
pub struct Sent {
    #[serde(rename = "sent")]
    pub key: String,
    pub status: String,
    /// The C++ client does not tell.
    pub queue: Option<u32>,
    pub offset: u64,
    pub id: String,
}

/// One message in a listener's hands.
#[derive(Debug, Deserialize)]
pub struct Consumed {
    #[serde(rename = "consumed")]
    pub key: String,
    pub scenario: String,
    pub by: String,
    pub queue: u32,
    pub offset: u64,
    pub id: String,
    /// Body and properties are those that were sent.
    pub whole: bool,
    pub times: i32,
}

/// A position as the client read it back.
#[derive(Debug, Deserialize)]
pub struct Committed {
    #[serde(rename = "committed")]
    pub offset: i64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Sent(Sent),
    Consumed(Consumed),
    Committed(Committed),
    Done { done: bool },
}

impl Lines {
    /// Runs the program to its end and reads what it printed.
    pub fn of(command: &mut Command) -> Result<Lines> {
        let Output {
            status,
            stdout,
            stderr,
        } = command
            .output()
            .with_context(|| format!("cannot start {command:?}"))?;
        let (out, errors) = (
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr),
        );
        let mut lines = Lines::default();
        for text in out.lines().filter(|line| line.starts_with('{')) {
            match serde_json::from_str(text).with_context(|| format!("{text:?}"))? {
                Line::Sent(sent) => lines.sent.push(sent),
                Line::Consumed(consumed) => lines.consumed.push(consumed),
                Line::Committed(committed) => lines.committed.push(committed),
                Line::Done { done } => lines.done = done,
            }
        }
        ensure!(
            status.success() && lines.done,
            "{command:?} ended with {status}, after {} messages:\n{errors}",
            lines.consumed.len()
        );
        ensure!(!errors.contains(" of "), "messages are missing:\n{errors}");
        Ok(lines)
    }

    fn of_listener<'a>(
        &'a self,
        scenario: &'a str,
        by: &'a str,
    ) -> impl Iterator<Item = &'a Consumed> {
        self.consumed
            .iter()
            .filter(move |line| line.scenario == scenario && line.by == by)
    }

    /// The listener got exactly these messages, each once and whole.
    #[track_caller]
    pub fn check_got(&self, scenario: &str, by: &str, expected: impl IntoIterator<Item = usize>) {
        let mut times = BTreeMap::new();
        for line in self.of_listener(scenario, by) {
            assert!(line.whole, "{line:?} is not what was sent");
            *times.entry(line.key.clone()).or_insert(0) += 1;
        }
        let key = |number| (format!("{scenario}-{number}"), 1);
        let expected: BTreeMap<_, _> = expected.into_iter().map(key).collect();
        let wrong: BTreeSet<_> = expected
            .iter()
            .filter(|(key, count)| times.get(*key) != Some(count))
            .chain(times.iter().filter(|(key, _)| !expected.contains_key(*key)))
            .map(|(key, _)| (key, times.get(key).copied().unwrap_or(0)))
            .collect();
        assert!(
            wrong.is_empty(),
            "{scenario}, {by}: delivered so often: {wrong:?}"
        );
    }

    /// Within every queue the messages came in the order of their offsets, and so of sending.
    #[track_caller]
    pub fn check_order(&self, scenario: &str, by: &str) {
        let mut queues: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
        for line in self.of_listener(scenario, by) {
            let number = line.key.rsplit('-').next().and_then(|n| n.parse().ok());
            let number = number.expect("keys end in a number");
            queues
                .entry(line.queue)
                .or_default()
                .push((line.offset, number));
        }
        assert!(
            queues.len() > 1,
            "{scenario} should use several queues: {queues:?}"
        );
        for (queue, places) in queues {
            assert!(places.is_sorted(), "{scenario}, queue {queue}: {places:?}");
            assert!(
                places.iter().map(|place| place.1).is_sorted(),
                "{scenario}, queue {queue}: {places:?}"
            );
        }
    }

    /// Every receipt is good, and its message was consumed from where the receipt says.
    #[track_caller]
    pub fn check_receipts(&self) {
        let mut places = BTreeMap::new();
        for line in self.consumed.iter().filter(|line| line.times == 0) {
            places.insert(&line.key, (line.queue, line.offset, &line.id));
        }
        assert!(!self.sent.is_empty());
        for sent in &self.sent {
            assert_eq!(sent.status, "SEND_OK", "{sent:?}");
            let Some((queue, offset, id)) = places.get(&sent.key) else {
                continue;
            };
            assert_eq!(sent.offset, *offset, "{sent:?} was consumed from elsewhere");
            assert_eq!(sent.queue.unwrap_or(*queue), *queue, "{sent:?}");
            if sent.queue.is_some() {
                assert_eq!(&sent.id, *id, "{sent:?}");
            }
        }
    }

    /// Each message failed once and came again with one failure counted.
    #[track_caller]
    pub fn check_retries(&self, scenario: &str, count: usize) {
        for times in [0, 1] {
            let mut keys: Vec<_> = self
                .of_listener(scenario, "one")
                .filter(|line| line.times == times)
                .map(|line| line.key.clone())
                .collect();
            keys.sort();
            let expected: Vec<_> = (0..count).map(|n| format!("{scenario}-{n}")).collect();
            assert_eq!(keys, expected, "after {times} failures");
        }
        assert!(self.consumed.iter().all(|line| line.whole));
    }
}
