//! Delayed messages that move to the end of the log, because the segment they lie in is to go.
//!
//! A copy says when the message is due and waits in the queue of the longest level that is over
//! before. When that is over, it moves once more or is delivered: never early, and later by no
//! more than the shortest level.

use model::{Message, properties};

use crate::delay_levels::DelayLevel;

/// When the message is due, by the wall in ms.
const DUE: &str = "MILLSTREAM_DUE";
/// The level that it was sent with.
const LEVEL: &str = "MILLSTREAM_DELAY";

/// When a waiting message is due, if it has moved.
pub(crate) fn due(message: &Message) -> Option<i64> {
    message.properties.number(DUE)
}

/// Lets a waiting message that is due at `due` wait for another level; `over` says when a level
/// is over that begins now.
pub(crate) fn carry(message: &mut Message, due: i64, over: impl Fn(DelayLevel) -> Option<i64>) {
    let levels = || DelayLevel::all().filter_map(|level| Some((over(level)?, level)));
    let fitting = levels().filter(|(over, _)| *over <= due).max();
    let Some((_, level)) = fitting.or_else(|| levels().min()) else {
        return;
    };
    let properties = &mut message.properties;
    if properties.get(LEVEL).is_none() {
        let sent = properties.number(properties::DELAY).unwrap_or_default();
        properties.set(LEVEL, sent);
    }
    properties.set(DUE, due);
    properties.set(properties::DELAY, level.number());
    message.queue = level.queue();
}

/// The message is as it was sent, whether it has moved or not.
pub(crate) fn settle(message: &mut Message) {
    if let Some(level) = message.properties.get(LEVEL).map(str::to_owned) {
        message.properties.set(properties::DELAY, level);
    }
    forget(message);
}

/// Takes away what a sender may say about this: it is not his to say.
pub(crate) fn forget(message: &mut Message) {
    message.properties.remove(DUE);
    message.properties.remove(LEVEL);
}

#[cfg(test)]
mod tests {
    use model::Topic;

    use super::*;

    /// RocketMQ's first three levels, and no others.
    fn over(level: DelayLevel) -> Option<i64> {
        [1_000, 5_000, 10_000]
            .get(level.number() as usize - 1)
            .map(|wait| 100_000 + wait)
    }

    fn waiting() -> Message {
        let mut message = Message::new(Topic::parse("t").expect("a topic"), 2, "body");
        message.properties.set(properties::DELAY, 3);
        message
    }

    #[test]
    fn it_waits_for_the_longest_level_that_is_over_before_it_is_due() {
        for (due, level) in [
            (100_001, 1),
            (101_000, 1),
            (104_999, 1),
            (105_000, 2),
            (109_999, 2),
            (500_000, 3),
        ] {
            let mut message = waiting();
            carry(&mut message, due, over);
            let said = message.properties.number(properties::DELAY);
            assert_eq!((said, message.queue), (Some(level), level as u32 - 1));
            assert_eq!(super::due(&message), Some(due));
        }
    }

    #[test]
    fn however_often_it_moved_it_is_delivered_as_it_was_sent() {
        let sent = waiting();
        let mut message = sent.clone();
        for due in [109_000, 103_000] {
            carry(&mut message, due, over);
        }
        settle(&mut message);
        assert_eq!(message.properties, sent.properties);
        settle(&mut message);
        assert_eq!(message.properties, sent.properties);
    }
}
