//! One epoch, from decoded rows to a commit. Nothing here waits or touches the outside world,
//! except for lookups and the state's own disk.

mod late;
mod unusable;

use crate::{
    BoxError, Error, Outbox, OutputRecord, Polled, PublishLimits, SinkEncoder,
    event_time::JobTimes, outbox::Yield,
};
use dataflow::{Dataflow, Delta, NodeId, NodeKind};
use operators::{Graph, Stepped};
use planner::EpochTime;
use runtime::Moment;
use state::{Commit, Durability, Progress, State};
use std::{collections::BTreeMap, sync::Arc};

use unusable::Omissions;

/// A job's operators, state and standing: everything that an epoch changes.
pub(crate) struct Core {
    pub(crate) dataflow: Arc<Dataflow>,
    pub(crate) graph: Graph,
    pub(crate) state: State,
    pub(crate) progress: Progress,
    pub(crate) times: JobTimes,
    pub(crate) sinks: BTreeMap<NodeId, Box<dyn SinkEncoder>>,
    /// What clock functions read.
    pub(crate) time: EpochTime,
}

/// What is done with an epoch's rows.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) now: Moment,
    /// The same moment as ms since 1970.
    pub(crate) wall: i64,
    pub(crate) durability: Durability,
    /// No row comes after these: whatever waits for one leaves.
    pub(crate) last: bool,
    /// What a single record may have at most, and the whole epoch if it can be made smaller.
    pub(crate) limits: PublishLimits,
    /// Whether there is less input to step the epoch with.
    pub(crate) divisible: bool,
    /// The last epoch that would have published too much.
    pub(crate) too_large: Option<Yield>,
}

/// What became of an epoch.
pub(crate) enum Outcome {
    /// There was nothing to commit.
    Unchanged,
    Committed(Outbox),
    /// It would publish too much at once, and never happened.
    TooLarge(Yield),
}

impl Core {
    /// Steps an epoch and commits it.
    ///
    /// After an error the core must not be used again: the job starts anew from what is committed.
    pub(crate) fn epoch(
        &mut self,
        mut polled: BTreeMap<NodeId, Polled>,
        pace: Pace,
    ) -> Result<Outcome, Error> {
        let mut progress = self.progress.clone();
        progress.epoch.0 += 1;
        // One moment for all rows of the epoch, however often it is stepped, and none that an
        // earlier epoch has seen pass: a clock that was set back must not show in results.
        progress.time = progress.time.max(pace.wall);
        self.time.set(progress.time);
        let mut outbox = Outbox {
            epoch: progress.epoch,
            ..Outbox::default()
        };
        let times = self.times.clone();
        let read = polled.values().map(Polled::records).sum();
        let rows_in: usize = polled.values().map(|polled| polled.rows.num_rows()).sum();
        self.undecodable(&mut polled, &mut outbox, &mut progress)?;
        let stepped = self.step(&mut polled, pace, &mut outbox, &mut progress)?;
        self.late(&stepped.late, &polled, &mut outbox, &mut progress)?;
        let letters = outbox.records.len();
        for (sink, delta) in &stepped.sinks {
            outbox.records.extend(self.encode(*sink, delta)?);
        }
        let size = outbox.size();
        if size.largest > pace.limits.bytes {
            let (bytes, limit) = (size.largest, pace.limits.bytes);
            return Err(Error::RecordTooLarge { bytes, limit });
        }
        let bytes = size.bytes;
        let made = Yield { read, bytes };
        let helps = pace.too_large.is_none_or(|earlier| made.is_like(earlier));
        if pace.divisible && helps && size.exceeds(pace.limits) {
            self.state.roll_back()?;
            self.graph.undo();
            self.times = times;
            return Ok(Outcome::TooLarge(made));
        }
        for (source, polled) in &polled {
            let source = self.dataflow.node(*source).operator.to_string();
            for queue in &polled.queues {
                let name = state::QueueName {
                    source: source.clone(),
                    queue: queue.name.to_string(),
                };
                progress.positions.insert(name, queue.position.clone());
            }
        }
        progress.watermarks = self.graph.watermarks();
        progress.queue_watermarks = self.times.queue_watermarks();
        count(&mut progress, "rows in", rows_in);
        count(&mut progress, "rows out", outbox.records.len() - letters);
        count(&mut progress, "dead letters", letters);
        let mut unchanged = progress.clone();
        unchanged.epoch = self.progress.epoch;
        unchanged.time = self.progress.time;
        if unchanged == self.progress && outbox.records.is_empty() {
            self.state.roll_back()?;
            return Ok(Outcome::Unchanged);
        }
        outbox.positions = progress.positions.clone();
        let commit = Commit {
            progress: progress.clone(),
            outbox: outbox.encode(),
        };
        self.state.commit(commit, pace.durability)?;
        self.progress = progress;
        Ok(Outcome::Committed(outbox))
    }

    /// Steps the operators, leaving out rows that have no result, if the job's policy is to.
    fn step(
        &mut self,
        polled: &mut BTreeMap<NodeId, Polled>,
        pace: Pace,
        outbox: &mut Outbox,
        progress: &mut Progress,
    ) -> Result<Stepped, Error> {
        let before = self.times.clone();
        let mut omissions = Omissions::default();
        loop {
            self.times.begin(polled, pace.now, pace.last);
            let inputs = polled
                .iter()
                .map(|(source, polled)| (*source, Delta::inserts(polled.rows.clone())));
            let stepped = self.graph.step(
                &inputs.collect(),
                &omissions.omitted,
                &mut self.state,
                &mut self.times,
            );
            let error = match stepped {
                Ok(stepped) => {
                    self.omitted(omissions, outbox, progress)?;
                    return Ok(stepped);
                }
                Err(error) => error,
            };
            let operators::Error::Rows {
                sources,
                rows,
                input: Some((node, input)),
                ..
            } = &error
            else {
                return Err(error.into());
            };
            if sources.values().all(Vec::is_empty) {
                if !self.may_leave_out() {
                    return Err(error.into());
                }
                omissions.add(*node, input, rows);
            } else {
                // With fewer rows of a source the operators' inputs are others.
                omissions = Omissions::default();
                for (source, rows) in sources {
                    let polled = polled
                        .get_mut(source)
                        .expect("rows come from sources that were polled");
                    self.leave_out(*source, polled, rows, outbox, progress)?;
                }
            }
            self.state.roll_back()?;
            self.times = before.clone();
        }
    }

    fn encode(&mut self, sink: NodeId, delta: &Delta) -> Result<Vec<OutputRecord>, Error> {
        let encoder = self.sinks.get_mut(&sink).expect("every sink was opened");
        let table = self.dataflow.node(sink);
        encoder
            .encode(delta)
            .map_err(|source: BoxError| Error::Sink {
                table: table_of(&table.kind).to_owned(),
                source,
            })
    }
}

/// Name of the table that a source reads or a sink writes.
pub(crate) fn table_of(kind: &NodeKind) -> &str {
    match kind {
        NodeKind::Source(source) => &source.table.name,
        NodeKind::Sink(sink) => &sink.table.name,
        other => other.name(),
    }
}

fn count(progress: &mut Progress, what: &str, more: usize) {
    if more > 0 {
        *progress.counters.entry(what.to_owned()).or_default() += more as u64;
    }
}
