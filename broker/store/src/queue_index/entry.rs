//! One position of a queue: which record lies there.

use model::{LogOffset, QueueOffset};
use smallvec::SmallVec;

/// What the index knows of one record of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Offset of the record in its queue, of its first message if it holds several.
    pub queue_offset: QueueOffset,
    /// How many offsets of the queue the record takes: 1, or more for an inner batch or where
    /// several records are missing.
    pub count: u32,
    pub log_offset: LogOffset,
    /// Bytes of the record.
    pub size: u32,
    /// Hash of the tag; for the queues of the delay levels, when the message is due.
    pub tags_code: i64,
}

impl IndexEntry {
    /// Offset of the message after this record.
    pub fn next(&self) -> QueueOffset {
        self.queue_offset.plus(u64::from(self.count))
    }

    /// Where the record ends in the log. A missing one ends where the record begins that
    /// tells of it.
    pub fn log_end(&self) -> LogOffset {
        match self.is_hole() {
            true => self.log_offset,
            false => self.log_offset.plus(u64::from(self.size)),
        }
    }

    /// True for places of the queue whose records the log does not hold.
    pub fn is_hole(&self) -> bool {
        self.size == HOLE_SIZE
    }
}

/// Size of an entry that stands for a missing record; RocketMQ fills the front of a queue
/// whose beginning is lost with the same.
pub(crate) const HOLE_SIZE: u32 = 0x7FFF_FFFF;

/// An entry without its queue offset, which follows from its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub log_offset: u64,
    pub tags_code: i64,
    pub size: u32,
    pub count: u32,
}

impl Unit {
    /// Stands for `count` missing records before the one at `log_offset`, so that log offsets
    /// never fall in a queue.
    pub(crate) fn hole(log_offset: u64, count: u32) -> Self {
        Self {
            log_offset,
            tags_code: 0,
            size: HOLE_SIZE,
            count,
        }
    }

    pub(crate) fn at(&self, queue_offset: u64) -> IndexEntry {
        IndexEntry {
            queue_offset: QueueOffset(queue_offset),
            count: self.count,
            log_offset: LogOffset(self.log_offset),
            size: self.size,
            tags_code: self.tags_code,
        }
    }
}

/// Most of a million queues hold an entry or two: those need no memory of their own.
pub(crate) type Units = SmallVec<[Unit; 2]>;

/// Neighbouring entries of one queue, the first at `base`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub base: u64,
    pub units: Units,
}

impl Run {
    /// Offset after the last message of the run.
    pub(crate) fn end(&self) -> u64 {
        self.base
            + self
                .units
                .iter()
                .map(|unit| u64::from(unit.count))
                .sum::<u64>()
    }

    /// The entry that holds `queue_offset` and all that follow it in the run.
    pub(crate) fn from(&self, queue_offset: u64) -> impl ExactSizeIterator<Item = IndexEntry> + '_ {
        let (mut skipped, mut at) = (0, self.base);
        for unit in &self.units {
            let next = at + u64::from(unit.count);
            if next > queue_offset {
                break;
            }
            (skipped, at) = (skipped + 1, next);
        }
        numbered(&self.units[skipped..], at)
    }

    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = IndexEntry> + '_ {
        numbered(&self.units, self.base)
    }
}

/// Units as entries, the first at `at`.
fn numbered(units: &[Unit], mut at: u64) -> impl ExactSizeIterator<Item = IndexEntry> + '_ {
    units.iter().map(move |unit| {
        let entry = unit.at(at);
        at += u64::from(unit.count);
        entry
    })
}
