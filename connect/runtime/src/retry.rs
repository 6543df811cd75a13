//! How long to wait after a failure.

use std::time::Duration;

use runtime::Rng;

/// The first wait is at most this long.
const FIRST: Duration = Duration::from_millis(250);
/// After so many failures in a row without progress the circuit is open: the task counts as
/// failed and is tried at the longest wait only.
const OPENS_AFTER: u32 = 8;

/// Waits that double, each drawn from zero to its limit so that many tasks that failed together
/// do not come back together.
pub(crate) struct Backoff {
    longest: Duration,
    failures: u32,
    rng: Rng,
}

impl Backoff {
    pub(crate) fn new(longest: Duration, rng: Rng) -> Self {
        Self {
            longest,
            failures: 0,
            rng,
        }
    }

    /// There was progress: the next wait is a first one.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure and says how long to wait.
    pub(crate) fn next(&mut self) -> Duration {
        let doublings = self.failures.min(20);
        self.failures = self.failures.saturating_add(1);
        if self.is_open() {
            return self.longest;
        }
        let limit = FIRST.saturating_mul(1 << doublings).min(self.longest);
        let ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
        // Never less than a quarter, so that a busy loop cannot be drawn.
        Duration::from_millis(self.rng.range(ms / 4..ms + 1))
    }

    /// Whether it failed so often that waiting for luck is over.
    pub(crate) fn is_open(&self) -> bool {
        self.failures >= OPENS_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_start_over_after_progress() {
        let longest = Duration::from_secs(10);
        let mut backoff = Backoff::new(longest, Rng::seeded(1));
        let first = backoff.next();
        assert!(first <= FIRST, "{first:?}");
        for _ in 0..20 {
            assert!(backoff.next() <= longest);
        }
        assert!(backoff.is_open());
        assert_eq!(backoff.next(), longest);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
        assert!(!backoff.is_open());
    }

    #[test]
    fn two_tasks_do_not_wait_in_step() {
        let waits = |seed| {
            let mut backoff = Backoff::new(Duration::from_secs(60), Rng::seeded(seed));
            (0..7).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        assert_ne!(waits(1), waits(2));
    }
}
