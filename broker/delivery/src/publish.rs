//! Takes messages in: what is delayed waits in the schedule, everything else goes to its queue.

use std::net::SocketAddr;

use model::record::Unplaced;
use model::{Checksum, Message, Topic, properties, system_topics};
use store::{Appended, MessageStore};

use crate::Error;
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
        Ok(self.store.append(self.record(message)?).await?)
    }

    /// Publishes messages that arrived together and have nothing else to do with each other:
    /// one result for each, in their order.
    pub async fn publish_each(&self, messages: Vec<Message>) -> Vec<Result<Appended, Error>> {
        let mut refused = Vec::new();
        let mut records = Vec::with_capacity(messages.len());
        for (number, message) in messages.into_iter().enumerate() {
            match self.record(message) {
                Ok(record) => records.push(record),
                Err(why) => refused.push((number, why)),
            }
        }
        let appended = self.store.append_each(records).await.into_iter();
        let mut results: Vec<_> = appended.map(|one| one.map_err(Error::from)).collect();
        for (number, why) in refused {
            results.insert(number, Err(why));
        }
        results
    }

    /// Appends all messages so that a reader sees all of them or none.
    pub async fn publish_together(&self, messages: Vec<Message>) -> Result<Vec<Appended>, Error> {
        let records = messages.into_iter().map(|message| self.record(message));
        let records = records.collect::<Result<_, _>>()?;
        Ok(self.store.append_together(records).await?)
    }

    /// Appends messages that are in their last place already, all or none.
    pub(crate) async fn append_together(
        &self,
        messages: &[Message],
    ) -> Result<Vec<Appended>, Error> {
        let records = messages
            .iter()
            .map(|message| self.encode(message))
            .collect::<Result<_, _>>()?;
        Ok(self.store.append_together(records).await?)
    }

    fn record(&self, mut message: Message) -> Result<Unplaced, Error> {
        admit(&mut message)?;
        self.encode(&message)
    }

    fn encode(&self, message: &Message) -> Result<Unplaced, Error> {
        Ok(Unplaced::encode(message, self.host, Checksum::Record)?)
    }
}

/// Rewrites what has to wait, and refuses what this broker has no machine for.
fn admit(message: &mut Message) -> Result<(), Error> {
    let names = [
        properties::TRANSACTION_PREPARED,
        properties::DELAY,
        properties::TIMER_DELIVER_MS,
        properties::TIMER_DELAY_SECONDS,
        properties::TIMER_DELAY_MS,
    ];
    let [prepared, level, timers @ ..] = message.properties.get_all(names);
    if prepared.is_some_and(|prepared| prepared.eq_ignore_ascii_case("true")) {
        return Err(Error::Illegal {
            why: "transactional messages are not supported yet".into(),
        });
    }
    let level = level.and_then(|level| DelayLevel::asked(level.parse().ok()?));
    if let Some(level) = level {
        schedule(message, level);
        return Ok(());
    }
    if timers.iter().any(Option::is_some) {
        return Err(Error::Illegal {
            why: "a delay of any length is not supported yet; use one of the 18 delay levels"
                .into(),
        });
    }
    Ok(())
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

    #[test]
    fn a_delayed_message_waits_in_its_levels_queue_and_knows_where_it_belongs() {
        let mut waiting = message((properties::DELAY, "99"));
        admit(&mut waiting).expect("a level is admitted");
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
        let refused = admit(&mut message((properties::TRANSACTION_PREPARED, "true")))
            .expect_err("no transactions");
        assert_eq!(
            refused.to_string(),
            "this message cannot be stored: transactional messages are not supported yet"
        );
        assert!(admit(&mut message((properties::TIMER_DELAY_MS, "5"))).is_err());
        assert!(
            admit(&mut message((properties::DELAY, "0"))).is_ok(),
            "level 0 is no delay"
        );
    }
}
