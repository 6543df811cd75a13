//! One figure that grows, and how fast it has grown over the last minute, hour and day.

use std::collections::VecDeque;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use runtime::Moment;

/// How often [`Series::sample`] is to be called.
pub const SAMPLE: Duration = Duration::from_secs(10);
/// Samples between two of the hour's, and between two of the day's.
const HOUR_EVERY: u64 = 60;
const DAY_EVERY: u64 = 360;
/// Samples that reach back a minute by tens of seconds, an hour by tens of minutes, a day by hours.
const MINUTE: usize = 7;
const HOUR: usize = 7;
const DAY: usize = 25;

/// Messages, bytes and calls, counted since the start.
#[derive(Debug)]
pub struct Series {
    messages: AtomicU64,
    bytes: AtomicU64,
    calls: AtomicU64,
    /// Guards the samples; counting does not touch it.
    history: Mutex<History>,
}

/// A series at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub messages: u64,
    pub bytes: u64,
    pub calls: u64,
}

/// How far back a growth reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    Minute,
    Hour,
    Day,
}

/// What was added within a span.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Growth {
    pub count: Count,
    /// Never below one second: a young series is not made to look fast.
    pub seconds: f64,
}

#[derive(Debug)]
struct History {
    minute: VecDeque<(Moment, Count)>,
    hour: VecDeque<(Moment, Count)>,
    day: VecDeque<(Moment, Count)>,
}

impl Count {
    /// What one call moved.
    pub fn call(messages: u64, bytes: usize) -> Count {
        Count {
            messages,
            bytes: bytes as u64,
            calls: 1,
        }
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, more: Count) {
        self.messages += more.messages;
        self.bytes += more.bytes;
        self.calls += more.calls;
    }
}

impl Series {
    /// A series that begins at zero, now.
    pub fn new(now: Moment) -> Series {
        let begin = || VecDeque::from([(now, Count::default())]);
        Series {
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            history: Mutex::new(History {
                minute: begin(),
                hour: begin(),
                day: begin(),
            }),
        }
    }

    pub fn add(&self, more: Count) {
        self.messages.fetch_add(more.messages, Ordering::Relaxed);
        self.bytes.fetch_add(more.bytes, Ordering::Relaxed);
        self.calls.fetch_add(more.calls, Ordering::Relaxed);
    }

    pub fn count(&self) -> Count {
        Count {
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            calls: self.calls.load(Ordering::Relaxed),
        }
    }

    /// Remembers this moment; `tick` counts the calls.
    pub fn sample(&self, now: Moment, tick: u64) {
        let count = self.count();
        let mut history = self.history.lock();
        let mut keep = |samples: fn(&mut History) -> &mut VecDeque<_>, most| {
            let samples = samples(&mut history);
            samples.push_back((now, count));
            while samples.len() > most {
                samples.pop_front();
            }
        };
        keep(|history| &mut history.minute, MINUTE);
        if tick.is_multiple_of(HOUR_EVERY) {
            keep(|history| &mut history.hour, HOUR);
        }
        if tick.is_multiple_of(DAY_EVERY) {
            keep(|history| &mut history.day, DAY);
        }
    }

    /// What was added in about the last `span`, or since the series began if that is shorter.
    pub fn growth(&self, span: Span, now: Moment) -> Growth {
        let count = self.count();
        let history = self.history.lock();
        let samples = match span {
            Span::Minute => &history.minute,
            Span::Hour => &history.hour,
            Span::Day => &history.day,
        };
        let Some((then, before)) = samples.front() else {
            return Growth::default();
        };
        Growth {
            count: Count {
                messages: count.messages.saturating_sub(before.messages),
                bytes: count.bytes.saturating_sub(before.bytes),
                calls: count.calls.saturating_sub(before.calls),
            },
            seconds: now.since(*then).as_secs_f64().max(1.0),
        }
    }
}

impl Growth {
    pub fn messages_per_second(&self) -> f64 {
        match self.seconds > 0.0 {
            true => self.count.messages as f64 / self.seconds,
            false => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::SimClock;

    #[test]
    fn growth_forgets_what_is_older_than_its_span() {
        let clock = SimClock::new(0);
        let series = Series::new(clock.clock().now());
        series.add(Count::call(100, 1_000));
        for tick in 1..=60 {
            clock.advance(SAMPLE);
            series.sample(clock.clock().now(), tick);
        }
        series.add(Count::call(6, 60));
        let now = clock.clock().now();
        let minute = series.growth(Span::Minute, now);
        assert_eq!((minute.count.messages, minute.count.calls), (6, 1));
        assert_eq!(minute.messages_per_second(), 0.1);
        assert_eq!(series.growth(Span::Hour, now).count.messages, 106);
        assert_eq!(series.growth(Span::Day, now).count.bytes, 1_060);
    }

    #[test]
    fn a_series_just_begun_is_measured_over_a_second() {
        let clock = SimClock::new(0);
        let series = Series::new(clock.clock().now());
        series.add(Count::call(5, 0));
        let growth = series.growth(Span::Minute, clock.clock().now());
        assert_eq!(growth.messages_per_second(), 5.0);
    }
}
