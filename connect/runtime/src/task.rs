//! One task: opened, run, and opened again after an error, until somebody stops it.

mod decode;
mod encode;
mod sink;
mod source;

use std::sync::Arc;
use std::time::Duration;

use connect_sdk::{Context, Error, ErrorKind, Kind, TaskOptions};
use model::Topic;
use runtime::{Clock, Disk, Moment, Net, Rng, Tasks};
use tokio::sync::watch;

use crate::broker::{Broker, BrokerError};
use crate::config::Config;
use crate::retry::{Backoff, longest_wait};
use crate::status::{Board, State};
use crate::topics;

/// What a task is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orders {
    pub(crate) target: Target,
    /// Rises when the task shall begin anew whatever it is doing.
    pub(crate) restarts: u64,
}

/// What somebody wants of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Work.
    Running,
    /// Hold, keeping connections.
    Paused,
    /// Let go of everything.
    Stopped,
}

/// How a task went out of existence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing is under way.
    Clean,
    /// A commit may still happen: the generation must not be used again.
    Unknown,
    /// Nothing is under way, but the work is another by now: it has to be divided anew.
    Outdated,
}

impl Ended {
    /// Why the connector takes its job over anew, if it must.
    pub(crate) fn begins_anew(self) -> Option<&'static str> {
        match self {
            Self::Clean => None,
            Self::Unknown => Some("a commit's outcome is not known"),
            Self::Outdated => Some("a topic has other queues than before"),
        }
    }
}

/// Why a task's run was broken off.
#[derive(Debug)]
pub(crate) enum TaskError {
    /// The connector or the broker said so.
    Failed(Error),
    /// It was stopped while a commit's outcome was not known.
    Unknown,
}

impl From<Error> for TaskError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Why a task's run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    /// Told to stop or to begin anew.
    Ordered,
    /// A bounded source has ended.
    AtEnd,
    /// There are queues that nobody reads, or that are gone.
    Outdated,
}

/// Everything a task works with.
#[derive(Clone)]
pub(crate) struct TaskEnv {
    pub(crate) config: Arc<Config>,
    pub(crate) options: TaskOptions,
    pub(crate) number: usize,
    /// How many tasks share the connector's work.
    pub(crate) count: usize,
    pub(crate) generation: u64,
    /// Rises whenever the work is divided anew.
    pub(crate) layout: u64,
    /// How many shards the connector has ever had.
    pub(crate) shards: u32,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Clock,
    pub(crate) net: Net,
    pub(crate) rng: Rng,
    pub(crate) tasks: Tasks,
    pub(crate) board: Board,
    pub(crate) orders: watch::Receiver<Orders>,
}

/// Runs until it is told to stop.
pub(crate) async fn run(env: TaskEnv) -> Ended {
    let mut backoff = env.backoff();
    loop {
        let begun_with = *env.orders.borrow();
        if begun_with.target == Target::Stopped {
            return Ended::Clean;
        }
        let delivered_before = env.delivered();
        let result = match env.config.kind() {
            Kind::Source => source::run(&env, begun_with).await,
            Kind::Sink => sink::run(&env, begun_with).await,
        };
        let error = match result {
            Ok(Finish::Ordered) => {
                backoff.reset();
                continue;
            }
            Ok(Finish::AtEnd) => {
                env.set(State::Running, None, true);
                env.other_orders(begun_with).await;
                continue;
            }
            Ok(Finish::Outdated) => return Ended::Outdated,
            Err(TaskError::Unknown) => return Ended::Unknown,
            Err(TaskError::Failed(error)) => error,
        };
        let now = env.clock.now();
        if env.delivered() > delivered_before || env.has_worked(now) {
            backoff.reset();
        }
        let wait = backoff.next(now);
        let (state, wait) = match error.kind() {
            ErrorKind::Transient if backoff.is_open(now) => (State::Failed, Some(wait)),
            ErrorKind::Transient => (State::Restarting, Some(retry_after(&error).unwrap_or(wait))),
            ErrorKind::Auth => (State::Failed, Some(longest_wait(&env.config.common))),
            ErrorKind::Poison | ErrorKind::Config | ErrorKind::Fenced => (State::Failed, None),
        };
        tracing::warn!(connector = env.config.name, task = env.number, %error, state = state.name(), "the task stopped working");
        env.set(state, Some(trace(&error)), false);
        match wait {
            Some(wait) => {
                tokio::select! {
                    () = env.clock.sleep(wait) => {}
                    () = env.other_orders(begun_with) => {}
                }
            }
            None => env.other_orders(begun_with).await,
        }
    }
}

fn retry_after(error: &Error) -> Option<Duration> {
    match error {
        Error::Transient { retry_after, .. } => *retry_after,
        _ => None,
    }
}

/// The error as a status shows it.
pub(crate) fn trace(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}\n  fix: {hint}"),
        None => error.to_string(),
    }
}

