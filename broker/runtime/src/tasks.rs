//! Everything that runs beside the caller: named, stopped together, panics reported.

mod shutdown;

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use crate::Clock;
pub use shutdown::Shutdown;

/// Panics kept word for word; later ones are logged and counted only.
const KEPT_PANICS: usize = 100;

/// A task that panicked, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    pub task: String,
    pub message: String,
}

/// How a stop went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Names of tasks that had not ended when the limit passed.
    pub unfinished: Vec<String>,
    /// Panics since the start, the first 100 of them.
    pub panics: Vec<Panic>,
}

impl Report {
    /// Everything ended in time and nothing panicked.
    pub fn is_clean(&self) -> bool {
        self.unfinished.is_empty() && self.panics.is_empty()
    }
}

/// Why a task has no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    #[error("task {task} panicked: {message}")]
    Panicked { task: String, message: String },
    #[error("task {task} was stopped before it ended")]
    Stopped { task: String },
}

/// Starts tasks and knows which are running. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    handle: Handle,
    shutdown: Shutdown,
    /// Never held while a task or a callback runs.
    roll: Mutex<Roll>,
    /// Signalled when a task has left the roll.
    left: Notify,
}

type OnPanic = Arc<dyn Fn(&Panic) + Send + Sync>;

/// Who is running.
#[derive(Default)]
struct Roll {
    closed: bool,
    next: u64,
    running: BTreeMap<u64, Running>,
    threads: Vec<thread::JoinHandle<()>>,
    panics: Vec<Panic>,
    on_panic: Option<OnPanic>,
}

struct Running {
    name: Cow<'static, str>,
    /// Absent for threads and blocking jobs: these end by themselves or not at all.
    abort: Option<AbortHandle>,
}

impl Tasks {
    /// Tasks run on the tokio runtime this is called in; without one it panics.
    pub fn new(clock: Clock) -> Tasks {
        let shared = Shared {
            shutdown: Shutdown::new(clock.clone()),
            clock,
            handle: Handle::current(),
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
            let joined = self.shared.handle.spawn(async move {
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
            self.shared.handle.spawn_blocking(move || {
                let output = catch_unwind(AssertUnwindSafe(job));
                entry.finish(output, done);
            });
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

impl Roll {
    fn names(&self) -> Vec<String> {
        self.running
            .values()
            .map(|task| task.name.to_string())
            .collect()
    }
}

/// A task's place on the roll; it leaves when this is dropped, however that happens.
struct Entry {
    shared: Arc<Shared>,
    number: u64,
}

impl Entry {
    /// Leaves the roll first, so that whoever sees the output no longer sees the task.
    fn finish<T>(self, output: thread::Result<T>, done: oneshot::Sender<Result<T, TaskError>>) {
        let output = output.map_err(|payload| self.report(payload));
        drop(self);
        // Nobody may be waiting.
        let _ = done.send(output);
    }

    fn report(&self, payload: Box<dyn Any + Send>) -> TaskError {
        let message = match payload.downcast::<String>() {
            Ok(message) => *message,
            Err(payload) => payload
                .downcast_ref::<&str>()
                .unwrap_or(&"(no message)")
                .to_string(),
        };
        let (panic, tell) = {
            let mut roll = self.shared.roll.lock();
            let task = roll
                .running
                .get(&self.number)
                .map_or_else(String::new, |task| task.name.to_string());
            let panic = Panic { task, message };
            if roll.panics.len() < KEPT_PANICS {
                roll.panics.push(panic.clone());
            }
            (panic, roll.on_panic.clone())
        };
        tracing::error!(
            task = panic.task,
            message = panic.message,
            "a task panicked"
        );
        if let Some(tell) = tell {
            tell(&panic);
        }
        TaskError::Panicked {
            task: panic.task,
            message: panic.message,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.roll.lock().running.remove(&self.number);
        self.shared.left.notify_waiters();
    }
}

/// A running task. As a future it gives the output; dropped, the task runs on.
pub struct Task<T> {
    name: Cow<'static, str>,
    output: oneshot::Receiver<Result<T, TaskError>>,
    abort: Option<AbortHandle>,
}

impl<T> Task<T> {
    /// Drops the task's future at its next await.
    pub fn abort(&self) {
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }

    /// Ends with its guard instead of running on.
    pub fn abort_on_drop(self) -> TaskGuard<T> {
        TaskGuard { task: self }
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.output.poll_unpin(context).map(|output| {
            output.unwrap_or_else(|_| {
                Err(TaskError::Stopped {
                    task: self.name.to_string(),
                })
            })
        })
    }
}

/// Stops its task when dropped.
pub struct TaskGuard<T> {
    task: Task<T>,
}

impl<T> Drop for TaskGuard<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
