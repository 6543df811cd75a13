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
            )?,
            tag: option("tag").map(str::to_owned),
            sql: option("sql").map(str::to_owned),
            format,
            format_options: Options::parse(format, &given)?,
        })
    }
}

fn start(mode: Option<&str>, timestamp: Option<&str>) -> Result<Start, BoxError> {
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
        (None, None) | (Some("earliest" | "earliest-offset" | "group-offsets"), _) => {
            Ok(Start::Earliest)
        }
        (Some("latest" | "latest-offset"), _) => Ok(Start::Latest),
        (None | Some("timestamp"), Some(timestamp)) => Ok(Start::Timestamp(timestamp)),
        (Some("timestamp"), None) => {
            Err("'scanStartupMode' = 'timestamp' needs 'offsetFromTimestamp'".into())
        }
        (Some(other), _) => Err(format!(
            "'scanStartupMode' = '{other}' is none of earliest, latest, timestamp"
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_starts_where_its_options_say() {
        assert_eq!(start(None, None).expect("the default"), Start::Earliest);
        assert_eq!(start(Some("LATEST"), None).expect("a mode"), Start::Latest);
        assert_eq!(
            start(Some("timestamp"), Some("17")).expect("a time"),
            Start::Timestamp(17)
        );
        assert_eq!(
            start(None, Some("17")).expect("a time alone"),
            Start::Timestamp(17)
        );
        assert!(start(Some("timestamp"), None).is_err());
        assert!(start(Some("yesterday"), None).is_err());
        assert!(start(None, Some("noon")).is_err());
    }
}
