//! Everything that runs beside the caller: named, stopped together, panics reported.

mod roll;
mod shutdown;
mod signal;
mod task;

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use crate::{Clock, Rng};
use roll::{Entry, Roll, Running};
pub use roll::{Panic, Report};
pub use shutdown::Shutdown;
pub use signal::Signal;
pub use task::{Task, TaskError, TaskGuard};

/// Turns of the scheduler that a simulated task may start late, exclusive.
const LATEST_START: u64 = 6;

/// Starts tasks and knows which are running. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    handle: Handle,
    /// Present in a simulation: who gets how late a start.
    order: Option<Rng>,
    /// Microseconds that a simulated blocking job takes before it has an effect.
    slowness: Range<u64>,
    shutdown: Shutdown,
    /// Never held while a task or a callback runs.
    roll: Mutex<Roll>,
    /// Signalled when a task has left the roll.
    left: Notify,
}

impl Tasks {
    /// Tasks run on the tokio runtime this is called in; without one it panics.
    pub fn new(clock: Clock) -> Tasks {
        Tasks::with_order(clock, None, 0..0)
    }

    /// As [`Tasks::new`], for simulations on a single-threaded runtime: each task starts some
    /// turns late, drawn from `order`, and a blocking job is such a late step on the same
    /// thread. [`Tasks::thread`] still starts a thread, whose pace no seed decides.
    pub fn simulated(clock: Clock, order: Rng) -> Tasks {
        Tasks::with_order(clock, Some(order), 0..0)
    }

    /// As [`Tasks::simulated`]; half of the blocking jobs also take so many microseconds of
    /// simulated time, as a disk does, so that what ends a process may come before them.
    pub fn simulated_with_slow_jobs(clock: Clock, order: Rng, slowness: Range<u64>) -> Tasks {
        Tasks::with_order(clock, Some(order), slowness)
    }

    fn with_order(clock: Clock, order: Option<Rng>, slowness: Range<u64>) -> Tasks {
        let shared = Shared {
            shutdown: Shutdown::new(clock.clone()),
            clock,
            handle: Handle::current(),
            order,
            slowness,
            roll: Mutex::default(),
            left: Notify::new(),
        };
        Tasks {
            shared: Arc::new(shared),
        }
    }

    /// Runs a future beside the caller. Dropping the [`Task`] lets it run on.
    pub fn spawn<T, F>(&self, name: impl Into<Cow<'static, str>>, future: F) -> Task<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let name = name.into();
        let (done, output) = oneshot::channel();
        let mut abort = None;
        if let Some(entry) = self.enter(name.clone()) {
            let number = entry.number;
            let turns = self.turns();
            let joined = self.shared.handle.spawn(async move {
                wait_turns(turns).await;
                let output = AssertUnwindSafe(future).catch_unwind().await;
                entry.finish(output, done);
            });
            let handle = joined.abort_handle();
            let mut roll = self.shared.roll.lock();
            if let Some(running) = roll.running.get_mut(&number) {
                running.abort = Some(handle.clone());
            }
            if roll.closed {
                handle.abort();
            }
            drop(roll);
            abort = Some(handle);
        }
        Task {
            name,
            output,
            abort,
        }
    }

    /// Runs a job that may block, on a thread of the pool for such jobs. It starts now, not
    /// when the future is first polled, and cannot be stopped.
    pub fn blocking<T, F>(&self, name: impl Into<Cow<'static, str>>, job: F) -> Task<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let name = name.into();
        let (done, output) = oneshot::channel();
        if let Some(entry) = self.enter(name.clone()) {
            let run = move || {
                let output = catch_unwind(AssertUnwindSafe(job));
                entry.finish(output, done);
            };
            if self.shared.order.is_none() {
                self.shared.handle.spawn_blocking(run);
            } else {
                let (turns, rest) = (self.turns(), self.rest());
                let clock = self.shared.clock.clone();
                self.shared.handle.spawn(async move {
                    wait_turns(turns).await;
                    if let Some(rest) = rest {
                        clock.sleep(rest).await;
                    }
                    run();
                });
            }
        }
        Task {
            name,
            output,
            abort: None,
        }
    }

