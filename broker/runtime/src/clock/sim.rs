//! A clock that stands still until it is told to move.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use super::{Clock, Moment, Source};

/// Turns of the scheduler that [`SimClock::run`] gives to whoever a deadline woke.
const TURNS: usize = 64;

/// Drives a virtual clock. Cheap to clone; all clones and their [`Clock`]s show the same time.
#[derive(Clone)]
pub struct SimClock {
    state: Arc<Mutex<State>>,
}

/// Guarded by one lock, never held while a waker runs or is dropped.
struct State {
    now: Moment,
    /// Wall time at moment zero, in milliseconds since 1970.
    wall_at_start: i64,
    next_sleeper: u64,
    /// By deadline, then by who lay down first.
    sleepers: BTreeMap<(Moment, u64), Waker>,
}

impl SimClock {
    /// A clock whose wall shows `wall` milliseconds since 1970.
    pub fn new(wall: i64) -> SimClock {
        let now = Moment { nanoseconds: 0 };
        let state = State {
            now,
            wall_at_start: wall,
            next_sleeper: 0,
            sleepers: BTreeMap::new(),
        };
        SimClock {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The handle that the code under test gets.
    pub fn clock(&self) -> Clock {
        Clock {
            source: Source::Sim(self.clone()),
        }
    }

    pub fn now(&self) -> Moment {
        self.state.lock().now
    }

    pub fn wall(&self) -> i64 {
        let state = self.state.lock();
        state.wall_at_start + (state.now.nanoseconds / 1_000_000) as i64
    }

    /// Moves both clocks and wakes those whose deadline has come, earliest first. They run
    /// when the caller next awaits; a sleeper that lies down again after that is not woken
    /// for the same span, for which see [`SimClock::run`].
    pub fn advance(&self, duration: Duration) {
        let end = self.now() + duration;
        while self.step(end) {}
        self.state.lock().now = end;
    }

    /// As [`SimClock::advance`], but stops at every deadline on the way and lets the woken
    /// tasks run there, so that a task that ticks each second ticks three times in three.
    pub async fn run(&self, duration: Duration) {
        let end = self.now() + duration;
        settle().await;
        while self.step(end) {
            settle().await;
        }
        self.state.lock().now = end;
    }

    /// Moves straight to the next deadline, if anybody sleeps; returns how far that was.
    pub async fn run_to_next(&self) -> Option<Duration> {
        settle().await;
        let deadline = self.state.lock().sleepers.keys().next()?.0;
        let passed = deadline - self.now();
        self.run(passed).await;
        Some(passed)
    }

    /// Sets the wall clock alone, forwards or back. Nobody wakes.
    pub fn jump_wall(&self, milliseconds: i64) {
        self.state.lock().wall_at_start += milliseconds;
    }

    /// How many are asleep.
    pub fn sleepers(&self) -> usize {
        self.state.lock().sleepers.len()
    }

    pub(super) fn sleep_until(&self, deadline: Moment) -> impl Future<Output = ()> + Send + use<> {
        Sleep {
            clock: self.clone(),
            deadline,
            sleeper: None,
        }
    }

    /// Moves to the first deadline at or before `end` and wakes its sleeper.
    fn step(&self, end: Moment) -> bool {
        let waker = {
            let mut state = self.state.lock();
            let Some(first) = state
                .sleepers
                .first_entry()
                .filter(|first| first.key().0 <= end)
            else {
                return false;
            };
            let ((deadline, _), waker) = first.remove_entry();
            state.now = state.now.max(deadline);
            waker
        };
        waker.wake();
        true
    }
}

/// Lets every task that is ready run, and those that they wake in turn.
async fn settle() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

struct Sleep {
    clock: SimClock,
    deadline: Moment,
    sleeper: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut state = clock.state.lock();
        if state.now >= self.deadline {
            return Poll::Ready(());
        }
        let sleeper = *self.sleeper.get_or_insert_with(|| {
            state.next_sleeper += 1;
            state.next_sleeper
        });
        let earlier = state
            .sleepers
            .insert((self.deadline, sleeper), context.waker().clone());
        drop(state);
        drop(earlier);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(sleeper) = self.sleeper {
            // Bound to a name so that it is dropped after the lock is released.
            let _waker = self
                .clock
                .state
                .lock()
                .sleepers
                .remove(&(self.deadline, sleeper));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn sleepers_wake_in_the_order_of_their_deadlines() {
        let sim = SimClock::new(0);
        let woken = Arc::new(Mutex::new(Vec::new()));
        for delay in [3, 1, 2, 1] {
            let (clock, woken) = (sim.clock(), woken.clone());
            tokio::spawn(async move {
                clock.sleep(seconds(delay)).await;
                woken.lock().push((delay, clock.now()));
            });
        }
        settle().await;
        assert_eq!(sim.sleepers(), 4);
        let start = sim.now();
        sim.advance(seconds(2));
        settle().await;
        assert_eq!(
            woken
                .lock()
                .iter()
                .map(|(delay, _)| *delay)
                .collect::<Vec<_>>(),
            [1, 1, 2]
        );
        sim.run(seconds(5)).await;
        assert_eq!(woken.lock().last(), Some(&(3, start + seconds(3))));
        assert_eq!(sim.now(), start + seconds(7));
    }

    #[tokio::test]
    async fn a_ticker_ticks_once_for_each_second_that_runs() {
        let sim = SimClock::new(0);
        let ticks = Arc::new(Mutex::new(Vec::new()));
        let (clock, seen) = (sim.clock(), ticks.clone());
        tokio::spawn(async move {
            loop {
                clock.sleep(seconds(1)).await;
                seen.lock().push(clock.wall());
            }
        });
        sim.run(seconds(3)).await;
        assert_eq!(*ticks.lock(), [1000, 2000, 3000]);
        assert_eq!(sim.run_to_next().await, Some(seconds(1)));
        assert_eq!(ticks.lock().len(), 4);
    }

    #[tokio::test]
    async fn the_wall_jumps_alone() {
        let sim = SimClock::new(1_000_000);
        let clock = sim.clock();
        let before = clock.now();
        sim.jump_wall(-400_000);
        assert_eq!((clock.wall(), clock.now()), (600_000, before));
        sim.advance(seconds(1));
        assert_eq!(clock.wall(), 601_000);
    }

    #[tokio::test]
    async fn a_dropped_sleep_leaves_nothing_behind() {
        let sim = SimClock::new(0);
        let clock = sim.clock();
        assert_eq!(
            clock.timeout(seconds(9), async { settle().await }).await,
            Ok(())
        );
        assert_eq!(sim.sleepers(), 0);
    }
}
