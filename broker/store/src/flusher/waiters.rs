//! Those who wait for a flush, and whether one is under way.
//!
//! Whoever comes while no round is under way has to run one; a round ends under the lock under
//! which nobody was left, so that nobody waits for a flush that never begins.

use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::sync::Mutex;

#[cfg(all(test, scheduler = "loom"))]
mod schedules;

pub(super) type Done = Box<dyn FnOnce(Result<(), Error>) + Send>;

#[derive(Default)]
pub(super) struct Waiters {
    state: Mutex<State>,
}

/// Guards who waits for what.
#[derive(Default)]
struct State {
    waiters: Vec<Waiter>,
    running: bool,
    last: Group,
}

struct Waiter {
    end: u64,
    done: Done,
}

/// Those whom one flush was for, and how long it took.
#[derive(Clone, Copy, Default)]
pub(super) struct Group {
    pub waiters: usize,
    pub took: Duration,
}

/// Flushes under way, until nobody waits. If they do not come to their end, because the tasks
/// are over or one of them panicked, those who wait hear of it.
pub(super) struct Round {
    waiters: Arc<Waiters>,
    ended: bool,
}

impl Waiters {
    /// Calls `done` once a flush has covered `end`, or failed. The caller runs the round that it
    /// gets, if it gets one.
    pub(super) fn add(self: &Arc<Self>, end: u64, done: Done) -> Option<Round> {
        let mut state = self.state.lock();
        state.waiters.push(Waiter { end, done });
        let start = !std::mem::replace(&mut state.running, true);
        start.then(|| Round {
            waiters: self.clone(),
            ended: false,
        })
    }

    pub(super) fn count(&self) -> usize {
        self.state.lock().waiters.len()
    }

    pub(super) fn last_group(&self) -> Group {
        self.state.lock().last
    }
}

impl Round {
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// A flush is over. Answers those whose bytes are durable now, or all if it `failed`, and
    /// says why not where bytes are not.
    pub(super) fn settle(
        &mut self,
        durable: u64,
        failed: bool,
        took: Duration,
        why: impl Fn() -> Option<Error>,
    ) {
        let done = {
            let mut state = self.waiters.state.lock();
            let all = std::mem::take(&mut state.waiters);
            let (done, rest): (Vec<_>, Vec<_>) = all
                .into_iter()
                .partition(|waiter| failed || waiter.end <= durable);
            state.running = !rest.is_empty();
            self.ended = !state.running;
            state.waiters = rest;
            state.last = Group {
                waiters: done.len(),
                took,
            };
            done
        };
        for waiter in done {
            let failed = if waiter.end > durable { why() } else { None };
            (waiter.done)(failed.map_or(Ok(()), Err));
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let waiters = {
            let mut state = self.waiters.state.lock();
            state.running = false;
            std::mem::take(&mut state.waiters)
        };
        for waiter in waiters {
            (waiter.done)(Err(Error::Closed));
        }
    }
}