    /// Starts a thread of its own for work that blocks for as long as the process lives. It
    /// has to end by itself after the shutdown is requested.
    pub fn thread(
        &self,
        name: impl Into<Cow<'static, str>>,
        work: impl FnOnce(Shutdown) + Send + 'static,
    ) -> io::Result<()> {
        let name = name.into();
        let Some(entry) = self.enter(name.clone()) else {
            return Ok(());
        };
        let (shutdown, handle) = (self.shutdown(), self.shared.handle.clone());
        let thread = thread::Builder::new()
            .name(name.into_owned())
            .spawn(move || {
                let _runtime = handle.enter();
                let output = catch_unwind(AssertUnwindSafe(|| work(shutdown)));
                entry.finish(output, oneshot::channel().0);
            })?;
        self.shared.roll.lock().threads.push(thread);
        Ok(())
    }

    /// The signal that all tasks should end.
    pub fn shutdown(&self) -> Shutdown {
        self.shared.shutdown.clone()
    }

    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Calls `tell` on every later panic, on the thread it happened on.
    pub fn on_panic(&self, tell: impl Fn(&Panic) + Send + Sync + 'static) {
        self.shared.roll.lock().on_panic = Some(Arc::new(tell));
    }

    /// The panics so far, the first 100 of them.
    pub fn panics(&self) -> Vec<Panic> {
        self.shared.roll.lock().panics.clone()
    }

    /// Names of what is running, oldest first.
    pub fn running(&self) -> Vec<String> {
        self.shared.roll.lock().names()
    }

    /// Requests the shutdown and waits until every task has ended, or until `limit` passes.
    /// Then futures still running are dropped at their next await; threads are left alone.
    /// Nothing starts afterwards.
    pub async fn stop(&self, limit: Duration) -> Report {
        self.shared.shutdown.request();
        let stopped = self.shared.clock.timeout(limit, self.all_left()).await;
        let (report, aborts, threads) = {
            let mut roll = self.shared.roll.lock();
            roll.closed = true;
            let report = Report {
                unfinished: if stopped.is_ok() {
                    Vec::new()
                } else {
                    roll.names()
                },
                panics: roll.panics.clone(),
            };
            let aborts: Vec<_> = roll
                .running
                .values()
                .filter_map(|task| task.abort.clone())
                .collect();
            let all = std::mem::take(&mut roll.threads);
            let (ended, others): (Vec<_>, Vec<_>) = all
                .into_iter()
                .partition(|thread| stopped.is_ok() || thread.is_finished());
            roll.threads = others;
            (report, aborts, ended)
        };
        for abort in aborts {
            abort.abort();
        }
        // These have done their work; joining waits for their last instructions only.
        for thread in threads {
            let _ = thread.join();
        }
        report
    }

    fn turns(&self) -> u64 {
        self.shared
            .order
            .as_ref()
            .map_or(0, |order| order.range(0..LATEST_START))
    }

    /// How long a simulated blocking job takes.
    fn rest(&self) -> Option<Duration> {
        let order = self.shared.order.as_ref()?;
        let slow = !self.shared.slowness.is_empty() && order.chance(0.5);
        slow.then(|| Duration::from_micros(order.range(self.shared.slowness.clone())))
    }

    async fn all_left(&self) {
        loop {
            let left = self.shared.left.notified();
            if self.shared.roll.lock().running.is_empty() {
                return;
            }
            left.await;
        }
    }

    /// Puts a task on the roll, unless all has been stopped.
    fn enter(&self, name: Cow<'static, str>) -> Option<Entry> {
        let mut roll = self.shared.roll.lock();
        if roll.closed {
            return None;
        }
        let number = roll.next;
        roll.next += 1;
        roll.running.insert(number, Running { name, abort: None });
        Some(Entry {
            shared: self.shared.clone(),
            number,
        })
    }
}

async fn wait_turns(turns: u64) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}
