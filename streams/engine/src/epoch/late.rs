//! Rows that came too late for their window: counted, and then as the job's policy says.

use super::{Core, count};
use crate::{
    Error, Outbox, Polled,
    letters::{self, Story},
};
use arrow::{array::TimestampMillisecondArray, util::display::array_value_to_string};
use dataflow::{NodeId, RowPolicy};
use operators::Late;
use state::Progress;
use std::collections::BTreeMap;

impl Core {
    pub(super) fn late(
        &self,
        late: &[Late],
        polled: &BTreeMap<NodeId, Polled>,
        outbox: &mut Outbox,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        for late in late {
            count(progress, "late", late.rows.num_rows());
            match &self.dataflow.policies.late {
                RowPolicy::Skip => {}
                RowPolicy::Fail => return Err(self.too_late(late, polled)?),
                RowPolicy::DeadLetter(topic) => self.bury(late, polled, topic, outbox)?,
            }
        }
        Ok(())
    }

    /// Names the first of some late rows: the record it was, or the row itself if many made it.
    fn too_late(&self, late: &Late, polled: &BTreeMap<NodeId, Polled>) -> Result<Error, Error> {
        let row = match late.sources.as_ref().and_then(|sources| sources.first()) {
            Some((source, row)) => {
                let (queue, offset) = polled[source].origin_of(*row as usize);
                format!(
                    "record {offset} of {queue}, read by {}",
                    self.table(*source)
                )
            }
            None => letters::text(&late.rows.slice(0, 1))?,
        };
        Ok(Error::Late {
            operator: self.dataflow.node(late.node).kind.name().to_owned(),
            rows: late.rows.num_rows(),
            row,
            why: reason(late, 0),
        })
    }

    /// Adds a dead letter for each of some late rows.
    fn bury(
        &self,
        late: &Late,
        polled: &BTreeMap<NodeId, Polled>,
        topic: &str,
        outbox: &mut Outbox,
    ) -> Result<(), Error> {
        for row in 0..late.rows.num_rows() {
            let why = reason(late, row);
            let story = Story {
                kind: "late",
                at: self.dataflow.node(late.node).kind.name(),
                why: &why,
                ..self.story()
            };
            let Some(sources) = &late.sources else {
                let row = late.rows.slice(row, 1);
                outbox.records.extend(letters::rows(topic, &row, &story)?);
                continue;
            };
            let (source, row) = sources[row];
            let (polled, row) = (&polled[&source], row as usize);
            let story = Story {
                origin: Some(polled.origin_of(row)),
                ..story
            };
            let original = &polled.originals[row];
            outbox
                .records
                .push(letters::record(topic, original, &story));
        }
        Ok(())
    }
}

/// Why one of some late rows is late.
fn reason(late: &Late, row: usize) -> String {
    let event = late.times.as_ref().map(|times| times[row]);
    match (event, late.watermark) {
        (Some(None), _) => "it has no event time".to_owned(),
        (Some(Some(event)), Some(watermark)) => format!(
            "the watermark {} has closed the window of its event time {}",
            moment(watermark),
            moment(event)
        ),
        (None, Some(watermark)) => {
            format!("the watermark {} has closed its window", moment(watermark))
        }
        (_, None) => "its window is complete".to_owned(),
    }
}

/// A time as people read it; one beyond the calendar as a number.
fn moment(milliseconds: i64) -> String {
    let time = TimestampMillisecondArray::from(vec![milliseconds]);
    array_value_to_string(&time, 0).unwrap_or_else(|_| milliseconds.to_string())
}
