//! Takes messages in: what is delayed waits in the schedule, everything else goes to its queue.

use std::net::SocketAddr;

use model::properties::{self, Notes};
use model::{Checksum, Message, MessageView, Topic, system_topics};
use store::{Appended, Gathered, MessageStore, Records};

use crate::Error;
use crate::carried;
use crate::delay_levels::DelayLevel;

/// Puts messages into the log. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    store: MessageStore,
    /// The address that records name as their keeper; message ids are made of it.
    host: SocketAddr,
}

impl Publisher {
    pub fn new(store: MessageStore, host: SocketAddr) -> Publisher {
        Publisher { store, host }
    }

    pub fn host(&self) -> SocketAddr {
        self.host
    }

    /// Resolves once the message is as durable as the flush setting promises.
    pub async fn publish(&self, message: Message) -> Result<Appended, Error> {
        let mut records = Records::default();
        self.add(&mut records, &message.view())?;
        let mut appended = self.append_each(records).await;
        appended.pop().expect("one record gives one result")
    }

    /// Encodes a message as the last of these records, in its place to wait if it has to wait;
    /// refuses what this broker has no machine for.
    pub fn add(&self, records: &mut Records, message: &MessageView<'_>) -> Result<(), Error> {
        match delay(&message.notes)? {
            None => self.encode(records, message),
            Some(level) => {
                let mut message = message.to_message();
                schedule(&mut message, level);
                self.encode(records, &message.view())
            }
        }
    }

    /// Appends records that arrived together and have nothing else to do with each other: one
    /// result for each, in their order.
    pub async fn append_each(&self, records: Records) -> Vec<Result<Appended, Error>> {
        let appended = self.store.append_each(records).await.into_iter();
        appended.map(|one| one.map_err(Error::from)).collect()
    }

    /// Appends what was gathered, with as few writes as that takes: as
    /// [`append_each`](Self::append_each), and groups as [`append_all`](Self::append_all).
    pub async fn append_gathered(&self, each: Records, groups: Vec<Records>) -> Gathered<Error> {
        let gathered = self.store.append_gathered(each, groups).await;
        let each = gathered.each.into_iter();
        let groups = gathered.groups.into_iter();
        Gathered {
            each: each.map(|one| one.map_err(Error::from)).collect(),
            groups: groups.map(|one| one.map_err(Error::from)).collect(),
        }
    }

    /// Appends all records so that a reader sees all of them or none.
    pub async fn append_all(&self, records: Records) -> Result<Vec<Appended>, Error> {
        Ok(self.store.append_together(records).await?)
    }

    /// Encodes messages that are in the place where they go.
    pub(crate) fn encode_all(&self, messages: &[Message]) -> Result<Records, Error> {
        let mut records = Records::default();
        for message in messages {
            self.encode(&mut records, &message.view())?;
        }
        Ok(records)
    }

    /// Appends messages that are in their last place already, all or none.
    pub(crate) async fn append_together(
        &self,
        messages: &[Message],
    ) -> Result<Vec<Appended>, Error> {
        self.append_all(self.encode_all(messages)?).await
    }

    fn encode(&self, records: &mut Records, message: &MessageView<'_>) -> Result<(), Error> {
        Ok(records.push(message, self.host, Checksum::Record)?)
    }
}

/// The level a message has to wait for. Fails for what this broker has no machine for.
fn delay(notes: &Notes<'_>) -> Result<Option<DelayLevel>, Error> {
    let prepared = notes.prepared;
    if prepared.is_some_and(|prepared| prepared.eq_ignore_ascii_case("true")) {
        return Err(Error::Illegal {
            why: "transactional messages are not supported yet".into(),
        });
    }
    let level = notes.delay;
    let level = level.and_then(|level| DelayLevel::asked(level.parse().ok()?));
    if level.is_none() && notes.timed {
        return Err(Error::Illegal {
            why: "a delay of any length is not supported yet; use one of the 18 delay levels"
                .into(),
        });
    }
    Ok(level)
}

/// Lets the message wait in the schedule: in RocketMQ's form, so that either broker can deliver it.
fn schedule(message: &mut Message, level: DelayLevel) {
    message.properties.set(properties::DELAY, level.number());
    message
        .properties
        .set(properties::REAL_TOPIC, message.topic.as_str());
    message
        .properties
        .set(properties::REAL_QUEUE, message.queue);
    for timer in [
        properties::TIMER_DELIVER_MS,
        properties::TIMER_DELAY_SECONDS,
        properties::TIMER_DELAY_MS,
    ] {
        message.properties.remove(timer);
    }
    // Nobody but the schedule says that a message waits longer than its level.
    carried::forget(message);
    message.topic = schedule_topic();
    message.queue = level.queue();
}

pub(crate) fn schedule_topic() -> Topic {
    Topic::stored(system_topics::SCHEDULE).expect("the schedule's name is a valid topic")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(property: (&str, &str)) -> Message {
        let mut message = Message::new(Topic::parse("orders").expect("a valid topic"), 3, "body");
        message.properties.set(property.0, property.1);
        message
    }

    fn delay_of(message: &Message) -> Result<Option<DelayLevel>, Error> {
        delay(&Notes::of(message.properties.view()))
    }

    #[test]
    fn a_delayed_message_waits_in_its_levels_queue_and_knows_where_it_belongs() {
        let mut waiting = message((properties::DELAY, "99"));
        let level = delay_of(&waiting).expect("a level is admitted");
        schedule(&mut waiting, level.expect("a level"));
        assert_eq!(
            (waiting.topic.as_str(), waiting.queue),
            (system_topics::SCHEDULE, 17)
        );
        assert_eq!(
            waiting.properties.get(properties::REAL_TOPIC),
            Some("orders")
        );
        assert_eq!(waiting.properties.get(properties::REAL_QUEUE), Some("3"));
        assert_eq!(waiting.properties.get(properties::DELAY), Some("18"));
    }

    #[test]
    fn what_has_no_machine_yet_is_refused_by_name() {
        let prepared = message((properties::TRANSACTION_PREPARED, "true"));
        let refused = delay_of(&prepared).expect_err("no transactions");
        assert_eq!(
            refused.to_string(),
            "this message cannot be stored: transactional messages are not supported yet"
        );
        assert!(delay_of(&message((properties::TIMER_DELAY_MS, "5"))).is_err());
        let none = delay_of(&message((properties::DELAY, "0")));
        assert_eq!(none.expect("level 0 is no delay"), None);
    }
}
