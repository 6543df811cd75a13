//! Gives a message that a consumer could not handle another chance, or takes it aside.

use std::sync::Arc;

use metadata::{Groups, TopicConfig, Topics};
use model::{ConsumerGroup, LogOffset, Message, MessageId, StoredMessage, properties, record};
use store::{Appended, MessageStore};

use crate::Error;
use crate::delay_levels::DelayLevel;
use crate::publish::Publisher;
use crate::queue_locks::QueueLocks;

/// Moves failed messages to `%RETRY%group`, and to `%DLQ%group` when their attempts are spent.
#[derive(Clone)]
pub struct Retries {
    store: MessageStore,
    publisher: Publisher,
    topics: Arc<Topics>,
    groups: Arc<Groups>,
    locks: Arc<QueueLocks>,
}

/// A consumer's report of one failure.
#[derive(Clone, Debug)]
pub struct Failure {
    pub group: ConsumerGroup,
    /// Where the message it failed on lies.
    pub at: LogOffset,
    /// Below 0: take it aside at once. 0: wait longer with each failure. Above: this level.
    pub delay_level: i32,
    /// Attempts the consumer allows; `None`: what the group's settings say.
    pub max_attempts: Option<i32>,
}

impl Retries {
    pub fn new(
        store: MessageStore,
        publisher: Publisher,
        topics: Arc<Topics>,
        groups: Arc<Groups>,
        locks: Arc<QueueLocks>,
    ) -> Retries {
        Retries {
            store,
            publisher,
            topics,
            groups,
            locks,
        }
    }

    /// Stores the copy that the group meets again. `None`: the group wants no retries.
    pub async fn send_back(&self, failure: Failure) -> Result<Option<Appended>, Error> {
        let config = self
            .groups
            .get(failure.group.as_str())
            .ok_or_else(|| Error::NoSuchGroup {
                group: failure.group.to_string(),
            })?;
        if config.retry_queue_nums <= 0 {
            return Ok(None);
        }
        let bytes = self
            .store
            .record_at(failure.at)
            .await
            .map_err(|why| match why {
                store::Error::NoSuchRecord { at, .. } => Error::NoSuchMessage { at },
                other => Error::Store(other),
            })?;
        let failed = record::decode(&bytes)?;
        let max = failure.max_attempts.unwrap_or(config.retry_max_times);
        let spent = failure.delay_level < 0 || failed.message.reconsume_times >= max;
        let copy = if spent {
            self.dead_letter_queue(&failure.group)?;
            dead_letter(failed, &failure.group)
        } else {
            let queues = u32::try_from(config.retry_queue_nums).unwrap_or(1);
            self.topics
                .get_or_create(&failure.group.retry_topic(), || {
                    TopicConfig::with_queues(queues)
                })?;
            let level = DelayLevel::asked(i64::from(failure.delay_level))
                .unwrap_or_else(|| DelayLevel::of_retry(failed.message.reconsume_times));
            another_chance(failed, &failure.group, level, queues)
        };
        let appended = self.publisher.publish(copy).await?;
        // The copy says `WAIT=false`, as RocketMQ's does. But its consumer goes past the message
        // on our word alone.
        self.store.kept(&appended).await?;
        Ok(Some(appended))
    }

    /// Decides about a message that a client itself sends to a retry topic: it goes on to the
    /// dead letters when its attempts are spent, or when the group consumes in order.
    pub fn redirect(&self, message: &mut Message, max_attempts: Option<i32>) -> Result<(), Error> {
        let Some(group) = message.topic.group().filter(|_| message.topic.is_retry()) else {
            return Ok(());
        };
        let config = self
            .groups
            .get(group.as_str())
            .ok_or_else(|| Error::NoSuchGroup {
                group: group.to_string(),
            })?;
        let max = max_attempts.unwrap_or(config.retry_max_times);
        if message.reconsume_times > max || self.locks.is_ordered(group.as_str()) {
            self.dead_letter_queue(&group)?;
            message.topic = group.dead_letter_topic();
            message.queue = 0;
            message.properties.remove(properties::DELAY);
        }
        Ok(())
    }

    fn dead_letter_queue(&self, group: &ConsumerGroup) -> Result<(), Error> {
        self.topics
            .get_or_create(&group.dead_letter_topic(), || TopicConfig::with_queues(1))?;
        Ok(())
    }
}

fn another_chance(
    failed: StoredMessage,
    group: &ConsumerGroup,
    level: DelayLevel,
    queues: u32,
) -> Message {
    // Neighbouring failures spread over the retry queues; which one does not matter.
    let queue = (failed.log_offset.0 % u64::from(queues.max(1))) as u32;
    let mut copy = marked(failed);
    copy.topic = group.retry_topic();
    copy.queue = queue;
    copy.properties.set(properties::DELAY, level.number());
    copy
}

fn dead_letter(failed: StoredMessage, group: &ConsumerGroup) -> Message {
    let origin = failed
        .message
        .properties
        .get(properties::RETRY_TOPIC)
        .unwrap_or(failed.message.topic.as_str())
        .to_owned();
    let mut copy = marked(failed);
    copy.topic = group.dead_letter_topic();
    copy.queue = 0;
    // RocketMQ leaves the property with level 0: no delay.
    copy.properties.set(properties::DELAY, 0);
    copy.properties
        .set(properties::DEAD_LETTER_ORIGIN_TOPIC, origin);
    let first = copy
        .properties
        .get(properties::ORIGIN_MESSAGE_ID)
        .unwrap_or_default()
        .to_owned();
    copy.properties
        .set(properties::DEAD_LETTER_ORIGIN_MESSAGE_ID, first);
    copy
}

/// What every copy carries: where the first one was, and one failure more.
fn marked(failed: StoredMessage) -> Message {
    let id = MessageId {
        store_host: failed.store_host,
        log_offset: failed.log_offset,
    };
    let mut copy = failed.message;
    if !copy.properties.contains(properties::RETRY_TOPIC) {
        copy.properties
            .set(properties::RETRY_TOPIC, copy.topic.as_str());
    }
    if !copy.properties.contains(properties::ORIGIN_MESSAGE_ID) {
        copy.properties.set(properties::ORIGIN_MESSAGE_ID, id);
    }
    copy.properties.set(properties::WAIT, "false");
    // A copy is a new message to its topic: what an earlier delay left behind is not its own.
    for name in [properties::REAL_TOPIC, properties::REAL_QUEUE] {
        copy.properties.remove(name);
    }
    copy.reconsume_times = copy.reconsume_times.saturating_add(1);
    copy
}
