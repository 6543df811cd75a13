//! Wall time that never goes back.

use std::sync::atomic::{AtomicI64, Ordering};

use super::{Clock, Moment};

/// Milliseconds since 1970 that go on as time does: a wall clock that is set back changes
/// nothing until it has caught up, one that is set forward is followed. So what is stamped with
/// it stays in order, and what waits for it waits no longer than it should.
#[derive(Debug)]
pub struct SteadyWall {
    clock: Clock,
    start: Moment,
    /// The most that the wall was ever ahead of the time since `start`.
    ahead: AtomicI64,
}

impl SteadyWall {
    /// Begins with the wall's time, or with `least` if that is later.
    pub fn new(clock: Clock, least: i64) -> SteadyWall {
        let start = clock.now();
        let ahead = AtomicI64::new(clock.wall().max(least));
        SteadyWall {
            clock,
            start,
            ahead,
        }
    }

    /// Never less than before.
    pub fn now(&self) -> i64 {
        let passed = self.clock.now().since(self.start).as_millis() as i64;
        let ahead = self.clock.wall().saturating_sub(passed);
        let most = self.ahead.fetch_max(ahead, Ordering::AcqRel).max(ahead);
        most.saturating_add(passed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::SimClock;

    #[test]
    fn it_goes_on_where_the_wall_goes_back_and_follows_it_forward() {
        let sim = SimClock::new(1_000_000);
        let steady = SteadyWall::new(sim.clock(), 0);
        assert_eq!(steady.now(), 1_000_000);
        sim.jump_wall(-400_000);
        assert_eq!(steady.now(), 1_000_000);
        sim.advance(Duration::from_secs(5));
        assert_eq!(steady.now(), 1_005_000);
        sim.jump_wall(500_000);
        assert_eq!(steady.now(), 1_105_000);
        sim.jump_wall(-500_000);
        sim.advance(Duration::from_secs(1));
        assert_eq!(steady.now(), 1_106_000);
    }

    #[test]
    fn it_begins_no_earlier_than_it_is_told() {
        let sim = SimClock::new(1_000);
        let steady = SteadyWall::new(sim.clock(), 9_000);
        sim.advance(Duration::from_millis(7));
        assert_eq!(steady.now(), 9_007);
    }
}
