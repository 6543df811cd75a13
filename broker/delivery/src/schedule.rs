//! Delivers delayed messages when they are due, each exactly once.
//!
//! ```text
//! SCHEDULE_TOPIC_XXXX queue 3:  … │ delivered │ due │ due │ not yet …
//!                                            ▲
//!                              rmq_sys_SCHEDULE_PROGRESS queue 3, last record
//! ```
//! What is due goes to its real queue together with a record that says how far the level has
//! come, as one group: after a crash both are there or neither, so nothing is delivered twice.

use std::slice::from_ref;
use std::sync::Arc;
use std::time::Duration;

use model::record::RecordView;
use model::{
    LogOffset, Message, QueueId, QueueOffset, StoredMessage, Topic, properties, record,
    system_topics,
};
use parking_lot::Mutex;
use runtime::{Clock, Shutdown, Tasks};
use store::MessageStore;
use tokio::sync::Notify;

use crate::Error;
use crate::delay_levels::DelayLevel;
use crate::publish::{Publisher, schedule_topic};

const PROGRESS: &str = "rmq_sys_SCHEDULE_PROGRESS";
/// Most messages of one level that are delivered by one append, and most bytes of them where
/// there are several.
const TOGETHER: usize = 256;
const BYTES: u64 = 4 << 20;
/// A level with nothing waiting looks again after this long, or when something arrives.
const IDLE: Duration = Duration::from_secs(60);
/// How long a level rests after the store refused it.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The delay levels of a broker.
pub struct Schedule {
    store: MessageStore,
    publisher: Publisher,
    clock: Clock,
    levels: Vec<Level>,
}

struct Level {
    level: DelayLevel,
    arrived: Notify,
    /// The next message to deliver; only the level's own task moves it.
    next: Mutex<QueueOffset>,
}

impl Schedule {
    /// Finds out how far each level has come. `adopted` is where another broker left a level.
    pub async fn open(
        store: MessageStore,
        publisher: Publisher,
        clock: Clock,
        adopted: impl Fn(DelayLevel) -> QueueOffset,
    ) -> Result<Arc<Schedule>, Error> {
        let mut levels = Vec::new();
        for level in DelayLevel::all() {
            // A log that was handed back and came home holds old progress of ours.
            let told = progress(&store, level).await?;
            let next = told.unwrap_or_default().max(adopted(level));
            levels.push(Level {
                level,
                arrived: Notify::new(),
                next: Mutex::new(next),
            });
        }
        Ok(Arc::new(Schedule {
            store,
            publisher,
            clock,
            levels,
        }))
    }

    /// How far a level has come by what this record says; `None` for any other record.
    pub fn told(record: &RecordView<'_>) -> Option<(DelayLevel, QueueOffset)> {
        let level = DelayLevel::all().find(|level| level.queue() == record.queue)?;
        let next = progress_in(record.body).filter(|_| record.topic == PROGRESS)?;
        Some((level, next))
    }

