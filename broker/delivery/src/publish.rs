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
        Ok(self.store.append(self.encode(&admitted(message)?)?).await?)
    }

    /// Publishes messages that arrived together and have nothing else to do with each other:
    /// one result for each, in their order.
    pub async fn publish_each(&self, messages: Vec<Message>) -> Vec<Result<Appended, Error>> {
        let mut results = Vec::with_capacity(messages.len());
        let mut records = Vec::with_capacity(messages.len());
        for message in messages {
            results.push(
                match admitted(message).and_then(|message| self.encode(&message)) {
                    Ok(record) => {
                        records.push(record);
                        None
                    }
                    Err(why) => Some(why),
                },
            );
        }
        let mut appended = self.store.append_each(records).await.into_iter();
        let mut result = |refused: Option<Error>| match refused {
            Some(why) => Err(why),
            None => Ok(appended.next().expect("each record has a result")?),
        };
        results.into_iter().map(&mut result).collect()
    }

    /// Appends all messages so that a reader sees all of them or none.
    pub async fn publish_together(&self, messages: Vec<Message>) -> Result<Vec<Appended>, Error> {
        let mut records = Vec::with_capacity(messages.len());
        for message in messages {
            records.push(self.encode(&admitted(message)?)?);
        }
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

    fn encode(&self, message: &Message) -> Result<Unplaced, Error> {
        Ok(Unplaced::encode(message, self.host, Checksum::Record)?)
    }
}

/// Rewrites what has to wait, and refuses what this broker has no machine for.
fn admitted(message: Message) -> Result<Message, Error> {
    let (mut prepared, mut level, mut timer) = (false, None, false);
    // One reading for all of them: every message that comes in goes through here.
    for (name, value) in &message.properties {
        match name {
            properties::TRANSACTION_PREPARED => prepared = value.eq_ignore_ascii_case("true"),
            properties::DELAY => level = value.parse().ok().and_then(DelayLevel::asked),
            properties::TIMER_DELIVER_MS
            | properties::TIMER_DELAY_SECONDS
            | properties::TIMER_DELAY_MS => timer = true,
            _ => {}
        }
    }
    if prepared {
        return Err(Error::Illegal {
            why: "transactional messages are not supported yet".into(),
        });
    }
    if let Some(level) = level {
        return Ok(scheduled(message, level));
    }
    if timer {
        return Err(Error::Illegal {
            why: "a delay of any length is not supported yet; use one of the 18 delay levels"
                .into(),
        });
    }
    Ok(message)
}

/// The message as it waits in the schedule: RocketMQ's form, so that either broker can deliver it.
fn scheduled(mut message: Message, level: DelayLevel) -> Message {
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
    message
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
        let waiting = admitted(message((properties::DELAY, "99"))).expect("a level is admitted");
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
        let refused = admitted(message((properties::TRANSACTION_PREPARED, "true")))
            .expect_err("no transactions");
        assert_eq!(
            refused.to_string(),
            "this message cannot be stored: transactional messages are not supported yet"
        );
        assert!(admitted(message((properties::TIMER_DELAY_MS, "5"))).is_err());
        assert!(
            admitted(message((properties::DELAY, "0"))).is_ok(),
            "level 0 is no delay"
        );
    }
}
