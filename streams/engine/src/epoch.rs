//! One epoch, from decoded rows to a commit. Nothing here waits or touches the outside world,
//! except for lookups and the state's own disk.

use crate::{
    BoxError, Error, Outbox, OutputRecord, Polled, SinkEncoder,
    event_time::JobTimes,
    letters::{self, Story},
};
use dataflow::{Dataflow, Delta, NodeId, NodeKind, RowPolicy};
use operators::{Graph, Late, RowError, Stepped};
use runtime::Moment;
use state::{Commit, Durability, Progress, State};
use std::{collections::BTreeMap, mem::take, sync::Arc};

/// A job's operators, state and standing: everything that an epoch changes.
pub(crate) struct Core {
    pub(crate) dataflow: Arc<Dataflow>,
    pub(crate) graph: Graph,
    pub(crate) state: State,
    pub(crate) progress: Progress,
    pub(crate) times: JobTimes,
    pub(crate) sinks: BTreeMap<NodeId, Box<dyn SinkEncoder>>,
}

/// What is done with an epoch's rows.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) now: Moment,
    pub(crate) durability: Durability,
    /// No row comes after these: whatever waits for one leaves.
    pub(crate) last: bool,
}

impl Core {
    /// Steps an epoch and commits it. `None` if there was nothing to commit.
    ///
    /// After an error the core must not be used again: the job starts anew from what is committed.
    pub(crate) fn epoch(
        &mut self,
        mut polled: BTreeMap<NodeId, Polled>,
        pace: Pace,
    ) -> Result<Option<Outbox>, Error> {
        let mut progress = self.progress.clone();
        progress.epoch.0 += 1;
        let mut outbox = Outbox {
            epoch: progress.epoch,
            ..Outbox::default()
        };
        let rows_in: usize = polled.values().map(|polled| polled.rows.num_rows()).sum();
        self.undecodable(&mut polled, &mut outbox, &mut progress)?;
        let stepped = self.step(&mut polled, pace, &mut outbox, &mut progress)?;
        self.late(&stepped.late, &mut outbox, &mut progress)?;
        let letters = outbox.records.len();
        for (sink, delta) in &stepped.sinks {
            outbox.records.extend(self.encode(*sink, delta)?);
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
        if unchanged == self.progress && outbox.records.is_empty() {
            self.state.roll_back()?;
            return Ok(None);
        }
        outbox.positions = progress.positions.clone();
        let commit = Commit {
            progress: progress.clone(),
            outbox: outbox.encode(),
        };
        self.state.commit(commit, pace.durability)?;
        self.progress = progress;
        Ok(Some(outbox))
    }

    fn undecodable(
        &self,
        polled: &mut BTreeMap<NodeId, Polled>,
        outbox: &mut Outbox,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        for (source, polled) in polled {
            let table = self.table(*source);
            for bad in take(&mut polled.undecodable) {
                let queue = polled.queues.get(bad.queue).map_or("", |queue| &queue.name);
                count(progress, "undecodable", 1);
                match &self.dataflow.policies.undecodable {
                    RowPolicy::Skip => {}
                    RowPolicy::Fail => {
                        let (table, queue) = (table.to_owned(), queue.to_owned());
                        return Err(Error::Undecodable {
                            table,
                            queue,
                            offset: bad.offset,
                            why: bad.why,
                        });
                    }
                    RowPolicy::DeadLetter(topic) => {
                        let origin = Some((queue, bad.offset));
                        let story = Story {
                            kind: "undecodable",
                            at: table,
                            why: &bad.why,
                            origin,
                            ..self.story()
                        };
                        outbox
                            .records
                            .push(letters::record(topic, &bad.bytes, &story));
                    }
                }
            }
        }
        Ok(())
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
        loop {
            self.times.begin(polled, pace.now, pace.last);
            let inputs = polled
                .iter()
                .map(|(source, polled)| (*source, Delta::inserts(polled.rows.clone())));
            let error = match self
                .graph
                .step(&inputs.collect(), &mut self.state, &mut self.times)
            {
                Ok(stepped) => return Ok(stepped),
                Err(error) => error,
            };
            let operators::Error::Rows { sources, .. } = &error else {
                return Err(error.into());
            };
            if sources.values().all(Vec::is_empty) {
                return Err(error.into());
            }
            for (source, rows) in sources {
                let polled = polled
                    .get_mut(source)
                    .expect("rows come from sources that were polled");
                self.leave_out(*source, polled, rows, outbox, progress)?;
            }
            self.state.roll_back()?;
            self.times = before.clone();
        }
    }

    fn leave_out(
        &self,
        source: NodeId,
        polled: &mut Polled,
        rows: &[RowError],
        outbox: &mut Outbox,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        // A row of the source may have become several rows that all fail.
        let mut by_row: BTreeMap<u32, &str> = BTreeMap::new();
        for error in rows {
            by_row.entry(error.row).or_insert(&error.why);
        }
        let table = self.table(source);
        count(progress, "failed", by_row.len());
        let rows = by_row.len();
        for (row, why) in &by_row {
            let (queue, offset) = (
                polled.queue_of(*row as usize),
                polled.offsets[*row as usize],
            );
            match &self.dataflow.policies.function {
                RowPolicy::Skip => {}
                RowPolicy::Fail => {
                    let (table, queue, why) =
                        (table.to_owned(), queue.to_string(), (*why).to_owned());
                    return Err(Error::Function {
                        table,
                        queue,
                        offset,
                        rows,
                        why,
                    });
                }
                RowPolicy::DeadLetter(topic) => {
                    let story = Story {
                        kind: "function",
                        at: table,
                        why,
                        origin: Some((queue, offset)),
                        ..self.story()
                    };
                    outbox.records.push(letters::record(
                        topic,
                        &polled.originals[*row as usize],
                        &story,
                    ));
                }
            }
        }
        let rows: Vec<u32> = by_row.into_keys().collect();
        polled
            .without(&rows)
            .map_err(|error| Error::Operators(error.into()))
    }

    fn late(
        &self,
        late: &[Late],
        outbox: &mut Outbox,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        for Late { node, rows } in late {
            let operator = self.dataflow.node(*node).kind.name();
            count(progress, "late", rows.num_rows());
            match &self.dataflow.policies.late {
                RowPolicy::Skip => {}
                RowPolicy::Fail => {
                    return Err(Error::Late {
                        operator: operator.to_owned(),
                        rows: rows.num_rows(),
                    });
                }
                RowPolicy::DeadLetter(topic) => {
                    let why = "its window is complete already, or it has no event time";
                    let story = Story {
                        kind: "late",
                        at: operator,
                        why,
                        origin: None,
                        ..self.story()
                    };
                    outbox.records.extend(letters::rows(topic, rows, &story)?);
                }
            }
        }
        Ok(())
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

    fn table(&self, node: NodeId) -> &str {
        table_of(&self.dataflow.node(node).kind)
    }

    fn story(&self) -> Story<'_> {
        Story {
            job: &self.dataflow.name,
            kind: "",
            at: "",
            why: "",
            origin: None,
        }
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
