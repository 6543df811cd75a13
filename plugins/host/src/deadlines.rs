//! Ends calls whose time is up.
//!
//! Compiled code compares the engine's epoch with a number of its own at every loop and call.
//! A thread moves the epoch when the earliest deadline passes: every call in progress then
//! looks at the clock, and the late one breaks off. The clock is the real one, also in a
//! simulation: a deadline guards the processor.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use runtime::{Clock, Moment, Shutdown, Tasks};
use wasmtime::Engine;

use crate::{CallError, Error};

/// How soon the thread notices that the process stops or the host is gone.
const LOOK: Duration = Duration::from_millis(50);
/// How soon a late call is told again: the first time it may not have been in compiled code.
const AGAIN: Duration = Duration::from_millis(1);

/// When a piece of guest code has to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Moment,
    limit: Duration,
}

impl Deadline {
    /// `limit` from now.
    pub(crate) fn after(limit: Duration) -> Self {
        Self {
            at: Clock::real().now() + limit,
            limit,
        }
    }

    pub(crate) fn has_passed(self) -> bool {
        Clock::real().now() >= self.at
    }

    pub(crate) fn missed(self) -> CallError {
        CallError::Deadline { limit: self.limit }
    }
}

/// Keeps the deadlines of all calls in progress.
pub(crate) struct Deadlines {
    engine: Engine,
    /// Guards plain values; never held during a call.
    state: Mutex<State>,
    /// Signalled when a deadline comes before the thread would wake.
    sooner: Condvar,
}

struct State {
    /// One entry for each call in progress; the number tells equal deadlines apart.
    running: BTreeSet<(Moment, u64)>,
    calls: u64,
    wakes_at: Moment,
    stopped: bool,
}

impl Deadlines {
    /// Starts the thread, which ends with the tasks or with the last handle.
    pub(crate) fn watch(engine: &Engine, tasks: &Tasks) -> Result<Arc<Self>, Error> {
        let deadlines = Arc::new(Self {
            engine: engine.clone(),
            state: Mutex::new(State {
                running: BTreeSet::new(),
                calls: 0,
                wakes_at: Clock::real().now(),
                stopped: false,
            }),
            sooner: Condvar::new(),
        });
        let watched = Arc::downgrade(&deadlines);
        tasks
            .thread("wasm deadlines", move |shutdown| watch(watched, shutdown))
            .map_err(|error| Error::Sandbox(error.to_string()))?;
        Ok(deadlines)
    }

    /// Keeps the deadline for as long as the answer lives. Refused if it has passed, and once
    /// the process stops.
    pub(crate) fn keep(&self, deadline: Deadline) -> Result<Running<'_>, CallError> {
        if deadline.has_passed() {
            return Err(deadline.missed());
        }
        let mut state = self.state.lock();
        if state.stopped {
            return Err(CallError::Stopped);
        }
        state.calls += 1;
        let call = (deadline.at, state.calls);
        state.running.insert(call);
        if deadline.at < state.wakes_at {
            self.sooner.notify_one();
        }
        drop(state);
        Ok(Running {
            deadlines: self,
            call,
        })
    }

    /// Tells a late call that it is late, then waits for the next deadline or for a moment.
    fn look(&self) {
        let mut state = self.state.lock();
        let now = Clock::real().now();
        state.wakes_at = match state.running.first() {
            Some((at, _)) if *at <= now => {
                self.engine.increment_epoch();
                now + AGAIN
            }
            Some((at, _)) => (now + LOOK).min(*at),
            None => now + LOOK,
        };
        let wait = state.wakes_at - now;
        self.sooner.wait_for(&mut state, wait);
    }

    /// Whether nothing runs and, from now on, nothing will.
    fn stop(&self) -> bool {
        let mut state = self.state.lock();
        state.stopped = state.running.is_empty();
        state.stopped
    }
}

fn watch(deadlines: Weak<Deadlines>, shutdown: Shutdown) {
    while let Some(deadlines) = deadlines.upgrade() {
        if shutdown.is_requested() && deadlines.stop() {
            return;
        }
        deadlines.look();
    }
}

/// A call in progress.
pub(crate) struct Running<'a> {
    deadlines: &'a Deadlines,
    call: (Moment, u64),
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.deadlines.state.lock().running.remove(&self.call);
    }
}
