//! The heartbeat by which running functions learn that their time is up.
//!
//! Compiled code compares the engine's epoch with its deadline at every loop and
//! call. The epoch counts milliseconds of real time, also under a simulated clock: a
//! deadline guards the processor. While nothing runs, nothing ticks.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use runtime::{Clock, Shutdown, Tasks};
use wasmtime::{Engine, EngineWeak};

use crate::{CallError, Error};

const TICK: Duration = Duration::from_millis(1);
/// How soon an idle ticker notices that the process stops or the host is gone.
const IDLE: Duration = Duration::from_millis(50);

/// Keeps the epoch moving while at least one [`Running`] is held.
pub(crate) struct Ticker {
    /// Guards two plain values; never held during a call.
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    stopped: bool,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine, tasks: &Tasks) -> Result<Arc<Self>, Error> {
        let ticker = Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let (beating, engine) = (Arc::downgrade(&ticker), engine.weak());
        tasks
            .thread("wasm deadlines", move |shutdown| {
                beat(beating, engine, shutdown)
            })
            .map_err(|error| Error::Sandbox(error.to_string()))?;
        Ok(ticker)
    }

    /// Deadlines hold for as long as the answer lives. Refused once the process stops.
    pub(crate) fn run(self: &Arc<Self>) -> Result<Running, CallError> {
        let mut state = self.state.lock();
        if state.stopped {
            return Err(CallError::Stopped);
        }
        state.running += 1;
        if state.running == 1 {
            self.changed.notify_one();
        }
        drop(state);
        Ok(Running {
            ticker: self.clone(),
        })
    }

    /// Ticks until the last call has ended, or waits a moment for a first one.
    fn tick(&self, engine: &EngineWeak, clock: &Clock) {
        let mut state = self.state.lock();
        if state.running == 0 {
            self.changed.wait_for(&mut state, IDLE);
        }
        let start = clock.now();
        let mut ticks = 0;
        while state.running > 0 {
            self.changed.wait_for(&mut state, TICK);
            let due = clock.now().since(start).as_millis();
            let Some(engine) = engine.upgrade() else {
                return;
            };
            while ticks < due {
                engine.increment_epoch();
                ticks += 1;
            }
        }
    }

    /// Whether nothing runs and, from now on, nothing will.
    fn stop(&self) -> bool {
        let mut state = self.state.lock();
        state.stopped = state.running == 0;
        state.stopped
    }
}

fn beat(ticker: Weak<Ticker>, engine: EngineWeak, shutdown: Shutdown) {
    let clock = Clock::real();
    while let Some(ticker) = ticker.upgrade() {
        if shutdown.is_requested() && ticker.stop() {
            return;
        }
        ticker.tick(&engine, &clock);
    }
}

/// Ticks that cover at least `limit`, wherever in a tick it begins.
pub(crate) fn ticks(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis())
        .unwrap_or(u64::MAX / 2)
        .saturating_add(1)
}

/// A call in progress.
pub(crate) struct Running {
    ticker: Arc<Ticker>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ticker.state.lock().running -= 1;
    }
}
