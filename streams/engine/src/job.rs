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
    epoch::{Core, Pace, table_of},
    event_time::JobTimes,
};
use dataflow::{Dataflow, NodeId, NodeKind};
use operators::{Environment, Functions, Graph, Lookups};
use runtime::{Clock, Moment, Tasks};
use state::{Durability, State, Store};
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
    /// Read no more, say all that open windows hold, end. Started again, the job finds all
    /// time passed.
    Drain,
}

/// A job that is open. Dropping it loses nothing that is committed.
pub struct Job {
    /// Absent only while an epoch runs, and for good after one failed.
    core: Option<Box<Core>>,
    readers: BTreeMap<NodeId, (String, Box<dyn SourceReader>)>,
    publisher: Box<dyn Publisher>,
    /// Committed and not yet confirmed, oldest first.
    unpublished: VecDeque<Outbox>,
    synced: Moment,
    status: watch::Sender<Status>,
    tasks: Tasks,
    clock: Clock,
    settings: Settings,
}

impl Job {
    /// Opens a job behind its last committed epoch, and publishes what it may not have published.
    pub async fn open(parts: Parts<'_>) -> Result<Self, Error> {
        let Parts {
            dataflow,
            functions,
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
        };
        let mut job = Self {
            core: Some(Box::new(core)),
            readers,
            publisher,
            unpublished: unpublished.collect::<Result<_, _>>()?,
            synced: clock.now(),
            status: watch::Sender::new(Status::default()),
            tasks,
            clock,
            settings,
        };
        job.report(Duration::ZERO);
        job.publish().await?;
        Ok(job)
    }

    /// How the job is doing, now and after every later epoch.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Runs epochs until asked to stop, or until one fails.
    pub async fn run(mut self, mut stop: watch::Receiver<Stop>) -> Result<(), Error> {
        loop {
            let asked = *stop.borrow_and_update();
            match asked {
                Stop::No => {}
                Stop::Now => return self.close().await,
                Stop::Drain => {
                    self.step(BTreeMap::new(), true).await?;
                    return self.close().await;
                }
            }
            self.epoch().await?;
            // Nobody is left who could ask: as good as being asked to stop.
            if stop.has_changed().is_err() {
                return self.close().await;
            }
        }
    }

    /// Pulls once, and does one epoch of what came. Returns whether one was committed.
    pub async fn epoch(&mut self) -> Result<bool, Error> {
        let polled = pull(&mut self.readers, &self.settings).await?;
        self.step(polled, false).await
    }

    /// Lets everything leave that waits for time to pass.
    pub async fn drain(&mut self) -> Result<(), Error> {
        self.step(BTreeMap::new(), true).await?;
        self.flush().await
    }

    async fn step(&mut self, polled: BTreeMap<NodeId, Polled>, last: bool) -> Result<bool, Error> {
        let began = self.clock.now();
        let durability = match self.settings.sync {
            Sync::EveryEpoch => Durability::Synced,
            Sync::Every(_) => Durability::Buffered,
        };
        let pace = Pace {
            now: began,
            durability,
            last,
        };
        let mut core = self.core.take().ok_or(state::Error::Closed)?;
        let epoch = self.tasks.blocking("epoch", move || {
            let outbox = core.epoch(polled, pace)?;
            Ok::<_, Error>((core, outbox))
        });
        let (core, outbox) = epoch.await??;
        self.core = Some(core);
        let committed = outbox.is_some();
        self.unpublished.extend(outbox);
        if committed {
            self.report(self.clock.now().since(began));
        }
        match self.settings.sync {
            Sync::EveryEpoch => self.publish().await?,
            Sync::Every(interval) if self.clock.now().since(self.synced) >= interval => {
                self.flush().await?
            }
            Sync::Every(_) => {}
        }
        Ok(committed)
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

    /// Publishes what is committed, trying again as long as it makes sense.
    async fn publish(&mut self) -> Result<(), Error> {
        while let Some(outbox) = self.unpublished.front() {
            match self.publisher.publish(outbox).await {
                Ok(()) => {
                    let core = self.core.as_mut().ok_or(state::Error::Closed)?;
                    core.state.acknowledge(outbox.epoch);
                    self.unpublished.pop_front();
                }
                Err(PublishError::Retry(source)) => {
                    tracing::warn!(epoch = outbox.epoch.0, %source, "an epoch is published again later");
                    self.clock.sleep(self.settings.publish_retry).await;
                }
                Err(PublishError::Fenced) => return Err(Error::Fenced),
                Err(PublishError::Refused(source)) => {
                    return Err(Error::Publish {
                        epoch: outbox.epoch.0,
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    async fn close(mut self) -> Result<(), Error> {
        self.flush().await
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

/// Pulls from every source. Waits at the first ones only as long as nothing has come.
async fn pull(
    readers: &mut BTreeMap<NodeId, (String, Box<dyn SourceReader>)>,
    settings: &Settings,
) -> Result<BTreeMap<NodeId, Polled>, Error> {
    let share = readers.len().max(1);
    let mut limits = PollLimits {
        rows: (settings.epoch_rows / share).max(1),
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
