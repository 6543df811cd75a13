//! Counts what goes in and out: in all, by topic, by group.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use runtime::{Clock, Moment};

/// Messages and bytes, counted since the start.
#[derive(Debug, Default)]
pub struct Counter {
    messages: AtomicU64,
    bytes: AtomicU64,
}

/// A counter at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub messages: u64,
    pub bytes: u64,
}

impl Counter {
    fn add(&self, messages: u64, bytes: usize) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn count(&self) -> Count {
        Count {
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// All counters of a broker.
pub struct Statistics {
    clock: Clock,
    started_wall: i64,
    put: Counter,
    got: Counter,
    /// Guards plain maps; a known name needs only the shared side.
    put_topics: RwLock<HashMap<String, Counter>>,
    got_groups: RwLock<HashMap<(String, String), Counter>>,
    samples: RwLock<VecDeque<(Moment, Count, Count)>>,
}

/// How often [`Statistics::sample`] is to be called.
pub const SAMPLE: Duration = Duration::from_secs(10);
/// Samples kept: rates go back ten minutes.
const SAMPLES: usize = 61;

impl Statistics {
    pub fn new(clock: Clock) -> Statistics {
        Statistics {
            started_wall: clock.wall(),
            clock,
            put: Counter::default(),
            got: Counter::default(),
            put_topics: RwLock::default(),
            got_groups: RwLock::default(),
            samples: RwLock::default(),
        }
    }

    /// Milliseconds since 1970.
    pub fn started(&self) -> i64 {
        self.started_wall
    }

    pub fn put(&self, topic: &str, messages: u64, bytes: usize) {
        self.put.add(messages, bytes);
        if let Some(counter) = self.put_topics.read().get(topic) {
            counter.add(messages, bytes);
            return;
        }
        self.put_topics
            .write()
            .entry(topic.to_owned())
            .or_default()
            .add(messages, bytes);
    }

    pub fn got(&self, topic: &str, group: &str, messages: u64, bytes: usize) {
        if messages == 0 {
            return;
        }
        self.got.add(messages, bytes);
        let key = (topic.to_owned(), group.to_owned());
        if let Some(counter) = self.got_groups.read().get(&key) {
            counter.add(messages, bytes);
            return;
        }
        self.got_groups
            .write()
            .entry(key)
            .or_default()
            .add(messages, bytes);
    }

    /// Everything put and got since the start.
    pub fn totals(&self) -> (Count, Count) {
        (self.put.count(), self.got.count())
    }

    pub fn put_of(&self, topic: &str) -> Count {
        self.put_topics
            .read()
            .get(topic)
            .map(Counter::count)
            .unwrap_or_default()
    }

    pub fn got_of(&self, topic: &str, group: &str) -> Count {
        self.got_groups
            .read()
            .get(&(topic.to_owned(), group.to_owned()))
            .map(Counter::count)
            .unwrap_or_default()
    }

    /// Remembers the totals of this moment, so that rates can be told.
    pub fn sample(&self) {
        let mut samples = self.samples.write();
        samples.push_back((self.clock.now(), self.put.count(), self.got.count()));
        if samples.len() > SAMPLES {
            samples.pop_front();
        }
    }

    /// Messages put and got a second over about the last `span`.
    pub fn rates(&self, span: Duration) -> (f64, f64) {
        let now = self.clock.now();
        let samples = self.samples.read();
        let Some((then, put, got)) = samples
            .iter()
            .find(|(moment, ..)| now.since(*moment) <= span + SAMPLE)
        else {
            return (0.0, 0.0);
        };
        let seconds = now.since(*then).as_secs_f64().max(0.001);
        let rate =
            |now: Count, then: &Count| now.messages.saturating_sub(then.messages) as f64 / seconds;
        (rate(self.put.count(), put), rate(self.got.count(), got))
    }
}
