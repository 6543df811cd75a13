//! When each request is meant to be sent, whatever the broker does meanwhile.

use serde::{Deserialize, Serialize};

/// How fast requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Pace {
    /// The next as soon as a place is free.
    Maximum,
    /// So many messages a second, each due at its own time.
    Rate(f64),
}

/// The intended times of an open loop: the n-th request is due n intervals after the first.
///
/// A late request keeps its intended time, so that the wait of those behind a slow one counts.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    begin: u64,
    /// Nanoseconds between two requests; 0 in a closed loop.
    interval: f64,
    sent: u64,
}

impl Schedule {
    /// `batch` is the number of messages of one request, `begin` the first one's time in ns.
    pub fn new(pace: Pace, batch: u32, begin: u64) -> Schedule {
        let interval = match pace {
            Pace::Maximum => 0.0,
            Pace::Rate(messages) => f64::from(batch) * 1e9 / messages,
        };
        Schedule {
            begin,
            interval,
            sent: 0,
        }
    }

    /// When the next request is due; `None` in a closed loop: at once.
    pub fn next(&self) -> Option<u64> {
        (self.interval > 0.0).then(|| self.begin + (self.sent as f64 * self.interval) as u64)
    }

    /// Takes the next request if it is due; its intended time is what its latency counts from.
    pub fn take(&mut self, now: u64) -> Option<u64> {
        let intended = self.next().unwrap_or(now);
        if intended > now {
            return None;
        }
        self.sent += 1;
        Some(intended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_does_not_move_the_times_of_those_behind_it() {
        let mut schedule = Schedule::new(Pace::Rate(1_000.0), 1, 5_000);
        assert_eq!(schedule.take(4_999), None);
        assert_eq!(schedule.take(5_000), Some(5_000));
        let late: Vec<_> = std::iter::from_fn(|| schedule.take(3_005_000)).collect();
        assert_eq!(late, [1_005_000, 2_005_000, 3_005_000]);
        assert_eq!(schedule.next(), Some(4_005_000));
    }

    #[test]
    fn a_batch_is_due_as_often_as_its_messages_make_up_the_rate() {
        let mut schedule = Schedule::new(Pace::Rate(16_000.0), 16, 0);
        schedule.take(0);
        assert_eq!(schedule.next(), Some(1_000_000));
    }

    #[test]
    fn a_closed_loop_is_always_due() {
        let mut schedule = Schedule::new(Pace::Maximum, 1, 9);
        assert_eq!((schedule.next(), schedule.take(77)), (None, Some(77)));
    }
}
