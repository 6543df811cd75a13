//! Rows and records that a job cannot use: counted, and then as its policies say.

use super::{Core, count, table_of};
use crate::{
    Error, Outbox, Polled,
    letters::{self, Story},
};
use arrow::array::RecordBatch;
use dataflow::{NodeId, RowPolicy};
use operators::{Omitted, RowError};
use state::Progress;
use std::{collections::BTreeMap, mem::take};

/// Rows that operators had no result for and that no single record of a source became. They
/// were made of many rows, so that only they themselves can be left out.
#[derive(Default)]
pub(super) struct Omissions {
    pub(super) omitted: Omitted,
    rows: Vec<(NodeId, RecordBatch, String)>,
}

impl Omissions {
    /// Leaves these rows of an operator's input out from now on.
    pub(super) fn add(&mut self, node: NodeId, input: &RecordBatch, rows: &[RowError]) {
        self.omitted.add(node, rows.iter().map(|error| error.row));
        for error in rows {
            let row = input.slice(error.row as usize, 1);
            self.rows.push((node, row, error.why.clone()));
        }
    }
}

impl Core {
    pub(super) fn undecodable(
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

    pub(super) fn leave_out(
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
            let (queue, offset) = polled.origin_of(*row as usize);
            match &self.dataflow.policies.function {
                RowPolicy::Skip => {}
                RowPolicy::Fail => {
                    let (table, queue, why) =
                        (table.to_owned(), queue.to_owned(), (*why).to_owned());
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

    /// Whether rows without a result may be left out at all.
    pub(super) fn may_leave_out(&self) -> bool {
        self.dataflow.policies.function != RowPolicy::Fail
    }

    /// Counts the rows that were left out in the middle of the job.
    pub(super) fn omitted(
        &self,
        omissions: Omissions,
        outbox: &mut Outbox,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        count(progress, "failed", omissions.rows.len());
        let RowPolicy::DeadLetter(topic) = &self.dataflow.policies.function else {
            return Ok(());
        };
        for (node, row, why) in &omissions.rows {
            let story = Story {
                kind: "function",
                at: self.dataflow.node(*node).kind.name(),
                why,
                origin: None,
                ..self.story()
            };
            outbox.records.extend(letters::rows(topic, row, &story)?);
        }
        Ok(())
    }

    pub(super) fn table(&self, node: NodeId) -> &str {
        table_of(&self.dataflow.node(node).kind)
    }

    pub(super) fn story(&self) -> Story<'_> {
        Story {
            job: &self.dataflow.name,
            kind: "",
            at: "",
            why: "",
            origin: None,
        }
    }
}
