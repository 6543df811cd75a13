//! How long to wait after a failure, and for how long to go on with that.

use std::time::Duration;

use connect_sdk::Options;
use runtime::{Moment, Rng};

/// The first wait is at most this long.
const FIRST: Duration = Duration::from_millis(250);

/// Waits that double, each drawn from zero to its limit so that many tasks that failed together
/// do not come back together. Once failures have gone on without progress for longer than the
/// limit the circuit is open: the task counts as failed and is tried at the longest wait only.
pub(crate) struct Backoff {
    longest: Duration,
    /// `None` if waiting for luck is never over.
    limit: Option<Duration>,
    failures: u32,
    /// The first failure since there was progress.
    since: Option<Moment>,
    rng: Rng,
}

impl Backoff {
    /// As the options every connector has say.
    pub(crate) fn of(common: &Options, rng: Rng) -> Self {
        Self::new(
            longest_wait(common),
            common.duration("errors.retry.timeout"),
            rng,
        )
    }

    pub(crate) fn new(longest: Duration, limit: Option<Duration>, rng: Rng) -> Self {
        Self {
            longest,
            limit,
            failures: 0,
            since: None,
            rng,
        }
    }

    /// There was progress: the next wait is a first one.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
        self.since = None;
    }

    /// Counts a failure and says how long to wait.
    pub(crate) fn next(&mut self, now: Moment) -> Duration {
        let doublings = self.failures.min(20);
        self.failures = self.failures.saturating_add(1);
        self.since.get_or_insert(now);
        if self.is_open(now) {
            return self.longest;
        }
        let limit = FIRST.saturating_mul(1 << doublings).min(self.longest);
        let ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
        // Never less than a quarter, so that a busy loop cannot be drawn.
        Duration::from_millis(self.rng.range(ms / 4..ms + 1))
    }

    /// Whether it has failed for so long that waiting for luck is over.
    pub(crate) fn is_open(&self, now: Moment) -> bool {
        let failing = self.since.map(|since| now - since);
        matches!((failing, self.limit), (Some(failing), Some(limit)) if failing >= limit)
    }
}

/// The longest wait between two attempts.
pub(crate) fn longest_wait(common: &Options) -> Duration {
    let ms = common.integer("errors.retry.delay.max.ms");
    Duration::from_millis(ms.unwrap_or(60_000).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use runtime::Clock;

    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_start_over_after_progress() {
        let (now, longest) = (Clock::real().now(), Duration::from_secs(10));
        let mut backoff = Backoff::new(longest, None, Rng::seeded(1));
        let first = backoff.next(now);
        assert!(first <= FIRST, "{first:?}");
        for _ in 0..200 {
            assert!(backoff.next(now) <= longest);
        }
        let years = now + Duration::from_secs(100_000_000);
        assert!(!backoff.is_open(years), "it has no limit");
        backoff.reset();
        assert!(backoff.next(now) <= FIRST);
    }

    #[test]
    fn waiting_for_luck_is_over_at_the_limit_and_begins_anew_after_progress() {
        let (now, longest) = (Clock::real().now(), Duration::from_secs(10));
        let after = |seconds| now + Duration::from_secs(seconds);
        let mut backoff = Backoff::new(longest, Some(Duration::from_secs(30)), Rng::seeded(1));
        backoff.next(now);
        backoff.next(after(29));
        assert!(!backoff.is_open(after(29)));
        assert_eq!(backoff.next(after(30)), longest);
        assert!(backoff.is_open(after(30)));
        backoff.reset();
        assert!(backoff.next(after(40)) <= FIRST);
        assert!(!backoff.is_open(after(40)));
    }

    #[test]
    fn without_any_patience_the_first_failure_is_the_last() {
        let now = Clock::real().now();
        let longest = Duration::from_secs(10);
        let mut backoff = Backoff::new(longest, Some(Duration::ZERO), Rng::seeded(1));
        assert_eq!(backoff.next(now), longest);
        assert!(backoff.is_open(now));
    }

    #[test]
    fn two_tasks_do_not_wait_in_step() {
        let now = Clock::real().now();
        let waits = |seed| {
            let mut backoff = Backoff::new(Duration::from_secs(60), None, Rng::seeded(seed));
            (0..7).map(|_| backoff.next(now)).collect::<Vec<_>>()
        };
        assert_ne!(waits(1), waits(2));
    }
}
