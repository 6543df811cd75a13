//! A task that runs, as seen by whoever started it.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Why a task has no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    #[error("task {task} panicked: {message}")]
    Panicked { task: String, message: String },
    #[error("task {task} was stopped before it ended")]
    Stopped { task: String },
}

/// A running task. As a future it gives the output; dropped, the task runs on.
pub struct Task<T> {
    pub(super) name: Cow<'static, str>,
    pub(super) output: oneshot::Receiver<Result<T, TaskError>>,
    pub(super) abort: Option<AbortHandle>,
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
