//! A running job: recovery, then one epoch after the other.
//!
//! ```text
//! pull → decode → step → watermark → stage → COMMIT ──▶ publish the outbox → next
//!          ▲                                    │            ▲
//!          └── positions ◀── after a crash ◀────┴── outbox ──┘
//! ```
//! An epoch is published only once it survives a power loss, and published again after a crash
//! until the publisher has confirmed it: committed and published once each, whatever happens.

use crate::{
    Error, Outbox, PollLimits, Polled, PublishError, Publisher, Settings, Sinks, SourceReader,
    Sources, Status, Sync,
    epoch::{Core, Outcome, Pace, table_of},
    event_time::JobTimes,
    outbox::Yield,
};
use dataflow::{Dataflow, NodeId, NodeKind};
use operators::{Environment, Functions, Graph, Lookups};
use planner::EpochTime;
use runtime::{Clock, Moment, Tasks};
use state::{Durability, Progress, State, Store};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

/// Everything that a job is made of.
pub struct Parts<'a> {
    pub dataflow: Arc<Dataflow>,
    pub functions: Functions,
    /// What the clock functions among them read; set before each epoch.
    pub time: EpochTime,
    pub lookups: &'a dyn Lookups,
    pub sources: &'a mut dyn Sources,
    pub sinks: &'a mut dyn Sinks,
    pub publisher: Box<dyn Publisher>,
    pub store: Arc<dyn Store>,
    pub tasks: Tasks,
    pub clock: Clock,
    pub settings: Settings,
}

/// What a job is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Go on.
    No,
    /// End after the running epoch; the job can be started again.
    Now,
    /// Read no more, say all that open windows hold, end. All time has passed then: the job
    /// cannot be opened again.
    Drain,
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It can go on.
    Stopped,
    /// Everything has been said and published.
    Drained,
}

/// What came of a step.
enum Stepped {
    Done { committed: bool },
    TooLarge(Yield),
}

/// A job that is open. Dropping it loses nothing that is committed.
pub struct Job {
    /// Absent only while an epoch runs, and for good after one failed.
    core: Option<Box<Core>>,
    readers: BTreeMap<NodeId, (String, Box<dyn SourceReader>)>,
    publisher: Box<dyn Publisher>,
    /// Committed and not yet confirmed, oldest first.
    unpublished: VecDeque<Outbox>,
    /// Whether these are an earlier run's.
    behind: bool,
    /// Rows that the next epoch reads at most: fewer than the settings say, after one published
    /// too much.
    rows: usize,
    /// That epoch, until as much is read as the settings say.
    too_large: Option<Yield>,
    /// What the job is asked to do while it runs.
    stop: Option<watch::Receiver<Stop>>,
    synced: Moment,
    status: watch::Sender<Status>,
    tasks: Tasks,
    clock: Clock,
    settings: Settings,
}

impl Job {
    /// Opens a job behind its last committed epoch. What it may not have published is published
    /// before anything else is done.
    pub async fn open(parts: Parts<'_>) -> Result<Self, Error> {
        let Parts {
            dataflow,
            functions,
            time,
            lookups,
            sources,
            sinks,
            publisher,
            store,
            tasks,
            clock,
            settings,
        } = parts;
        let opened = State::open(store, settings.state)?;
        let (mut state, progress) = (opened.state, opened.progress);
        let mut environment = Environment {
            functions,
            lookups,
            state: &mut state,
        };
        let graph = Graph::build(&dataflow, &progress.watermarks, &mut environment)?;
        let times = JobTimes::new(&dataflow, &progress.queue_watermarks, settings.idle_timeout);

        let mut readers = BTreeMap::new();
        let mut encoders = BTreeMap::new();
        for node in &dataflow.nodes {
            let table = table_of(&node.kind).to_owned();
            match &node.kind {
                NodeKind::Source(source) => {
                    let own = progress
                        .positions
                        .iter()
                        .filter(|(name, _)| name.source == node.operator.as_str());
                    let positions = own
                        .map(|(name, position)| (name.queue.clone(), position.clone()))
                        .collect();
                    let reader = sources.open(source, positions).await;
                    let reader = reader.map_err(|source| Error::Source {
                        table: table.clone(),
                        source,
                    })?;
                    readers.insert(node.id, (table, reader));
                }
                NodeKind::Sink(sink) => {
                    let encoder = sinks
                        .open(sink)
                        .map_err(|source| Error::Sink { table, source })?;
                    encoders.insert(node.id, encoder);
                }
                _ => {}
            }
        }
        let unpublished = opened
            .outbox
            .into_iter()
            .map(|(_, bytes)| Outbox::decode(bytes));
        let core = Core {
            dataflow,
            graph,
            state,
            progress,
            times,
            sinks: encoders,
            time,
        };
        let job = Self {
            core: Some(Box::new(core)),
            readers,
            publisher,
            unpublished: unpublished.collect::<Result<_, _>>()?,
            behind: true,
            rows: settings.epoch_rows,
            too_large: None,
            stop: None,
            synced: clock.now(),
            status: watch::Sender::new(Status::default()),
            tasks,
            clock,
            settings,
        };
        job.report(Duration::ZERO);
        Ok(job)
    }

