//! The properties that a broker acts on, found by one reading of the text.

use super::PropertiesView;
use super::view::mark;

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

macro_rules! noted {
    ($($name:ident)*) => {
        /// The names as bytes: a pattern of bytes is a look at the length and a few words.
        mod name {
            $(pub(super) const $name: &[u8] = super::super::$name.as_bytes();)*
        }

        /// Tells most names that are noted from most that are not.
        const NOTED: u64 = 0 $(| mark(name::$name))*;
    };
}

noted! {
    UNIQUE_KEY KEYS TAGS WAIT DELAY TRANSACTION_PREPARED INNER_MULTI_DISPATCH INNER_NUMBER
    TIMER_DELIVER_MS TIMER_DELAY_SECONDS TIMER_DELAY_MS POP_CHECKPOINT REGION TRACE_ON CLUSTER CRC
}

impl<'a> Notes<'a> {
    pub fn of(properties: PropertiesView<'a>) -> Self {
        let mut notes = Self::default();
        properties.tokens(|name, value| {
            if mark(name) & NOTED == 0 {
                return;
            }
            let text = || std::str::from_utf8(value).ok();
            let (noted, text) = match name {
                name::UNIQUE_KEY => (&mut notes.unique, text()),
                name::KEYS => (&mut notes.keys, text()),
                name::TAGS => (&mut notes.tags, text()),
                name::WAIT => (&mut notes.wait, text()),
                name::DELAY => (&mut notes.delay, text()),
                name::TRANSACTION_PREPARED => (&mut notes.prepared, text()),
                name::INNER_MULTI_DISPATCH => (&mut notes.multi_dispatch, text()),
                name::INNER_NUMBER => (&mut notes.inner_number, text()),
                name::TIMER_DELIVER_MS | name::TIMER_DELAY_SECONDS | name::TIMER_DELAY_MS => {
                    notes.timed |= text().is_some();
                    return;
                }
                name::POP_CHECKPOINT | name::REGION | name::TRACE_ON | name::CLUSTER => {
                    notes.marked |= text().is_some();
                    return;
                }
                name::CRC => {
                    notes.checksum |= text().is_some();
                    return;
                }
                _ => return,
            };
            // Of several the last one counts; what is not UTF-8 is not seen.
            *noted = text.or(*noted);
        });
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        CLUSTER, CRC, DELAY, KEYS, POP_CHECKPOINT, REGION, TAGS, TIMER_DELAY_MS,
        TIMER_DELAY_SECONDS, TIMER_DELIVER_MS, TRACE_ON, UNIQUE_KEY,
    };
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
    fn of_several_the_last_counts_that_can_be_read() {
        let text = b"TAGS\x01a\x02TAGS\x01b\x02TAGS\x01\xff\x02TAGS\x01\x02";
        let view = PropertiesView::new(text);
        assert_eq!(Notes::of(view).tags, Some("b"));
        assert_eq!(view.get(TAGS), Some("b"));
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