    /// Starts one task for each level.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        for index in 0..self.levels.len() {
            let schedule = self.clone();
            let shutdown = tasks.shutdown();
            let name = format!("delay level {}", self.levels[index].level.number());
            tasks.spawn(name, async move { schedule.run(index, shutdown).await });
        }
    }

    /// A message began to wait: its level may have slept.
    pub fn arrived(&self, queue: &QueueId) {
        if let Some(level) = self
            .levels
            .get(queue.number as usize)
            .filter(|_| queue.topic.as_str() == system_topics::SCHEDULE)
        {
            level.arrived.notify_one();
        }
    }

    /// For each level, the next message to deliver and the end of what waits.
    pub fn progress(&self) -> Vec<(DelayLevel, QueueOffset, QueueOffset)> {
        let end = |level: &Level| {
            self.store
                .bounds(&waiting(level.level))
                .map_or(QueueOffset(0), |bounds| bounds.max)
        };
        self.levels
            .iter()
            .map(|level| (level.level, *level.next.lock(), end(level)))
            .collect()
    }

    async fn run(&self, index: usize, shutdown: Shutdown) {
        let level = &self.levels[index];
        loop {
            let rest = match self.deliver_due(level).await {
                Ok(rest) => rest,
                Err(why) => {
                    tracing::error!(level = level.level.number(), %why, "delayed messages wait longer");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                biased;
                () = shutdown.requested() => return,
                () = self.clock.sleep(rest) => {}
                () = level.arrived.notified() => {}
            }
        }
    }

    /// Delivers what is due now, at most one append's worth; returns how long there is nothing to do.
    async fn deliver_due(&self, level: &Level) -> Result<Duration, Error> {
        let mut most = TOGETHER;
        loop {
            match self.deliver(level, most).await {
                // Where segments are small, in smaller groups, down to one alone.
                Err(Error::Store(store::Error::TooLarge { .. })) if most > 1 => most /= 2,
                delivered => return delivered,
            }
        }
    }

    async fn deliver(&self, level: &Level, most: usize) -> Result<Duration, Error> {
        let queue = waiting(level.level);
        let Some(bounds) = self.store.bounds(&queue) else {
            return Ok(IDLE);
        };
        let next = (*level.next.lock()).max(bounds.min);
        if next >= bounds.max {
            return Ok(IDLE);
        }
        let now = self.store.time();
        let mut after = next;
        let mut deliveries = Vec::new();
        let mut rest = Duration::ZERO;
        let mut bytes = 0;
        for entry in self.store.entries(&queue, next, most).await? {
            let due = entry.tags_code;
            if due > now {
                rest = Duration::from_millis((due - now).unsigned_abs());
                break;
            }
            bytes += u64::from(entry.size);
            if after > next && bytes > BYTES {
                break;
            }
            after = entry.next();
            if !entry.is_hole() {
                deliveries.extend(self.delivery(entry.log_offset).await?);
            }
        }
        if after > next {
            deliveries.push(Message::new(
                progress_queue(level.level).topic,
                progress_queue(level.level).number,
                after.0.to_string(),
            ));
            match self.publisher.append_together(&deliveries).await {
                // A message that fills a segment has no room for the progress beside it. If all
                // ends in between, it comes twice.
                Err(Error::Store(store::Error::TooLarge { .. })) if most == 1 => {
                    for alone in &deliveries {
                        self.publisher.append_together(from_ref(alone)).await?;
                    }
                }
                together => drop(together?),
            }
            *level.next.lock() = after;
        }
        Ok(rest)
    }

    /// The message as its consumers see it; `None` for a record that says not where it belongs.
    async fn delivery(&self, at: LogOffset) -> Result<Option<Message>, Error> {
        let bytes = self.store.record_at(at).await?;
        let waited = record::decode(&bytes)?;
        let delivered = delivered(waited);
        if delivered.is_none() {
            tracing::error!(%at, "a delayed message names no queue it belongs to and is not delivered");
        }
        Ok(delivered)
    }
}

/// RocketMQ leaves the property text as it is: consumers see the level and the real queue in it.
fn delivered(waited: StoredMessage) -> Option<Message> {
    let mut message = waited.message;
    message.topic = Topic::stored(message.properties.get(properties::REAL_TOPIC)?).ok()?;
    message.queue = u32::try_from(message.properties.number(properties::REAL_QUEUE)?).ok()?;
    // A half message has no business in the schedule.
    let half = message
        .properties
        .get(properties::TRANSACTION_PREPARED)
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    (!half).then_some(message)
}

async fn progress(store: &MessageStore, level: DelayLevel) -> Result<Option<QueueOffset>, Error> {
    let queue = progress_queue(level);
    let Some(bounds) = store
        .bounds(&queue)
        .filter(|bounds| bounds.max > bounds.min)
    else {
        return Ok(None);
    };
    let Some(last) = store
        .entries(&queue, QueueOffset(bounds.max.0 - 1), 1)
        .await?
        .pop()
    else {
        return Ok(None);
    };
    let bytes = store.record_at(last.log_offset).await?;
    let body = record::decode(&bytes)?.message.body;
    Ok(progress_in(&body))
}

fn progress_in(body: &[u8]) -> Option<QueueOffset> {
    let text = std::str::from_utf8(body).ok()?;
    Some(QueueOffset(text.parse().ok()?))
}

fn waiting(level: DelayLevel) -> QueueId {
    QueueId::new(schedule_topic(), level.queue())
}

fn progress_queue(level: DelayLevel) -> QueueId {
    QueueId::new(
        Topic::stored(PROGRESS).expect("the progress topic's name is valid"),
        level.queue(),
    )
}
