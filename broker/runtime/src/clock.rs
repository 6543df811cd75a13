//! Time: monotonic for waiting, wall for stamping.

mod sim;
mod steady;

use std::fmt;
use std::future::Future;
use std::ops::{Add, AddAssign, Sub};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use sim::SimClock;
pub use steady::SteadyWall;

/// A point in monotonic time. Only comparable with moments of the same clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    nanoseconds: u64,
}

impl Moment {
    /// How long ago `earlier` was; zero if it was not earlier.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.nanoseconds.saturating_sub(earlier.nanoseconds))
    }

    fn after_start(elapsed: Duration) -> Moment {
        Moment {
            nanoseconds: nanoseconds(elapsed),
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Moment {
    type Output = Moment;

    /// Ends at the last moment there is, some 584 years after the start.
    fn add(self, duration: Duration) -> Moment {
        Moment {
            nanoseconds: self.nanoseconds.saturating_add(nanoseconds(duration)),
        }
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Moment> for Moment {
    type Output = Duration;

    fn sub(self, earlier: Moment) -> Duration {
        self.since(earlier)
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;

    fn sub(self, duration: Duration) -> Moment {
        Moment {
            nanoseconds: self.nanoseconds.saturating_sub(nanoseconds(duration)),
        }
    }
}

/// The time limit passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time limit passed")]
pub struct Elapsed;

/// Handle to a clock. Cheap to clone.
#[derive(Clone)]
pub struct Clock {
    source: Source,
}

#[derive(Clone)]
enum Source {
    Real,
    Sim(SimClock),
}

impl fmt::Debug for Clock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.source {
            Source::Real => "Clock::real()",
            Source::Sim(_) => "SimClock",
        })
    }
}

impl Clock {
    /// The machine's clocks. Sleeping needs a tokio runtime with its timer on.
    pub fn real() -> Clock {
        Clock {
            source: Source::Real,
        }
    }

    pub fn now(&self) -> Moment {
        match &self.source {
            Source::Real => Moment::after_start(start().elapsed()),
            Source::Sim(sim) => sim.now(),
        }
    }

    /// Milliseconds since 1970 by the wall clock. May jump, also backwards.
    pub fn wall(&self) -> i64 {
        match &self.source {
            Source::Real => wall_ms(SystemTime::now()),
            Source::Sim(sim) => sim.wall(),
        }
    }

    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        self.sleep_until(self.now() + duration)
    }

    /// Resolves once `now()` has reached `deadline`.
    pub fn sleep_until(&self, deadline: Moment) -> impl Future<Output = ()> + Send + use<> {
        let source = self.source.clone();
        async move {
            match source {
                Source::Real => {
                    match start().checked_add(Duration::from_nanos(deadline.nanoseconds)) {
                        Some(instant) => tokio::time::sleep_until(instant.into()).await,
                        None => std::future::pending().await,
                    }
                }
                Source::Sim(sim) => sim.sleep_until(deadline).await,
            }
        }
    }

    /// What `future` gives, unless `limit` passes first; then it is dropped.
    pub async fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.sleep(limit) => Err(Elapsed),
        }
    }

    pub(crate) fn is_real(&self) -> bool {
        matches!(self.source, Source::Real)
    }
}

/// Where the real clock's moments are counted from: its first use in this process.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

fn wall_ms(time: SystemTime) -> i64 {
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => ms(after),
        Err(before) => -ms(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn real_time_moves_forward_and_a_sleep_lasts_at_least_as_long_as_asked() {
        let clock = Clock::real();
        let before = clock.now();
        clock.sleep(Duration::from_millis(5)).await;
        assert!(clock.now() - before >= Duration::from_millis(5));
        assert!(clock.wall() > 1_700_000_000_000);
    }

    #[tokio::test]
    async fn a_timeout_gives_the_output_or_says_that_time_passed() {
        let clock = Clock::real();
        assert_eq!(
            clock.timeout(Duration::from_secs(60), async { 7 }).await,
            Ok(7)
        );
        let never = std::future::pending::<()>();
        assert_eq!(
            clock.timeout(Duration::from_millis(1), never).await,
            Err(Elapsed)
        );
    }

    #[test]
    fn moments_do_not_overflow() {
        let far = Clock::real().now() + Duration::MAX;
        assert_eq!(far + Duration::MAX, far);
        assert_eq!(Clock::real().now() - far, Duration::ZERO);
    }

    #[test]
    fn wall_time_before_1970_is_negative() {
        assert_eq!(wall_ms(UNIX_EPOCH - Duration::from_millis(3)), -3);
    }
}
