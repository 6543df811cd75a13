//! Counts what goes in and out: in all, by topic, by group.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use runtime::{Clock, Moment};
use store::Gathered;

use crate::latency::Latency;
pub use crate::series::{Count, Growth, SAMPLE, Series, Span};

/// All counters of a broker.
pub struct Statistics {
    clock: Clock,
    started: i64,
    put: Series,
    got: Series,
    /// Reads that found something, and those that did not.
    found: Series,
    missed: Series,
    put_failures: AtomicU64,
    put_latency: Latency,
    /// Each guards a plain map; a known name needs only the shared side.
    put_topics: RwLock<HashMap<String, Series>>,
    got_groups: RwLock<HashMap<(String, String), Series>>,
    sent_back: RwLock<HashMap<(String, String), Series>>,
    /// Guards what the clock adds.
    samples: Mutex<Samples>,
}

#[derive(Default)]
struct Samples {
    ticks: u64,
    /// Totals of the last ten minutes, oldest first.
    recent: VecDeque<(Moment, [u64; 4])>,
    day: i64,
    mornings: Mornings,
}

/// Messages in all as yesterday and today began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mornings {
    pub put_yesterday: u64,
    pub put_today: u64,
    pub got_yesterday: u64,
    pub got_today: u64,
}

/// Events a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    pub put: f64,
    pub transferred: f64,
    pub found: f64,
    pub missed: f64,
}

/// Samples kept: rates go back ten minutes.
const SAMPLES: usize = 61;
const DAY_MS: i64 = 86_400_000;

impl Statistics {
    pub fn new(clock: Clock) -> Statistics {
        let now = clock.now();
        let samples = Samples {
            recent: VecDeque::from([(now, [0; 4])]),
            day: clock.wall().div_euclid(DAY_MS),
            ..Samples::default()
        };
        Statistics {
            started: clock.wall(),
            put: Series::new(now),
            got: Series::new(now),
            found: Series::new(now),
            missed: Series::new(now),
            put_failures: AtomicU64::new(0),
            put_latency: Latency::default(),
            put_topics: RwLock::default(),
            got_groups: RwLock::default(),
            sent_back: RwLock::default(),
            samples: Mutex::new(samples),
            clock,
        }
    }

    /// Milliseconds since 1970.
    pub fn started(&self) -> i64 {
        self.started
    }

    pub fn put(&self, topic: &str, put: Count) {
        self.put.add(put);
        if let Some(series) = self.put_topics.read().get(topic) {
            series.add(put);
            return;
        }
        let mut topics = self.put_topics.write();
        let series = topics.entry(topic.to_owned());
        series
            .or_insert_with(|| Series::new(self.clock.now()))
            .add(put);
    }

    /// Measures a put, and counts it when it fails.
    pub async fn timed<T, E>(&self, put: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let began = self.clock.now();
        let outcome = put.await;
        self.took(began, 1, u64::from(outcome.is_err()));
        outcome
    }

    /// The same for puts that were made together: each took as long as all.
    pub async fn timed_each<T, E>(
        &self,
        puts: impl Future<Output = Vec<Result<T, E>>>,
    ) -> Vec<Result<T, E>> {
        let began = self.clock.now();
        let outcomes = puts.await;
        let failures = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        self.took(began, outcomes.len() as u64, failures as u64);
        outcomes
    }

    /// The same for what was gathered; a group counts as one put.
    pub async fn timed_gathered<E>(&self, puts: impl Future<Output = Gathered<E>>) -> Gathered<E> {
        let began = self.clock.now();
        let outcome = puts.await;
        let failed = |failed: bool| u64::from(failed);
        let each = outcome.each.iter().map(|one| failed(one.is_err()));
        let groups = outcome.groups.iter().map(|one| failed(one.is_err()));
        let (puts, failures) = each
            .chain(groups)
            .fold((0, 0), |(puts, failures), one| (puts + 1, failures + one));
        self.took(began, puts, failures);
        outcome
    }

    fn took(&self, began: Moment, puts: u64, failures: u64) {
        self.put_latency.record(self.clock.now().since(began), puts);
        self.put_failures.fetch_add(failures, Ordering::Relaxed);
    }

    pub fn got(&self, topic: &str, group: &str, messages: u64, bytes: usize) {
        if messages == 0 {
            self.missed.add(Count::call(1, 0));
            return;
        }
        self.found.add(Count::call(1, 0));
        let got = Count::call(messages, bytes);
        self.got.add(got);
        add(&self.got_groups, &self.clock, topic, group, got);
    }

    /// A consumer wants a message again.
    pub fn sent_back(&self, topic: &str, group: &str) {
        add(
            &self.sent_back,
            &self.clock,
            topic,
            group,
            Count::call(1, 0),
        );
    }

    /// Everything put and got since the start.
    pub fn totals(&self) -> (Count, Count) {
        (self.put.count(), self.got.count())
    }

    pub fn put_failures(&self) -> u64 {
        self.put_failures.load(Ordering::Relaxed)
    }

    pub fn put_latency(&self) -> &Latency {
        &self.put_latency
    }

    pub fn mornings(&self) -> Mornings {
        self.samples.lock().mornings
    }

