//! What `SET 'key' = 'value'` may say, and the policies it chooses.

use dataflow::{Policies, RowPolicy};
use std::collections::BTreeMap;

use crate::{cursor::Name, error::Error, nearest::nearest};

/// Settings of a script, checked.
#[derive(Default)]
pub(crate) struct JobSettings {
    values: BTreeMap<String, String>,
}

/// Name of the job in lists and metrics.
pub(crate) const NAME: &str = "pipeline.name";
/// How long a queue without records holds the watermark back.
const IDLE: &str = "table.exec.source.idle-timeout";
/// Longest time between durable epochs.
const CHECKPOINT: &str = "execution.checkpointing.interval";
const ZONE: &str = "table.local-time-zone";
const MODE: &str = "execution.runtime-mode";
const PARALLELISM: &str = "parallelism.default";
const UNDECODABLE: &str = "errors.undecodable";
const LATE: &str = "errors.late";
const FUNCTION: &str = "errors.function";
/// Topic of dead letters; `<job>_dead_letters` unless set.
const TOPIC: &str = "errors.dead-letter.topic";

const KEYS: &[&str] = &[
    NAME,
    IDLE,
    CHECKPOINT,
    ZONE,
    MODE,
    PARALLELISM,
    UNDECODABLE,
    LATE,
    FUNCTION,
    TOPIC,
];

impl JobSettings {
    /// Takes one setting, or says why it cannot be kept.
    pub(crate) fn set(&mut self, key: &Name, value: &Name) -> Result<(), Error> {
        let wrong = |expected: &str| {
            Error::new(
                "sql.setting.value",
                value.place,
                format!("'{}' cannot be '{}'", key.text, value.text),
            )
            .hint(expected)
        };
        let normal = match key.text.as_str() {
            NAME | TOPIC if value.text.trim().is_empty() => return Err(wrong("a name")),
            NAME | TOPIC => value.text.clone(),
            IDLE | CHECKPOINT => milliseconds(&value.text)
                .ok_or_else(|| wrong("a duration, as in '10 s' or '500 ms'"))?
                .to_string(),
            ZONE if value.text == "UTC" => value.text.clone(),
            ZONE => return Err(wrong("'UTC', the only time zone")),
            MODE if value.text.eq_ignore_ascii_case("streaming") => value.text.to_lowercase(),
            MODE => return Err(wrong("'streaming'")),
            PARALLELISM if value.text == "1" => value.text.clone(),
            PARALLELISM => return Err(wrong("'1': a job runs in one shard")),
            UNDECODABLE | LATE | FUNCTION => match value.text.as_str() {
                "fail" | "skip" | "dead-letter" => value.text.clone(),
                _ => return Err(wrong("'fail', 'skip' or 'dead-letter'")),
            },
            other => {
                return Err(Error::new(
                    "sql.setting.unknown",
                    key.place,
                    format!("there is no setting '{other}'"),
                )
                .nearest(nearest(other, KEYS.iter().copied()).map(|word| format!("'{word}'"))));
            }
        };
        self.values.insert(key.text.clone(), normal);
        Ok(())
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.values.get(NAME).map(String::as_str)
    }

    /// The policies, with the dead-letter topic of this job where one is asked for.
    pub(crate) fn policies(&self, job: &str) -> Policies {
        let default = Policies::default();
        let policy = |key: &str, default: RowPolicy| match self.values.get(key).map(String::as_str)
        {
            Some("fail") => RowPolicy::Fail,
            Some("skip") => RowPolicy::Skip,
            Some(_) => RowPolicy::DeadLetter(self.dead_letter_topic(job)),
            None => default,
        };
        Policies {
            undecodable: policy(UNDECODABLE, default.undecodable),
            late: policy(LATE, default.late),
            function: policy(FUNCTION, default.function),
        }
    }

    fn dead_letter_topic(&self, job: &str) -> String {
        self.values.get(TOPIC).cloned().unwrap_or_else(|| {
            let allowed = |c: char| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            };
            format!(
                "{}_dead_letters",
                job.chars().map(allowed).collect::<String>()
            )
        })
    }

    /// Durations are in milliseconds.
    pub(crate) fn into_values(self) -> BTreeMap<String, String> {
        self.values
    }
}

/// Flink's durations: a number and a unit, milliseconds without one.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
