//! Puts records that are read again into the indexes.

use std::collections::HashMap;
use std::sync::Arc;

use model::record::RecordView;
use model::{QueueId, Topic};

use crate::Settings;
use crate::dispatch::{Dispatch, KeyHashes, TOMBSTONES, lite_offsets};
use crate::key_index::KeyIndex;
use crate::losses;
use crate::queue_index::{Arrival, QueueIndex, Unit};

/// Entries whose heads are looked for together.
const TOGETHER: usize = 256;

pub(crate) struct Replay<'a> {
    settings: &'a Settings,
    index: &'a Arc<QueueIndex>,
    keys: &'a KeyIndex,
    /// Entries on their way to the index, in the order of the log.
    waiting: Vec<(QueueId, Arrival)>,
    learnt: Learnt,
}

/// What records that were read again tell beside their entries.
pub(crate) struct Learnt {
    pub records: u64,
    pub last_stored: i64,
    /// Where the log first tells of losses.
    pub lost_at: Option<u64>,
    /// Topics that were deleted, and where the log says so.
    pub buried: HashMap<Topic, u64>,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(
        settings: &'a Settings,
        index: &'a Arc<QueueIndex>,
        keys: &'a KeyIndex,
        last_stored: i64,
    ) -> Self {
        Self {
            settings,
            index,
            keys,
            waiting: Vec::with_capacity(TOGETHER),
            learnt: Learnt {
                records: 0,
                last_stored,
                lost_at: None,
                buried: HashMap::new(),
            },
        }
    }

    /// Takes the next record of the log. A record whose topic has no sensible name is kept in
    /// the log and shown in no queue.
    pub(crate) fn record(&mut self, record: &RecordView<'_>) {
        self.learnt.records += 1;
        self.learnt.last_stored = self.learnt.last_stored.max(record.stored.0);
        let Some(topic) = self.index.topic(record.topic) else {
            return;
        };
        let dispatch = Dispatch::of_stored(&topic, record);
        let unit = Unit {
            log_offset: record.log_offset.0,
            tags_code: dispatch.tags.code(self.settings, record.stored.0),
            size: record.size(),
            count: dispatch.count,
        };
        let stored = record.stored.0;
        if let Some(queue) = dispatch.shown() {
            self.put(
                queue.clone(),
                Arrival {
                    queue_offset: record.queue_offset.0,
                    unit,
                    stored,
                },
            );
        }
        for (queue, queue_offset) in dispatch.lite.iter().zip(lite_offsets(record.properties)) {
            let unit = Unit { count: 1, ..unit };
            self.put(
                queue.clone(),
                Arrival {
                    queue_offset,
                    unit,
                    stored,
                },
            );
        }
        let keys: KeyHashes = dispatch.keys;
        self.keys
            .add(keys.into_iter().map(|hash| (hash, record.log_offset.0)));
        if record.topic == TOMBSTONES {
            let buried = std::str::from_utf8(record.body)
                .ok()
                .and_then(|name| Topic::stored(name).ok());
            if let Some(topic) = buried {
                self.settle();
                self.index.delete(&topic);
                self.learnt.buried.insert(topic, record.log_offset.0);
            }
        }
        let lost = losses::told_by(record).losses;
        if !lost.is_empty() {
            let at = record.log_offset.0;
            self.learnt.lost_at.get_or_insert(at);
            self.settle();
            losses::note(self.index, &lost, at, stored);
        }
    }

    /// Puts the last entries in, and says what else was learnt.
    pub(crate) fn finish(mut self) -> Learnt {
        self.settle();
        self.learnt
    }

    fn put(&mut self, queue: QueueId, arrival: Arrival) {
        // RocketMQ's offsets are signed: a negative one is none.
        if i64::try_from(arrival.queue_offset).is_err() {
            return;
        }
        self.waiting.push((queue, arrival));
        if self.waiting.len() >= TOGETHER {
            self.settle();
        }
    }

    /// Puts what waits into the index: before anything else changes its queues.
    fn settle(&mut self) {
        let queues = self.waiting.iter().map(|(queue, _)| queue);
        let heads = self.index.heads_of(queues);
        for (head, (_, arrival)) in heads.iter().zip(self.waiting.drain(..)) {
            self.index.put(head, &arrival);
        }
    }
}