    /// How a topic grew by puts; `None` for one that nobody has sent to.
    pub fn put_of(&self, topic: &str, span: Span) -> Option<Growth> {
        let now = self.clock.now();
        Some(self.put_topics.read().get(topic)?.growth(span, now))
    }

    /// What a group got of a topic; `None` for one that got nothing.
    pub fn got_of(&self, topic: &str, group: &str, span: Span) -> Option<Growth> {
        growth(&self.got_groups, &self.clock, topic, group, span)
    }

    /// What a group sent back of a topic; `None` when it never did.
    pub fn sent_back_of(&self, topic: &str, group: &str, span: Span) -> Option<Growth> {
        growth(&self.sent_back, &self.clock, topic, group, span)
    }

    pub fn put_in_all(&self, span: Span) -> Growth {
        self.put.growth(span, self.clock.now())
    }

    pub fn got_in_all(&self, span: Span) -> Growth {
        self.got.growth(span, self.clock.now())
    }

    /// Remembers this moment, so that rates can be told. To be called every [`SAMPLE`].
    pub fn sample(&self) {
        let now = self.clock.now();
        let mut samples = self.samples.lock();
        samples.ticks += 1;
        let tick = samples.ticks;
        for series in [&self.put, &self.got, &self.found, &self.missed] {
            series.sample(now, tick);
        }
        for series in self.put_topics.read().values() {
            series.sample(now, tick);
        }
        for groups in [&self.got_groups, &self.sent_back] {
            for series in groups.read().values() {
                series.sample(now, tick);
            }
        }
        samples.recent.push_back((now, self.measured()));
        if samples.recent.len() > SAMPLES {
            samples.recent.pop_front();
        }
        let day = self.clock.wall().div_euclid(DAY_MS);
        if day != samples.day {
            samples.day = day;
            samples.mornings = Mornings {
                put_yesterday: samples.mornings.put_today,
                put_today: self.put.count().messages,
                got_yesterday: samples.mornings.got_today,
                got_today: self.got.count().messages,
            };
        }
    }

    /// Events a second over about the last `span`, or since the start if that is shorter.
    pub fn rates(&self, span: Duration) -> Rates {
        let now = self.clock.now();
        let samples = self.samples.lock();
        let Some((then, before)) = samples
            .recent
            .iter()
            .find(|(moment, _)| now.since(*moment) <= span + SAMPLE)
        else {
            return Rates::default();
        };
        let seconds = now.since(*then).as_secs_f64().max(1.0);
        let measured = self.measured();
        let rate = |index: usize| (measured[index] - before[index]) as f64 / seconds;
        Rates {
            put: rate(0),
            transferred: rate(1),
            found: rate(2),
            missed: rate(3),
        }
    }

    fn measured(&self) -> [u64; 4] {
        [
            self.put.count().messages,
            self.got.count().messages,
            self.found.count().calls,
            self.missed.count().calls,
        ]
    }
}

type ByGroup = RwLock<HashMap<(String, String), Series>>;

fn add(counters: &ByGroup, clock: &Clock, topic: &str, group: &str, more: Count) {
    let key = (topic.to_owned(), group.to_owned());
    if let Some(series) = counters.read().get(&key) {
        series.add(more);
        return;
    }
    let mut counters = counters.write();
    let series = counters
        .entry(key)
        .or_insert_with(|| Series::new(clock.now()));
    series.add(more);
}

fn growth(
    counters: &ByGroup,
    clock: &Clock,
    topic: &str,
    group: &str,
    span: Span,
) -> Option<Growth> {
    let key = (topic.to_owned(), group.to_owned());
    Some(counters.read().get(&key)?.growth(span, clock.now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::SimClock;

    #[test]
    fn rates_count_what_happened_in_their_span() {
        let clock = SimClock::new(0);
        let statistics = Statistics::new(clock.clock());
        for _ in 0..30 {
            statistics.put("orders", Count::call(10, 100));
            statistics.got("orders", "billing", 20, 200);
            statistics.got("orders", "billing", 0, 0);
            clock.advance(SAMPLE);
            statistics.sample();
        }
        let rates = statistics.rates(Duration::from_secs(60));
        assert_eq!((rates.put, rates.transferred), (1.0, 2.0));
        assert_eq!((rates.found, rates.missed), (0.1, 0.1));
        let got = statistics.got_of("orders", "billing", Span::Minute);
        assert_eq!(got.map(|got| got.count.messages), Some(120));
        assert!(statistics.put_of("payments", Span::Minute).is_none());
    }

    #[test]
    fn a_new_day_begins_with_the_totals_of_its_morning() {
        let clock = SimClock::new(0);
        let statistics = Statistics::new(clock.clock());
        statistics.put("orders", Count::call(3, 0));
        clock.advance(Duration::from_millis(DAY_MS as u64));
        statistics.sample();
        statistics.put("orders", Count::call(4, 0));
        assert_eq!(statistics.mornings().put_today, 3);
        clock.advance(Duration::from_millis(DAY_MS as u64));
        statistics.sample();
        let mornings = statistics.mornings();
        assert_eq!((mornings.put_yesterday, mornings.put_today), (3, 7));
    }
}
