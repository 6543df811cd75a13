//! Follows every queue through the log: which offsets come, which are missing, which twice.

use std::collections::HashMap;

use model::record::RecordView;
use model::{QueueId, Topic, system_topics};

use super::index::{Sum, Sums};
use super::keys::KeySums;
use crate::dispatch::{Dispatch, TOMBSTONES, lite_offsets};
use crate::losses::{Loss, Told, told_by};
use crate::queue_index::IndexEntry;

/// Records come in the order of the log.
#[derive(Default)]
pub(super) struct Ledger {
    pub queues: HashMap<QueueId, Line>,
    /// Topics that were deleted, and where the log says so.
    pub buried: HashMap<Topic, u64>,
    pub records: u64,
    pub last_stored: i64,
    /// When the first record was stored.
    pub first_stored: Option<i64>,
    /// End of the last record that has no checksum of all of itself.
    pub unguarded_to: u64,
    /// Stretches of the log of which was told what they held.
    pub told_stretches: Vec<(u64, u64)>,
    /// The newest record tells of losses.
    pub ends_with_told: bool,
    /// What the index must hold.
    pub sums: Sums,
    /// What the files of keys must hold.
    pub keys: KeySums,
    topics: HashMap<String, Topic>,
}

/// What is known of one queue.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Offset after the last message.
    pub next: u64,
    /// Where the last record lies.
    pub last_at: u64,
    pub gaps: Vec<Gap>,
    pub reused: Vec<Reused>,
}

/// Offsets without records, noticed at a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub from: u64,
    pub to: u64,
    /// Where the record before it lies.
    pub after: u64,
    pub at: u64,
}

/// A record whose offset an earlier one had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reused {
    pub offset: u64,
    pub at: u64,
}

impl Ledger {
    pub(super) fn with(sums: Sums, keys: KeySums) -> Self {
        Self {
            sums,
            keys,
            ..Self::default()
        }
    }

    pub(super) fn record(&mut self, record: &RecordView<'_>) {
        self.records += 1;
        self.last_stored = self.last_stored.max(record.stored.0);
        self.first_stored.get_or_insert(record.stored.0);
        let at = record.log_offset;
        let told = told_by(record);
        self.ends_with_told = told != Told::default();
        if record.record_crc.is_none() {
            self.unguarded_to = at.0 + u64::from(record.size());
        }
        let Some(topic) = self.topic(record.topic) else {
            return;
        };
        let dispatch = Dispatch::of_stored(&topic, record);
        self.keys.add(at.0, &dispatch.keys);
        let entry = |queue_offset, count| IndexEntry {
            queue_offset,
            count,
            log_offset: at,
            size: record.size(),
            tags_code: 0,
        };
        if let Some(queue) = dispatch.shown() {
            self.entry(queue, entry(record.queue_offset, dispatch.count));
        }
        for (queue, offset) in dispatch.lite.iter().zip(lite_offsets(record.properties)) {
            self.entry(queue, entry(model::QueueOffset(offset), 1));
        }
        if record.topic == TOMBSTONES
            && let Some(topic) = buried_by(record)
        {
            self.queues.retain(|queue, _| queue.topic != topic);
            self.sums.forget(&topic, at.0);
            self.buried.insert(topic, at.0);
        }
        for loss in &told.losses {
            self.told(loss, at.0);
        }
        self.told_stretches.extend(told.stretches);
    }

    fn entry(&mut self, queue: &QueueId, entry: IndexEntry) {
        let (offset, at) = (entry.queue_offset.0, entry.log_offset.0);
        // As in the index: a negative offset is none.
        if i64::try_from(offset).is_err() {
            return;
        }
        let line = match self.queues.get_mut(queue) {
            Some(line) => line,
            None => {
                let first = Line {
                    next: offset,
                    ..Line::default()
                };
                self.queues.entry(queue.clone()).or_insert(first)
            }
        };
        if offset > line.next {
            line.gaps.push(Gap {
                from: line.next,
                to: offset,
                after: line.last_at,
                at,
            });
        } else if offset < line.next {
            self.sums.muddle(queue);
            // RocketMQ begins a topic that was deleted and made again at 0.
            if offset > 0 {
                line.reused.push(Reused { offset, at });
            }
        }
        line.next = entry.next().0;
        line.last_at = at;
        self.sums.add(queue, &entry);
    }

    fn told(&mut self, loss: &Loss, at: u64) {
        let line = self.queues.entry(loss.queue.clone()).or_default();
        line.gaps
            .retain(|gap| gap.from < loss.from || gap.to > loss.to);
        if loss.to > line.next {
            line.next = loss.to;
            line.last_at = at;
        }
    }

    fn topic(&mut self, name: &str) -> Option<Topic> {
        if let Some(topic) = self.topics.get(name) {
            return Some(topic.clone());
        }
        let topic = Topic::stored(name).ok()?;
        self.topics.insert(name.to_owned(), topic.clone());
        Some(topic)
    }

    /// How many queues there are that are not the store's own.
    pub(super) fn visible_queues(&self) -> u64 {
        let own =
            |queue: &&QueueId| matches!(queue.topic.as_str(), TOMBSTONES | system_topics::GROUP);
        self.queues.keys().filter(|queue| !own(queue)).count() as u64
    }
}

fn buried_by(record: &RecordView<'_>) -> Option<Topic> {
    let name = std::str::from_utf8(record.body).ok()?;
    Topic::stored(name).ok()
}

/// Adds up entries in any order, so that two sides can be compared.
impl Sum {
    pub(super) fn add(&mut self, entry: &IndexEntry) {
        let fields = [
            entry.queue_offset.0,
            entry.log_offset.0,
            u64::from(entry.size) << 32 | u64::from(entry.count),
        ];
        let mut mixed = 0x9E37_79B9_7F4A_7C15u64;
        for field in fields {
            mixed = (mixed ^ field).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
            mixed ^= mixed >> 29;
        }
        self.entries += 1;
        self.mixed = self.mixed.wrapping_add(mixed);
    }
}
