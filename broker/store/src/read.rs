//! What a consumer gets: the next records of a queue, or why there are none.

use std::ops::ControlFlow;

use bytes::Bytes;
use model::record::RecordView;
use model::{QueueId, QueueOffset};

use crate::Error;
use crate::log_reader::Stored;
use crate::queue_index::{Head, IndexEntry, Limit};
use crate::store::Shared;

/// Work of one read that finds nothing that matches: what others wait for at the most.
const WORK: usize = 8_000;
/// Work of an entry of the index.
const ENTRY: usize = 1;
/// Work of a record that is looked into, beside its entry's.
const RECORD: usize = 9;
/// Entries fetched from the index at a time.
const ENTRIES: usize = 128;

/// When a read has enough. The first record comes however large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    pub messages: usize,
    pub bytes: usize,
}

/// How a read went, in RocketMQ's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadStatus {
    Found,
    /// Nothing in the stretch that was looked at matches; go on at `next`.
    NoMatchedMessage,
    /// What lay there has just been deleted; go on at `next`.
    MessageWasRemoving,
    /// The index has no entry there.
    OffsetFoundNull,
    /// The offset lies beyond the end of the queue.
    OffsetOverflowBadly,
    /// The offset is the end of the queue: nothing is there yet.
    OffsetOverflowOne,
    /// The offset lies before the beginning of the queue.
    OffsetTooSmall,
    /// There is no such queue.
    NoMatchedLogicQueue,
    /// The queue has never held a message.
    NoMessageInQueue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub status: ReadStatus,
    /// Whole records as they lie in the log.
    pub records: Vec<Bytes>,
    /// The entries of these records.
    pub entries: Vec<IndexEntry>,
    /// Records that are not what was stored, and so are left out: the next read goes on behind
    /// them.
    pub damaged: Vec<IndexEntry>,
    /// Where the next read goes on.
    pub next: QueueOffset,
    /// First and one past the last offset of the queue.
    pub min: QueueOffset,
    pub max: QueueOffset,
}

/// First and one past the last offset of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub min: QueueOffset,
    pub max: QueueOffset,
}

/// Which records a reader wants.
pub trait Wanted: Sync {
    /// Decides by the index alone, before anything is fetched.
    fn entry(&self, entry: &IndexEntry) -> bool;

    /// Whether [`record`](Self::record) has anything to say.
    fn looks_inside(&self) -> bool;

    /// Decides by the record itself.
    fn record(&self, record: &RecordView<'_>) -> bool;
}

/// A reader that wants them all.
#[derive(Clone, Copy, Debug)]
pub struct Everything;

impl Wanted for Everything {
    fn entry(&self, _: &IndexEntry) -> bool {
        true
    }

    fn looks_inside(&self) -> bool {
        false
    }

    fn record(&self, _: &RecordView<'_>) -> bool {
        true
    }
}

impl Shared {
    pub(crate) async fn read(
        &self,
        queue: &QueueId,
        from: QueueOffset,
        limit: ReadLimit,
        wanted: &impl Wanted,
    ) -> Result<Read, Error> {
        let visible = self.publisher.mark.visible();
        let Some(head) = self.index.get(queue) else {
            return Ok(nothing(
                ReadStatus::NoMatchedLogicQueue,
                QueueOffset(0),
                Bounds::default(),
            ));
        };
        let bounds = self.bounds_of(&head, visible)?;
        if let Some(nothing) = out_of_bounds(from, bounds) {
            return Ok(nothing);
        }
        let mut read = nothing(ReadStatus::NoMatchedMessage, from, bounds);
        let mut taken = Taken::default();
        let mut work = 0;
        // Enough for a reader that wants all there is.
        let mut at_a_time = Limit::All(limit.messages.clamp(1, ENTRIES));
        while work < WORK {
            let mut entries = self
                .index
                .entries(&self.tasks, &head, read.next.0, at_a_time)
                .await?;
            at_a_time = Limit::Together(ENTRIES);
            if let Some(hidden) = entries.iter().position(|entry| entry.log_end().0 > visible) {
                entries.truncate(hidden);
            }
            if entries.is_empty() {
                break;
            }
            // Who looks inside knows only then what is taken.
            let mut expected = (!wanted.looks_inside()).then_some(taken);
            let mut chosen = Vec::with_capacity(entries.len().min(limit.messages));
            let mut full = false;
            for entry in entries {
                full = expected.is_some_and(|expected| expected.is_full_for(&entry, limit));
                if full {
                    break;
                }
                work += ENTRY;
                read.next = entry.next();
                if !entry.is_hole() && wanted.entry(&entry) {
                    match &mut expected {
                        Some(expected) => expected.add(&entry),
                        None => work += RECORD,
                    }
                    chosen.push(entry);
                }
            }
            match self
                .take(&chosen, limit, wanted, &mut taken, &mut read)
                .await
            {
                None => {}
                Some(Stop::Full(next)) => {
                    read.next = next;
                    break;
                }
                Some(Stop::Removed(next)) => {
                    read.status = ReadStatus::MessageWasRemoving;
                    read.next = next;
                    break;
                }
                Some(Stop::Failed(next, error)) => {
                    if read.records.is_empty() && read.damaged.is_empty() {
                        return Err(error);
                    }
                    read.next = next;
                    break;
                }
            }
            // What was damaged has left room that the entries did not.
            let as_expected = expected.is_some_and(|expected| expected == taken);
            if full && as_expected || taken.messages >= limit.messages {
                break;
            }
        }
        if !read.records.is_empty() {
            read.status = ReadStatus::Found;
        } else if work == 0 {
            read.status = ReadStatus::OffsetFoundNull;
        }
        Ok(read)
    }

