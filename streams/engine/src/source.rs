//! What the epoch loop asks of a source.

use crate::BoxError;
use arrow::{
    array::{BooleanArray, RecordBatch},
    compute::filter_record_batch,
    error::ArrowError,
};
use async_trait::async_trait;
use bytes::Bytes;
use dataflow::Source;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How much one pull may bring.
#[derive(Clone, Copy, Debug)]
pub struct PollLimits {
    pub rows: usize,
    pub bytes: usize,
    /// How long to wait for a first row if there is none.
    pub linger: Duration,
}

/// Reads one source of a job, each queue in order.
#[async_trait]
pub trait SourceReader: Send {
    /// The next rows of any queues, none if `linger` passed without one.
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, BoxError>;

    /// Goes back to before the last poll: the next one brings the same rows, or fewer of them.
    fn unread(&mut self);
}

/// Opens the sources of a job.
#[async_trait]
pub trait Sources: Send {
    /// A reader that starts behind `positions`, by queue; queues without one start where the
    /// table's options say.
    async fn open(
        &mut self,
        source: &Source,
        positions: BTreeMap<String, Vec<u8>>,
    ) -> Result<Box<dyn SourceReader>, BoxError>;
}

/// What one pull brought.
#[derive(Clone, Debug)]
pub struct Polled {
    /// Decoded rows, queue by queue, with the columns of the source's node.
    pub rows: RecordBatch,
    /// Per row the record it was decoded from.
    pub originals: Vec<Bytes>,
    /// Per row the number of its record in its queue.
    pub offsets: Vec<i64>,
    /// Every queue that is read at present, in the order of the rows, also those without any.
    pub queues: Vec<PolledQueue>,
    pub undecodable: Vec<BadRecord>,
}

/// What one pull brought from one queue.
#[derive(Clone, Debug)]
pub struct PolledQueue {
    pub name: Arc<str>,
    /// How many of the rows are this queue's.
    pub rows: usize,
    /// Behind everything this pull brought, undecodable records included; in the source's form.
    pub position: Vec<u8>,
    /// Nothing more is there at the moment.
    pub at_end: bool,
}

/// A record that could not be decoded.
#[derive(Clone, Debug)]
pub struct BadRecord {
    /// Number of its queue in `queues`.
    pub queue: usize,
    pub offset: i64,
    pub bytes: Bytes,
    pub why: String,
}

impl Polled {
    /// How many records came, decodable or not.
    pub fn records(&self) -> usize {
        self.rows.num_rows() + self.undecodable.len()
    }

    /// Queue and record number of a row.
    pub fn origin_of(&self, row: usize) -> (&str, i64) {
        let mut end = 0;
        let of_row = |queue: &&PolledQueue| {
            end += queue.rows;
            row < end
        };
        let queue = self.queues.iter().find(of_row);
        let queue = queue.expect("the queues' rows are all rows");
        (&queue.name, self.offsets[row])
    }

    /// Leaves these rows out. `rows` is ascending, each at most once.
    pub fn without(&mut self, rows: &[u32]) -> Result<(), ArrowError> {
        let mut keep = vec![true; self.rows.num_rows()];
        for row in rows {
            keep[*row as usize] = false;
        }
        let mut from = 0;
        for queue in &mut self.queues {
            let own = &keep[from..from + queue.rows];
            from += own.len();
            queue.rows = own.iter().filter(|keep| **keep).count();
        }
        retain(&mut self.originals, &keep);
        retain(&mut self.offsets, &keep);
        self.rows = filter_record_batch(&self.rows, &BooleanArray::from(keep))?;
        Ok(())
    }
}

fn retain<T>(items: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    items.retain(|_| *keep.next().expect("one mark per row"));
}
