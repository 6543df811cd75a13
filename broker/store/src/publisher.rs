//! Makes records readable once they may be seen, in the order of the log.

use std::collections::VecDeque;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use model::{LogOffset, QueueId, QueueOffset};
use smallvec::SmallVec;

use crate::dispatch::KeyHashes;
use crate::key_index::KeyIndex;
use crate::queue_index::{Arrival, Head, QueueIndex};
use crate::sync::Mutex;
use crate::watermark::Watermark;

/// Learns which queues have grown.
///
/// Called after the new entries are readable, never before, on a thread that must not be held
/// up: wake somebody and return.
pub trait Arrivals: Send + Sync {
    /// `queue` now ends at `end`; the new messages have this tags code. Neighbouring messages
    /// with the same code are told about once.
    fn arrived(&self, queue: &QueueId, end: QueueOffset, tags_code: i64);

    /// Whether somebody still needs a record below `end`, where a segment ends that is to be
    /// deleted. Who needs one has to see to it that it can go: the question comes again.
    fn needs_below(&self, _end: LogOffset) -> bool {
        false
    }
}

pub(crate) struct Publisher {
    pub mark: Watermark,
    index: Arc<QueueIndex>,
    keys: Arc<KeyIndex>,
    arrivals: ArcSwapOption<Box<dyn Arrivals>>,
    /// Written records that nobody may see yet, oldest first.
    staged: Mutex<VecDeque<StagedRecord>>,
    /// Held while entries become readable, so that they do so in order.
    publishing: Mutex<()>,
}

/// A record that is written.
pub(crate) struct StagedRecord {
    /// The log must be visible up to here before the record may be seen: its own end, or that
    /// of the group it belongs to.
    pub end: u64,
    pub entries: SmallVec<[(Arc<Head>, Arrival); 1]>,
    pub keys: KeyHashes,
    pub at: u64,
}

impl Publisher {
    pub(crate) fn new(mark: Watermark, index: Arc<QueueIndex>, keys: Arc<KeyIndex>) -> Self {
        Self {
            mark,
            index,
            keys,
            arrivals: ArcSwapOption::empty(),
            staged: Mutex::default(),
            publishing: Mutex::default(),
        }
    }

    pub(crate) fn tell(&self, arrivals: Box<dyn Arrivals>) {
        self.arrivals.store(Some(Arc::new(arrivals)));
    }

    /// As [`Arrivals::needs_below`]; `None` while there is nobody to be asked.
    pub(crate) fn needs_below(&self, end: LogOffset) -> Option<bool> {
        let arrivals = self.arrivals.load();
        arrivals.as_ref().map(|arrivals| arrivals.needs_below(end))
    }

    /// Takes records that were written. They are in the order of the log.
    pub(crate) fn stage(&self, records: Vec<StagedRecord>) {
        self.staged.lock().extend(records);
    }

    /// Makes readable what may be seen by now, and tells about it.
    pub(crate) fn advance(&self) {
        let _publishing = self.publishing.lock();
        let bound = self.mark.bound();
        let ready: Vec<StagedRecord> = {
            let mut staged = self.staged.lock();
            let count = staged.partition_point(|staged| staged.end <= bound);
            staged.drain(..count).collect()
        };
        let Some(end) = ready.last().map(|staged| staged.end) else {
            return;
        };
        for record in &ready {
            for (head, arrival) in &record.entries {
                self.index.put(head, arrival);
            }
        }
        self.keys.add(ready.iter().flat_map(|record| {
            let at = record.at;
            record.keys.iter().map(move |hash| (*hash, at))
        }));
        self.mark.show(end);
        if let Some(arrivals) = &*self.arrivals.load() {
            tell(
                arrivals.as_ref().as_ref(),
                ready.iter().flat_map(|record| &record.entries),
            );
        }
    }

    /// A log offset below which every record is in the index.
    pub(crate) fn indexed(&self) -> u64 {
        let _publishing = self.publishing.lock();
        self.mark.visible()
    }
}

fn tell<'a>(arrivals: &dyn Arrivals, entries: impl Iterator<Item = &'a (Arc<Head>, Arrival)>) {
    let mut entries = entries.peekable();
    while let Some((head, arrival)) = entries.next() {
        let code = arrival.unit.tags_code;
        let repeated = entries
            .peek()
            .is_some_and(|(next, later)| Arc::ptr_eq(next, head) && later.unit.tags_code == code);
        if !repeated {
            let end = arrival.queue_offset + u64::from(arrival.unit.count);
            arrivals.arrived(&head.id, QueueOffset(end), code);
        }
    }
}
