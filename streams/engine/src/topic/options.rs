//! What the options of a `rocketmq` table mean.

use std::collections::BTreeMap;

use dataflow::TableSpec;
use format::{Format, Options};
use model::{ConsumerGroup, Topic};

use crate::BoxError;

/// Where a source without a committed position begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Earliest,
    /// Where the consumer group is; at the earliest message of a queue that it never read.
    Committed,
    Latest,
    /// Messages stored at or after this, ms since 1970.
    Timestamp(i64),
}

/// The options of one table, read.
#[derive(Clone, Debug)]
pub(crate) struct TopicOptions {
    pub(crate) topic: Topic,
    pub(crate) group: Option<ConsumerGroup>,
    pub(crate) start: Start,
    pub(crate) tag: Option<String>,
    pub(crate) sql: Option<String>,
    pub(crate) format: Format,
    pub(crate) format_options: Options,
}

impl TopicOptions {
    /// Keys were checked when the table was declared; values are checked here.
    pub(crate) fn of(table: &TableSpec) -> Result<TopicOptions, BoxError> {
        let option = |key: &str| table.options.get(key).map(String::as_str);
        let format: Format = option("format").unwrap_or("json").parse()?;
        let prefix = format!("{format}.");
        let given: BTreeMap<_, _> = table
            .options
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?.to_owned(), value.clone())))
            .collect();
        let topic = option("topic")
            .ok_or_else(|| format!("table {} needs the option 'topic'", table.name))?;
        Ok(TopicOptions {
            topic: Topic::parse(topic)?,
            group: option("consumerGroup")
                .map(ConsumerGroup::parse)
                .transpose()?,
            start: start(
                option("scanStartupMode"),
                option("offsetFromTimestamp").or(option("startTimeMs")),
                option("consumerGroup").is_some(),
            )?,
            tag: option("tag").map(str::to_owned),
            sql: option("sql").map(str::to_owned),
            format,
            format_options: Options::parse(format, &given)?,
        })
    }
}

fn start(mode: Option<&str>, timestamp: Option<&str>, has_group: bool) -> Result<Start, BoxError> {
    let timestamp = timestamp
        .map(|text| {
            text.parse()
                .map_err(|_| format!("the start time {text:?} is not a number of milliseconds"))
        })
        .transpose()?;
    match (
        mode.map(|mode| mode.to_ascii_lowercase().replace('_', "-"))
            .as_deref(),
        timestamp,
    ) {
        (None, None) | (Some("earliest" | "earliest-offset"), _) => Ok(Start::Earliest),
        (Some("group-offsets"), _) if has_group => Ok(Start::Committed),
        (Some("group-offsets"), _) => {
            Err("'scanStartupMode' = 'group-offsets' needs 'consumerGroup'".into())
        }
        (Some("latest" | "latest-offset"), _) => Ok(Start::Latest),
        (None | Some("timestamp"), Some(timestamp)) => Ok(Start::Timestamp(timestamp)),
        (Some("timestamp"), None) => {
            Err("'scanStartupMode' = 'timestamp' needs 'offsetFromTimestamp'".into())
        }
        (Some(other), _) => Err(format!(
            "'scanStartupMode' = '{other}' is none of earliest, latest, timestamp, group-offsets"
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mode: Option<&str>, timestamp: Option<&str>, group: bool, expected: Option<Start>) {
        let start = start(mode, timestamp, group).ok();
        assert_eq!(start, expected, "{mode:?} {timestamp:?} {group}");
    }

    #[test]
    fn a_source_starts_where_its_options_say() {
        check(None, None, true, Some(Start::Earliest));
        check(Some("LATEST"), None, false, Some(Start::Latest));
        check(
            Some("timestamp"),
            Some("17"),
            false,
            Some(Start::Timestamp(17)),
        );
        check(None, Some("17"), false, Some(Start::Timestamp(17)));
        check(Some("timestamp"), None, false, None);
        check(Some("yesterday"), None, false, None);
        check(None, Some("noon"), false, None);
    }

    #[test]
    fn only_a_table_with_a_group_starts_where_its_group_is() {
        check(Some("group-offsets"), None, true, Some(Start::Committed));
        check(Some("group-offsets"), None, false, None);
    }
}