    /// Takes the records of these entries that are wanted, until there are enough. One that is
    /// damaged is left out, and told about: it will never be better. One that cannot be read ends
    /// them: it may be readable the next time, unless it has been tried for long.
    async fn take(
        &self,
        chosen: &[IndexEntry],
        limit: ReadLimit,
        wanted: &impl Wanted,
        taken: &mut Taken,
        read: &mut Read,
    ) -> Option<Stop> {
        let mut stop = None;
        let each = |entry: &IndexEntry, record: Result<Stored<'_>, Error>| {
            if taken.is_full_for(entry, limit) {
                stop = Some(Stop::Full(entry.queue_offset));
                return ControlFlow::Break(());
            }
            match record {
                Ok(record) => {
                    if !wanted.looks_inside() || record.view().is_some_and(|r| wanted.record(&r)) {
                        taken.add(entry);
                        read.records.push(record.to_bytes());
                        read.entries.push(*entry);
                    }
                    return ControlFlow::Continue(());
                }
                Err(Error::Corrupt { .. }) => {
                    read.damaged.push(*entry);
                    return ControlFlow::Continue(());
                }
                // Its segment went meanwhile.
                Err(Error::NoSuchRecord { at, min, .. }) if at < min => {
                    stop = Some(Stop::Removed(entry.next()));
                }
                Err(error) => stop = Some(Stop::Failed(entry.queue_offset, error)),
            }
            ControlFlow::Break(())
        };
        self.reader.several(chosen, &self.clock, each).await;
        stop
    }

    /// What of the queue may be seen.
    pub(crate) fn bounds_of(&self, head: &Head, visible: u64) -> Result<Bounds, Error> {
        let (min, end, hidden) = head.with(|state| {
            let hidden = state.tail.units.last().is_some_and(|unit| {
                !unit.at(0).is_hole() && unit.log_offset + u64::from(unit.size) > visible
            });
            (
                state.min,
                state.end,
                hidden || state.tail.units.is_empty() && state.after > visible,
            )
        });
        let max = if hidden {
            let first = self.index.first_at_or_behind(head, visible)?;
            first.map_or(end, |entry| entry.queue_offset.0)
        } else {
            end
        };
        Ok(Bounds {
            min: QueueOffset(min),
            max: QueueOffset(max.max(min)),
        })
    }
}

/// Why a read ends, and where the next one goes on.
enum Stop {
    Full(QueueOffset),
    Removed(QueueOffset),
    Failed(QueueOffset, Error),
}

/// What a read has so far. Messages, not records: an inner batch counts as many as it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Taken {
    messages: usize,
    bytes: usize,
}

impl Taken {
    /// Asked of every entry, wanted or not: the next read begins where RocketMQ's does.
    fn is_full_for(&self, entry: &IndexEntry, limit: ReadLimit) -> bool {
        !entry.is_hole()
            && self.messages > 0
            && (self.messages + entry.count as usize > limit.messages
                || self.bytes + entry.size as usize > limit.bytes)
    }

    fn add(&mut self, entry: &IndexEntry) {
        self.messages += entry.count as usize;
        self.bytes += entry.size as usize;
    }
}

fn out_of_bounds(from: QueueOffset, bounds: Bounds) -> Option<Read> {
    let Bounds { min, max } = bounds;
    let (status, next) = if max.0 == 0 {
        (ReadStatus::NoMessageInQueue, QueueOffset(0))
    } else if from < min {
        (ReadStatus::OffsetTooSmall, min)
    } else if from == max {
        (ReadStatus::OffsetOverflowOne, from)
    } else if from > max {
        (ReadStatus::OffsetOverflowBadly, max)
    } else {
        return None;
    };
    Some(nothing(status, next, bounds))
}

fn nothing(status: ReadStatus, next: QueueOffset, bounds: Bounds) -> Read {
    Read {
        status,
        records: Vec::new(),
        entries: Vec::new(),
        damaged: Vec::new(),
        next,
        min: bounds.min,
        max: bounds.max,
    }
}
