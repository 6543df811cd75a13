//! Records that were stored and cannot be believed any more: counted, and told of once each.
//!
//! A damaged record is lost for itself alone. Whoever reads its queue is told and goes past it.
//! So is one that the disk fails to read again and again: a bad sector must not hold a queue up
//! for ever, and a disk that is away for a moment must not cost a message.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use model::LogOffset;
use runtime::Moment;

use crate::Error;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Damaged records that are remembered, so that the log of a house with a rotten disk stays
/// readable.
const REMEMBERED: usize = 4_096;
/// A record is given up when the disk has failed to read it so often, and for so long.
const TRIES: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(60);
/// If nobody has tried meanwhile, what was counted before says nothing any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(crate) struct Damage {
    /// Guards which were told of.
    told: Mutex<HashSet<u64>>,
    /// Guards how the reads of records went that have failed of late.
    failed: Mutex<HashMap<u64, Failures>>,
    /// Whether there are any: every read asks, and hardly ever has to wait for the lock.
    failing: AtomicBool,
}

struct Failures {
    tries: u32,
    first: Moment,
    last: Moment,
}

impl Damage {
    /// Notes that somebody came across the record at `at`.
    pub(crate) fn note(&self, at: u64, file: &Path, position: u64, error: &Error) {
        let mut told = self.told.lock();
        if told.len() < REMEMBERED && told.insert(at) {
            tracing::error!(?file, position, %error, "a stored record is damaged and left out");
        }
    }

    /// Counts a failed read of the record at `at`. Says why it counts as damaged, once it does.
    pub(crate) fn failed(&self, at: u64, now: Moment, error: &Error) -> Option<Error> {
        let mut failed = self.failed.lock();
        failed.retain(|_, failures| now < failures.last + FORGOTTEN_AFTER);
        if failed.len() >= REMEMBERED && !failed.contains_key(&at) {
            return None;
        }
        let failures = failed.entry(at).or_insert(Failures {
            tries: 0,
            first: now,
            last: now,
        });
        failures.tries += 1;
        self.failing.store(true, Ordering::Release);
        failures.last = now;
        let gives_up = failures.tries >= TRIES && now >= failures.first + PATIENCE;
        gives_up.then(|| Error::Corrupt {
            at: LogOffset(at),
            why: format!(
                "the disk has failed to read it {} times: {error}",
                failures.tries
            ),
        })
    }

    /// The record at `at` could be read.
    pub(crate) fn was_read(&self, at: u64) {
        if !self.failing.load(Ordering::Acquire) {
            return;
        }
        let mut failed = self.failed.lock();
        failed.remove(&at);
        self.failing.store(!failed.is_empty(), Ordering::Release);
    }

    /// How many there are, as far as somebody came across them and they are remembered.
    pub(crate) fn records(&self) -> u64 {
        self.told.lock().len() as u64
    }
}

#[cfg(test)]
mod tests {
    use model::LogOffset;

    use super::*;

    #[test]
    fn a_record_is_given_up_after_many_tries_and_a_long_time() {
        let clock = runtime::SimClock::new(0);
        let now = || clock.clock().now();
        let damage = Damage::default();
        let fails = || damage.failed(5, now(), &Error::Closed).is_some();
        for _ in 0..2 {
            assert!(
                (0..2 * TRIES).all(|_| !fails()),
                "it may be back in a moment"
            );
            clock.advance(PATIENCE);
            damage.was_read(5);
        }
        for _ in 1..TRIES {
            assert!(!fails());
            clock.advance(PATIENCE);
        }
        assert!(fails());
        assert!(damage.failed(6, now(), &Error::Closed).is_none());
        clock.advance(FORGOTTEN_AFTER);
        assert!(!fails(), "nobody has tried for long");
    }

    #[test]
    fn a_record_is_counted_and_told_of_once() {
        let damage = Damage::default();
        for at in [5, 5, 9] {
            let error = Error::Corrupt {
                at: LogOffset(at),
                why: "rot".into(),
            };
            damage.note(at, Path::new("f"), at, &error);
        }
        assert_eq!(damage.records(), 2);
    }
}