    /// How the job is doing, now and after every later epoch.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Runs epochs until asked to stop, or until one fails. Asked to stop now, it does not wait
    /// for a broker that is away: what is committed is published when the job is opened again.
    ///
    /// # Errors
    /// [`Error::Drained`] if an earlier run was drained: every row would be late.
    pub async fn run(mut self, stop: watch::Receiver<Stop>) -> Result<Ended, Error> {
        let mut asked = stop.clone();
        self.stop = Some(stop);
        loop {
            let wish = *asked.borrow_and_update();
            match wish {
                Stop::No => {}
                Stop::Now => {
                    self.flush().await?;
                    return Ok(Ended::Stopped);
                }
                Stop::Drain => {
                    self.drain().await?;
                    return Ok(match self.unpublished.is_empty() {
                        true => Ended::Drained,
                        false => Ended::Stopped,
                    });
                }
            }
            self.epoch().await?;
            // Nobody is left who could ask: as good as being asked to stop.
            if asked.has_changed().is_err() {
                self.flush().await?;
                return Ok(Ended::Stopped);
            }
        }
    }

    /// Pulls once, and does one epoch of what came. Returns whether one was committed.
    ///
    /// An epoch that would publish more than is visible at once is done again with less input.
    pub async fn epoch(&mut self) -> Result<bool, Error> {
        self.catch_up().await?;
        if self.behind {
            return Ok(false);
        }
        loop {
            let polled = pull(&mut self.readers, &self.settings, self.rows).await?;
            match self.step(polled, false, self.rows > 1).await? {
                Stepped::TooLarge(made) => {
                    self.rows = (self.rows.min(made.read) / 2).max(1);
                    self.too_large = Some(made);
                    self.readers
                        .values_mut()
                        .for_each(|(_, reader)| reader.unread());
                }
                Stepped::Done { committed } => {
                    // Slowly back, or every other epoch would be done twice.
                    let more = self.rows + self.rows / 8 + 1;
                    self.rows = more.min(self.settings.epoch_rows);
                    if self.rows == self.settings.epoch_rows {
                        self.too_large = None;
                    }
                    return Ok(committed);
                }
            }
        }
    }

    /// Lets everything leave that waits for time to pass. The last epoch of a job.
    pub async fn drain(&mut self) -> Result<(), Error> {
        self.catch_up().await?;
        if !self.behind {
            self.step(BTreeMap::new(), true, false).await?;
        }
        self.flush().await
    }

    /// Publishes what an earlier run may not have.
    async fn catch_up(&mut self) -> Result<(), Error> {
        if !self.behind {
            return Ok(());
        }
        self.flush().await?;
        self.behind = !self.unpublished.is_empty();
        match &self.core {
            Some(core) if is_drained(&core.progress) && !self.behind => Err(Error::Drained),
            _ => Ok(()),
        }
    }

