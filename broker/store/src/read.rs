//! What a consumer gets: the next records of a queue, or why there are none.

use bytes::Bytes;
use model::{QueueId, QueueOffset};

use crate::Error;
use crate::queue_index::{Head, IndexEntry};
use crate::store::Shared;

/// Entries looked at in one read that finds nothing that matches.
const SCANNED_ENTRIES: usize = 800;
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

impl Shared {
    pub(crate) async fn read(
        &self,
        queue: &QueueId,
        from: QueueOffset,
        limit: ReadLimit,
        wanted_entry: impl Fn(&IndexEntry) -> bool + Send + Sync,
        wanted_record: impl Fn(&[u8]) -> bool + Send + Sync,
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
        // Messages, not records: an inner batch counts as many as it holds.
        let (mut taken, mut taken_bytes) = (0, 0);
        let mut scanned = 0;
        while scanned < SCANNED_ENTRIES {
            let mut entries = self
                .index
                .entries(&self.tasks, &head, read.next.0, ENTRIES)
                .await?;
            if let Some(hidden) = entries.iter().position(|entry| entry.log_end().0 > visible) {
                entries.truncate(hidden);
            }
            if entries.is_empty() {
                break;
            }
            let mut chosen = Vec::with_capacity(entries.len());
            let (mut messages, mut bytes) = (taken, taken_bytes);
            let mut full = false;
            for entry in entries {
                if !entry.is_hole() {
                    // Asked of every entry, wanted or not: the next read begins where RocketMQ's does.
                    full = messages > 0
                        && (messages + entry.count as usize > limit.messages
                            || bytes + entry.size as usize > limit.bytes);
                    if full {
                        break;
                    }
                    if wanted_entry(&entry) {
                        messages += entry.count as usize;
                        bytes += entry.size as usize;
                        chosen.push(entry);
                    }
                }
                scanned += 1;
                read.next = entry.next();
            }
            let found = match self.fetch(&chosen, &mut read.damaged).await {
                Err(Error::NoSuchRecord { at, min, .. }) if at < min => {
                    // Its segment went meanwhile.
                    read.status = ReadStatus::MessageWasRemoving;
                    break;
                }
                found => found?,
            };
            let failed = found.failed;
            read.records.reserve(found.records.len());
            read.entries.reserve(found.records.len());
            for (entry, record) in found.records {
                if wanted_record(&record) {
                    taken += entry.count as usize;
                    taken_bytes += record.len();
                    read.records.push(record);
                    read.entries.push(entry);
                }
            }
            if let Some((entry, error)) = failed {
                if read.records.is_empty() && read.damaged.is_empty() {
                    return Err(error);
                }
                read.next = entry.queue_offset;
                break;
            }
            // A record filter may have left room that the entries did not.
            if full && taken == messages || taken >= limit.messages {
                break;
            }
        }
        if !read.records.is_empty() {
            read.status = ReadStatus::Found;
        } else if scanned == 0 {
            read.status = ReadStatus::OffsetFoundNull;
        }
        Ok(read)
    }

    /// The records of these entries. One that is damaged is left out, and told about: it will
    /// never be better. One that cannot be read ends them: it may be readable the next time,
    /// unless it has been tried for long.
    async fn fetch(
        &self,
        entries: &[IndexEntry],
        damaged: &mut Vec<IndexEntry>,
    ) -> Result<Fetched, Error> {
        let wanted: Vec<_> = entries
            .iter()
            .map(|entry| (entry.log_offset, entry.size))
            .collect();
        let mut found = Fetched {
            records: Vec::with_capacity(entries.len()),
            failed: None,
        };
        let records = self.reader.several(&wanted).await?;
        for (entry, record) in entries.iter().zip(records) {
            let record = record.map_err(|error| {
                let now = self.clock.now();
                self.reader.given_up(entry.log_offset, now, error)
            });
            match record {
                Ok(record) => found.records.push((*entry, record)),
                Err(Error::Corrupt { .. }) => damaged.push(*entry),
                Err(error) => {
                    found.failed = Some((*entry, error));
                    break;
                }
            }
        }
        let read = found.records.iter().map(|(entry, _)| entry.log_offset.0);
        self.reader.damage().were_read(read);
        Ok(found)
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

/// Records in the order of their entries.
struct Fetched {
    records: Vec<(IndexEntry, Bytes)>,
    /// The first that could not be read.
    failed: Option<(IndexEntry, Error)>,
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
