//! The properties that a broker acts on, found by one reading of the text.

use super::{
    CLUSTER, CRC, DELAY, INNER_MULTI_DISPATCH, INNER_NUMBER, KEYS, POP_CHECKPOINT, PropertiesView,
    REGION, TAGS, TIMER_DELAY_MS, TIMER_DELAY_SECONDS, TIMER_DELIVER_MS, TRACE_ON,
    TRANSACTION_PREPARED, UNIQUE_KEY, WAIT,
};

/// What a message's properties ask of the broker, and what is to be kept of them in an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes<'a> {
    pub unique: Option<&'a str>,
    pub keys: Option<&'a str>,
    pub tags: Option<&'a str>,
    pub wait: Option<&'a str>,
    pub delay: Option<&'a str>,
    pub prepared: Option<&'a str>,
    /// Names of further queues that show the message.
    pub multi_dispatch: Option<&'a str>,
    /// Messages in an inner batch.
    pub inner_number: Option<&'a str>,
    /// A delay that is no level is among them.
    pub timed: bool,
    /// One of those that a broker adds is among them already.
    pub marked: bool,
    /// A record's checksum came along.
    pub checksum: bool,
}

impl<'a> Notes<'a> {
    pub fn of(properties: PropertiesView<'a>) -> Self {
        let names = [
            UNIQUE_KEY,
            KEYS,
            TAGS,
            WAIT,
            DELAY,
            TRANSACTION_PREPARED,
            INNER_MULTI_DISPATCH,
            INNER_NUMBER,
            TIMER_DELIVER_MS,
            TIMER_DELAY_SECONDS,
            TIMER_DELAY_MS,
            POP_CHECKPOINT,
            REGION,
            TRACE_ON,
            CLUSTER,
            CRC,
        ];
        let [
            unique,
            keys,
            tags,
            wait,
            delay,
            prepared,
            multi_dispatch,
            inner_number,
            deliver,
            seconds,
            milliseconds,
            marks @ ..,
            checksum,
        ] = properties.get_all(names);
        Self {
            unique,
            keys,
            tags,
            wait,
            delay,
            prepared,
            multi_dispatch,
            inner_number,
            timed: deliver.or(seconds).or(milliseconds).is_some(),
            marked: marks.iter().any(Option::is_some),
            checksum: checksum.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Properties;

    #[test]
    fn what_a_broker_acts_on_is_noted() {
        let properties: Properties = [
            (UNIQUE_KEY, "7F"),
            (KEYS, "k1 k2"),
            (TAGS, "red"),
            (DELAY, "3"),
            ("colour", "blue"),
        ]
        .into_iter()
        .collect();
        let notes = Notes::of(properties.view());
        let expected = Notes {
            unique: Some("7F"),
            keys: Some("k1 k2"),
            tags: Some("red"),
            delay: Some("3"),
            ..Notes::default()
        };
        assert_eq!(notes, expected);
    }

    #[test]
    fn one_of_several_is_enough() {
        for timer in [TIMER_DELIVER_MS, TIMER_DELAY_SECONDS, TIMER_DELAY_MS] {
            let properties: Properties = [(timer, "1")].into_iter().collect();
            assert!(Notes::of(properties.view()).timed, "{timer}");
        }
        for mark in [POP_CHECKPOINT, REGION, TRACE_ON, CLUSTER] {
            let properties: Properties = [(mark, "1")].into_iter().collect();
            assert!(Notes::of(properties.view()).marked, "{mark}");
        }
        let checksum: Properties = [(CRC, "1")].into_iter().collect();
        assert!(Notes::of(checksum.view()).checksum);
    }
}
