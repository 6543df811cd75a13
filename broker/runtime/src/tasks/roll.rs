//! Who is running, and what went wrong with those who ran.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::Shared;
use super::task::TaskError;

/// Panics kept word for word; later ones are only logged.
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

pub(super) type OnPanic = Arc<dyn Fn(&Panic) + Send + Sync>;

/// Who is running.
#[derive(Default)]
pub(super) struct Roll {
    pub(super) closed: bool,
    pub(super) next: u64,
    pub(super) running: BTreeMap<u64, Running>,
    pub(super) threads: Vec<thread::JoinHandle<()>>,
    pub(super) panics: Vec<Panic>,
    pub(super) on_panic: Option<OnPanic>,
}

pub(super) struct Running {
    pub(super) name: Cow<'static, str>,
    /// Absent for threads and blocking jobs: these end by themselves or not at all.
    pub(super) abort: Option<AbortHandle>,
}

impl Roll {
    pub(super) fn names(&self) -> Vec<String> {
        self.running
            .values()
            .map(|task| task.name.to_string())
            .collect()
    }
}

/// A task's place on the roll; it leaves when this is dropped, however that happens.
pub(super) struct Entry {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u64,
}

impl Entry {
    /// Leaves the roll first, so that whoever sees the output no longer sees the task.
    pub(super) fn finish<T>(
        self,
        output: thread::Result<T>,
        done: oneshot::Sender<Result<T, TaskError>>,
    ) {
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
