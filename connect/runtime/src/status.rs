//! What each connector and task is doing, as others may see it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use connect_sdk::Kind;
use parking_lot::Mutex;
use runtime::Moment;
use tokio::sync::watch;

/// The state of a connector or a task, in Kafka Connect's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not begun.
    Unassigned,
    /// At work, or a bounded source at its end.
    Running,
    /// Held back, keeping its connections.
    Paused,
    /// Stopped by somebody, connectors only. Nothing is kept open.
    Stopped,
    /// Ended by an error; `trace` says which. Tried again rarely or not at all.
    Failed,
    /// Ended by an error and about to begin again.
    Restarting,
}

impl State {
    /// Kafka Connect's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unassigned => "UNASSIGNED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
            Self::Restarting => "RESTARTING",
        }
    }
}

/// One task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStatus {
    /// What it is doing.
    pub state: State,
    /// The last error and what to do about it, while that matters.
    pub trace: Option<String>,
    /// A bounded source has brought everything and waits for nothing.
    pub ended: bool,
    /// Since when it is at work without an error.
    pub(crate) working_since: Option<Moment>,
    /// Records delivered since the task was made.
    pub records: u64,
    /// Records dead-lettered or passed over since then.
    pub failed_records: u64,
}

impl Default for TaskStatus {
    fn default() -> Self {
        Self {
            state: State::Unassigned,
            trace: None,
            ended: false,
            working_since: None,
            records: 0,
            failed_records: 0,
        }
    }
}

/// One connector and its tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorStatus {
    /// What the connector as a whole is doing.
    pub state: State,
    /// The last error of the connector itself.
    pub trace: Option<String>,
    /// Which way records flow.
    pub kind: Kind,
    /// Its tasks, by number.
    pub tasks: Vec<TaskStatus>,
    /// The topics its records went to or came from, since it was created or they were reset.
    pub topics: BTreeSet<String>,
    /// Orders given and not yet carried out.
    pub(crate) due: u32,
}

impl ConnectorStatus {
    pub(crate) fn new(state: State, kind: Kind) -> Self {
        Self {
            state,
            trace: None,
            kind,
            tasks: Vec::new(),
            topics: BTreeSet::new(),
            due: 0,
        }
    }

    /// It was told to stop, and has.
    pub(crate) fn has_stopped(&self) -> bool {
        self.state == State::Stopped && self.due == 0
    }

    /// Why one of its tasks waits and tries again, though the connector runs.
    pub fn waits_for(&self) -> Option<&str> {
        let mut waiting = self
            .tasks
            .iter()
            .filter(|task| task.state == State::Restarting);
        waiting.find_map(|task| task.trace.as_deref())
    }

    /// Nothing more will come by itself: every task has ended or failed for good.
    pub fn is_finished(&self) -> bool {
        if self.due > 0 {
            return false;
        }
        let done = |task: &TaskStatus| task.ended || task.state == State::Failed;
        self.state == State::Failed || (!self.tasks.is_empty() && self.tasks.iter().all(done))
    }
}

/// All statuses. Cheap to clone; everybody writes their own and anybody reads.
#[derive(Clone)]
pub(crate) struct Board {
    statuses: Arc<Mutex<BTreeMap<String, ConnectorStatus>>>,
    changed: Arc<watch::Sender<u64>>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            statuses: Arc::default(),
            changed: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl Board {
    pub(crate) fn get(&self, connector: &str) -> Option<ConnectorStatus> {
        self.statuses.lock().get(connector).cloned()
    }

    pub(crate) fn put(&self, connector: &str, status: ConnectorStatus) {
        self.statuses.lock().insert(connector.to_owned(), status);
        self.tell();
    }

    pub(crate) fn remove(&self, connector: &str) {
        self.statuses.lock().remove(connector);
        self.tell();
    }

    /// Changes a connector's status, if it is there.
    pub(crate) fn change(&self, connector: &str, change: impl FnOnce(&mut ConnectorStatus)) {
        if let Some(status) = self.statuses.lock().get_mut(connector) {
            change(status);
        }
        self.tell();
    }

    /// Adds to the topics of a connector that is there. True if this one is new.
    pub(crate) fn uses_topic(&self, connector: &str, topic: &str) -> bool {
        let mut statuses = self.statuses.lock();
        let known = statuses.get_mut(connector);
        known.is_some_and(|status| {
            !status.topics.contains(topic) && status.topics.insert(topic.to_owned())
        })
    }

    /// Changes one task's status, if it is there.
    pub(crate) fn change_task(
        &self,
        connector: &str,
        task: usize,
        change: impl FnOnce(&mut TaskStatus),
    ) {
        self.change(connector, |status| {
            if let Some(task) = status.tasks.get_mut(task) {
                change(task);
            }
        });
    }

    /// Resolves when `is_so` holds, for a connector that is there or one that is not.
    pub(crate) async fn wait_for(
        &self,
        connector: &str,
        is_so: impl Fn(Option<&ConnectorStatus>) -> bool,
    ) {
        let mut changed = self.changed.subscribe();
        loop {
            if is_so(self.statuses.lock().get(connector)) {
                return;
            }
            changed.changed().await.expect("the sender lives in self");
        }
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}
