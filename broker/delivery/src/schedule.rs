//! Delivers delayed messages when they are due, each exactly once.
//!
//! ```text
//! SCHEDULE_TOPIC_XXXX queue 3:  … │ delivered │ due │ due │ not yet …
//!                                            ▲
//!                              rmq_sys_SCHEDULE_PROGRESS queue 3, last record
//! ```
//! What is due goes to its real queue together with a record that says how far the level has
//! come, as one group: after a crash both are there or neither, so nothing is delivered twice.
//! What is not due, and lies in a segment that is to be deleted, moves to the end of the log in
//! the same way ([`carried`]); the segment stays until that has happened.

use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::record::RecordView;
use model::{LogOffset, Message, QueueId, QueueOffset, Topic, properties, record, system_topics};
use parking_lot::Mutex;
use runtime::{Clock, Shutdown, Tasks};
use store::{IndexEntry, MessageStore};
use tokio::sync::Notify;

use crate::Error;
use crate::carried;
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
    /// There is something to do, sooner than was known.
    arrived: Notify,
    /// Only the level's own task moves it.
    place: Mutex<Place>,
    /// Messages below this place of the log are in the way of a segment's end.
    leaves_below: AtomicU64,
}

/// How far a level has come.
#[derive(Clone, Copy)]
struct Place {
    /// The next message to deliver.
    next: QueueOffset,
    /// Where that lies, once that is known.
    at: Option<LogOffset>,
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
                place: Mutex::new(Place { next, at: None }),
                leaves_below: AtomicU64::new(0),
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

    /// Whether messages wait below `end`. They begin to move, so that they no longer will.
    pub fn needs_below(&self, end: LogOffset) -> bool {
        let mut needed = false;
        for level in &self.levels {
            if self.waits_below(level, end) {
                level.leaves_below.fetch_max(end.0, Ordering::AcqRel);
                level.arrived.notify_one();
                needed = true;
            }
        }
        needed
    }

    fn waits_below(&self, level: &Level, end: LogOffset) -> bool {
        let place = *level.place.lock();
        let waits = self.store.bounds(&waiting(level.level));
        let waits = waits.is_some_and(|bounds| place.next.max(bounds.min) < bounds.max);
        waits && place.at.is_none_or(|at| at < end)
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
            .map(|level| (level.level, level.place.lock().next, end(level)))
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
                // Where there is little room, in smaller groups, down to one alone.
                Err(Error::Store(
                    store::Error::TooLarge { .. } | store::Error::DiskFull { .. },
                )) if most > 1 => most /= 2,
                delivered => return delivered,
            }
        }
    }

    async fn deliver(&self, level: &Level, most: usize) -> Result<Duration, Error> {
        let queue = waiting(level.level);
        let Some(bounds) = self.store.bounds(&queue) else {
            return Ok(IDLE);
        };
        let next = level.place.lock().next.max(bounds.min);
        if next >= bounds.max {
            return Ok(IDLE);
        }
        let now = self.store.time();
        let leaves_below = LogOffset(level.leaves_below.load(Ordering::Acquire));
        let mut place = Place { next, at: None };
        let mut moved = Vec::new();
        let mut rest = Duration::ZERO;
        let (mut bytes, mut leave) = (0, false);
        for entry in self.store.entries(&queue, next, most).await? {
            let (due, leaves) = (entry.tags_code, entry.log_offset < leaves_below);
            bytes += u64::from(entry.size);
            if due > now && !leaves {
                rest = Duration::from_millis((due - now).unsigned_abs());
                place.at = Some(entry.log_offset);
                break;
            }
            if place.next > next && bytes > BYTES {
                place.at = Some(entry.log_offset);
                break;
            }
            match self.fate(&entry, now).await? {
                Fate::Moves(message) => moved.push(message),
                Fate::Lost => {}
                Fate::Stays => {
                    rest = Duration::from_millis((due - now).unsigned_abs());
                    place.at = Some(entry.log_offset);
                    break;
                }
            }
            place.next = entry.next();
            leave |= leaves;
        }
        if place.next > next {
            self.append(level.level, moved, place.next, (most, leave))
                .await?;
        }
        *level.place.lock() = place;
        Ok(rest)
    }

    /// Appends messages that have moved and how far the level has come with them; though the
    /// disk is too full for others, where they `leave` a segment that can go then.
    async fn append(
        &self,
        level: DelayLevel,
        mut moved: Vec<Message>,
        next: QueueOffset,
        (most, leave): (usize, bool),
    ) -> Result<(), Error> {
        let queue = progress_queue(level);
        moved.push(Message::new(queue.topic, queue.number, next.0.to_string()));
        match self.append_together(&moved, leave).await {
            // A message that fills a segment has no room for the progress beside it. If all
            // ends in between, it comes twice.
            Err(Error::Store(store::Error::TooLarge { .. })) if most == 1 => {
                for alone in &moved {
                    self.append_together(from_ref(alone), leave).await?;
                }
                Ok(())
            }
            together => together,
        }
    }

    async fn append_together(&self, messages: &[Message], leave: bool) -> Result<(), Error> {
        let mut records = self.publisher.encode_all(messages)?;
        if leave {
            records = records.though_full();
        }
        self.publisher.append_all(records).await?;
        Ok(())
    }

    async fn fate(&self, entry: &IndexEntry, now: i64) -> Result<Fate, Error> {
        if entry.is_hole() {
            return Ok(Fate::Lost);
        }
        let at = entry.log_offset;
        let mut message = match readable(&self.store, at).await? {
            Ok(message) => message,
            Err(why) => {
                tracing::error!(%at, why, "a delayed message is lost");
                return Ok(Fate::Lost);
            }
        };
        let due = carried::due(&message).unwrap_or(entry.tags_code);
        if due > now {
            let over = |level: DelayLevel| self.store.due(level.number(), now);
            carried::carry(&mut message, due, over);
            let fits = self.publisher.encode_all(from_ref(&message)).is_ok();
            return Ok(if fits {
                Fate::Moves(message)
            } else {
                Fate::Stays
            });
        }
        let delivered = delivered(message);
        if delivered.is_none() {
            tracing::error!(%at, "a delayed message names no queue it belongs to and is not delivered");
        }
        Ok(delivered.map_or(Fate::Lost, Fate::Moves))
    }
}