impl TaskEnv {
    fn context(&self) -> Context {
        Context {
            connector: self.config.name.clone(),
            task: self.number,
            generation: self.generation,
            disk: self.disk.clone(),
            clock: self.clock.clone(),
            net: self.net.clone(),
            rng: self.rng.split("connector"),
            tasks: self.tasks.clone(),
        }
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::of(&self.config.common, self.rng.split("backoff"))
    }

    /// Whether it was at work for so long that what ended it now is a new failure, even if
    /// there was nothing to deliver.
    fn has_worked(&self, now: Moment) -> bool {
        let status = self.board.get(&self.config.name);
        let since = status.and_then(|status| status.tasks.get(self.number)?.working_since);
        since.is_some_and(|since| now - since > longest_wait(&self.config.common))
    }

    /// Resolves when the orders are no longer these.
    async fn other_orders(&self, known: Orders) {
        let mut orders = self.orders.clone();
        if orders.wait_for(|orders| *orders != known).await.is_err() {
            // Whoever gave orders is gone, and the process is ending.
            std::future::pending::<()>().await;
        }
    }

    /// Waits while the connector is paused and returns the orders to work by. `None` if the run
    /// begun with these orders shall end.
    ///
    /// Whoever waits for other orders afterwards compares with these: an order that came
    /// meanwhile is then seen at once, and never taken for the one already obeyed.
    async fn hold(&self, begun: Orders) -> Option<Orders> {
        let mut orders = self.orders.clone();
        loop {
            let now = *orders.borrow_and_update();
            if now.target == Target::Stopped || now.restarts != begun.restarts {
                return None;
            }
            if now.target == Target::Running {
                self.set(State::Running, None, false);
                return Some(now);
            }
            self.set(State::Paused, None, false);
            if orders.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Resolves when the run begun with these orders shall end. Being paused is no end.
    async fn ended(&self, begun: Orders) {
        let ends =
            |orders: &Orders| orders.target == Target::Stopped || orders.restarts != begun.restarts;
        if self.orders.clone().wait_for(ends).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits; true if it was told to stop or begin anew meanwhile.
    pub(crate) async fn pause_or_stop(&self, wait: Duration) -> bool {
        let known = *self.orders.borrow();
        tokio::select! {
            () = self.clock.sleep(wait) => false,
            () = self.ended(known) => true,
        }
    }

    /// Asks the broker something that changes nothing.
    pub(crate) async fn ask<T, F>(&self, question: impl FnOnce() -> F) -> Result<T, TaskError>
    where
        F: Future<Output = Result<T, BrokerError>>,
    {
        question().await.map_err(|error| broker_error(error).into())
    }

    fn set(&self, state: State, trace: Option<String>, ended: bool) {
        let now = self.clock.now();
        self.board
            .change_task(&self.config.name, self.number, |task| {
                task.state = state;
                task.working_since = match state {
                    State::Running => task.working_since.or(Some(now)),
                    _ => None,
                };
                task.trace = trace;
                task.ended = ended;
            });
    }

    /// Says that the broker does not answer.
    pub(crate) fn struggling(&self, why: &str) {
        self.set(State::Restarting, Some(why.to_owned()), false);
    }

    /// Says that it answers again.
    pub(crate) fn recovered(&self) {
        self.board
            .change_task(&self.config.name, self.number, |task| {
                if task.state == State::Restarting {
                    task.state = State::Running;
                    task.trace = None;
                }
            });
    }

    fn delivered(&self) -> u64 {
        let status = self.board.get(&self.config.name);
        status
            .and_then(|status| Some(status.tasks.get(self.number)?.records))
            .unwrap_or(0)
    }

    /// Notes that records went to or came from a topic.
    async fn uses(&self, topic: &Topic) {
        topics::note(self.broker.as_ref(), &self.board, &self.config.name, topic).await;
    }

    fn count(&self, records: usize) {
        self.board
            .change_task(&self.config.name, self.number, |task| {
                task.records += records as u64
            });
    }

    pub(crate) fn count_failed(&self, records: usize) {
        self.board
            .change_task(&self.config.name, self.number, |task| {
                task.failed_records += records as u64
            });
    }

    /// Where dead letters go to, made if it is missing. Zero without a topic for them.
    async fn dead_letter_queues(&self) -> Result<u32, TaskError> {
        match &self.config.dead_letters {
            Some(topic) => self.ask(|| self.broker.ensure_topic(topic, 8)).await,
            None => Ok(0),
        }
    }
}

/// A broker's refusal as an error of the task.
pub(crate) fn broker_error(error: BrokerError) -> Error {
    match error {
        BrokerError::Unavailable { .. } => Error::transient(error.to_string()),
        BrokerError::Fenced { .. } => Error::fenced(error.to_string()),
        BrokerError::Refused { .. } => Error::config(error.to_string(), "see the broker's log"),
    }
}