    async fn step(
        &mut self,
        polled: BTreeMap<NodeId, Polled>,
        last: bool,
        divisible: bool,
    ) -> Result<Stepped, Error> {
        let began = self.clock.now();
        let durability = match self.settings.sync {
            Sync::EveryEpoch => Durability::Synced,
            Sync::Every(_) => Durability::Buffered,
        };
        let pace = Pace {
            now: began,
            wall: self.clock.wall(),
            durability,
            last,
            limits: self.publisher.limits(),
            divisible,
            too_large: self.too_large,
        };
        let mut core = self.core.take().ok_or(state::Error::Closed)?;
        let epoch = self.tasks.blocking("epoch", move || {
            let outcome = core.epoch(polled, pace)?;
            Ok::<_, Error>((core, outcome))
        });
        let (core, outcome) = epoch.await??;
        self.core = Some(core);
        let committed = match outcome {
            Outcome::TooLarge(made) => {
                tracing::debug!(?made, "an epoch is done again with less input");
                return Ok(Stepped::TooLarge(made));
            }
            Outcome::Unchanged => false,
            Outcome::Committed(outbox) => {
                self.unpublished.push_back(outbox);
                self.report(self.clock.now().since(began));
                true
            }
        };
        match self.settings.sync {
            Sync::EveryEpoch => self.publish().await?,
            Sync::Every(interval) if self.clock.now().since(self.synced) >= interval => {
                self.flush().await?
            }
            Sync::Every(_) => {}
        }
        Ok(Stepped::Done { committed })
    }

    /// Makes committed epochs durable and publishes them.
    async fn flush(&mut self) -> Result<(), Error> {
        if self.settings.sync != Sync::EveryEpoch && !self.unpublished.is_empty() {
            let core = self.core.take().ok_or(state::Error::Closed)?;
            let sync = self
                .tasks
                .blocking("sync", move || core.state.sync().map(|()| core));
            self.core = Some(sync.await??);
        }
        self.synced = self.clock.now();
        self.publish().await
    }

    /// Publishes what is committed, trying again as long as it makes sense and nobody wants the
    /// job to stop.
    async fn publish(&mut self) -> Result<(), Error> {
        while let Some(outbox) = self.unpublished.front() {
            let epoch = outbox.epoch;
            match self.publisher.publish(outbox).await {
                Ok(()) => {
                    let core = self.core.as_mut().ok_or(state::Error::Closed)?;
                    core.state.acknowledge(epoch);
                    self.unpublished.pop_front();
                }
                Err(PublishError::Retry(source)) => {
                    tracing::warn!(epoch = epoch.0, %source, "an epoch is published again later");
                    if self.stopped_within(self.settings.publish_retry).await {
                        return Ok(());
                    }
                }
                Err(PublishError::Fenced) => return Err(Error::Fenced),
                Err(PublishError::Refused(source)) => {
                    return Err(Error::Publish {
                        epoch: epoch.0,
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    /// Waits so long, or until the job is to stop now.
    async fn stopped_within(&mut self, wait: Duration) -> bool {
        let passed = self.clock.sleep(wait);
        let Some(stop) = &mut self.stop else {
            passed.await;
            return false;
        };
        tokio::select! {
            () = passed => false,
            _ = stop.wait_for(|asked| *asked == Stop::Now) => true,
        }
    }

    fn report(&self, last_epoch: Duration) {
        let Some(core) = &self.core else { return };
        let declaring = core
            .dataflow
            .nodes
            .iter()
            .filter(|node| matches!(node.kind, NodeKind::Watermark(_)));
        let watermarks = declaring.map(|node| {
            core.progress
                .watermarks
                .get(node.operator.as_str())
                .copied()
        });
        self.status.send_replace(Status {
            epoch: core.progress.epoch.0,
            counters: core.progress.counters.clone(),
            watermark: watermarks.min().flatten(),
            last_epoch,
            committed: Some(self.clock.now()),
            state: core.state.stats(),
        });
    }
}

/// Whether all time has passed for a job.
pub(crate) fn is_drained(progress: &Progress) -> bool {
    let end = operators::Watermark::END.at;
    progress.watermarks.values().any(|at| Some(*at) == end)
}

/// Pulls from every source. Waits at the first ones only as long as nothing has come.
async fn pull(
    readers: &mut BTreeMap<NodeId, (String, Box<dyn SourceReader>)>,
    settings: &Settings,
    rows: usize,
) -> Result<BTreeMap<NodeId, Polled>, Error> {
    let share = readers.len().max(1);
    let mut limits = PollLimits {
        rows: (rows / share).max(1),
        bytes: (settings.epoch_bytes / share).max(1),
        linger: settings.linger / share as u32,
    };
    let mut polled = BTreeMap::new();
    for (source, (table, reader)) in readers {
        let rows = reader.poll(limits).await.map_err(|source| Error::Source {
            table: table.clone(),
            source,
        })?;
        if rows.rows.num_rows() > 0 || !rows.undecodable.is_empty() {
            limits.linger = Duration::ZERO;
        }
        polled.insert(*source, rows);
    }
    Ok(polled)
}