/// What becomes of a waiting message.
enum Fate {
    /// Delivered as its consumers see it, or waiting at another place if it is not due.
    Moves(Message),
    /// Its properties have no room to say when it is due: its segment waits with it.
    Stays,
    /// Nothing: there is none at its offset, or it is unreadable, or says not where it belongs.
    Lost,
}

/// RocketMQ leaves the property text as it is: consumers see the level and the real queue in it.
fn delivered(mut message: Message) -> Option<Message> {
    carried::settle(&mut message);
    message.topic = Topic::stored(message.properties.get(properties::REAL_TOPIC)?).ok()?;
    message.queue = u32::try_from(message.properties.number(properties::REAL_QUEUE)?).ok()?;
    // A half message has no business in the schedule.
    let half = message
        .properties
        .get(properties::TRANSACTION_PREPARED)
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    (!half).then_some(message)
}

/// How far a level has come by the last record of it that is not damaged.
async fn progress(store: &MessageStore, level: DelayLevel) -> Result<Option<QueueOffset>, Error> {
    let queue = progress_queue(level);
    let bounds = store.bounds(&queue).unwrap_or_default();
    for offset in (bounds.min.0..bounds.max.0).rev() {
        let entry = store.entries(&queue, QueueOffset(offset), 1).await?.pop();
        let Some(entry) = entry.filter(|entry| !entry.is_hole()) else {
            continue;
        };
        match readable(store, entry.log_offset).await? {
            Ok(record) => return Ok(progress_in(&record.body)),
            Err(why) => {
                let (at, level) = (entry.log_offset, level.number());
                tracing::error!(%at, level, why, "how far the level has come was known better: messages may come twice");
            }
        }
    }
    Ok(None)
}

/// The message of a record, or why it is lost.
async fn readable(store: &MessageStore, at: LogOffset) -> Result<Result<Message, String>, Error> {
    let bytes = match store.record_at(at).await {
        Ok(bytes) => bytes,
        Err(store::Error::Corrupt { why, .. }) => return Ok(Err(why)),
        Err(error) => return Err(error.into()),
    };
    let stored = record::decode(&bytes).map_err(|why| why.to_string());
    Ok(stored.map(|stored| stored.message))
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
