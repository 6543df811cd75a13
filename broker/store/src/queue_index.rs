//! Which record lies at which offset of which queue: a cache of the log.
//!
//! All queues share one log-structured index. A queue costs a [`head`] in memory; its entries
//! go in blocks of 128 to the shared [`index_log`] and are found again by following links
//! from block to block. A checkpoint saves the heads, and what the log holds behind it is
//! read again after a crash.

mod block;
mod entry;
mod head;
mod heads;
mod index_log;
mod lookup;

use std::sync::Arc;

use model::{QueueId, Topic, system_topics};
use smallvec::SmallVec;

pub(crate) use block::{Block, Fields, Link, Spine};
pub use entry::IndexEntry;
pub(crate) use entry::{Run, Unit, Units};
pub(crate) use head::{Arrival, Head, INLINE_ENTRIES, State};
pub(crate) use heads::Heads;
pub(crate) use index_log::{FILE_BYTES, IndexLog};
pub(crate) use lookup::Limit;

use crate::Error;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, RwLock};

/// One for each queue that was asked for, in their order.
type Found<T = Arc<Head>> = SmallVec<[T; 1]>;

pub(crate) struct QueueIndex {
    heads: RwLock<Heads>,
    /// Heads that are not as the last checkpoint has them.
    changed: Mutex<Vec<Arc<Head>>>,
    log: IndexLog,
    /// A block could not be read: what is here must not be saved.
    damaged: AtomicBool,
}

impl QueueIndex {
    pub(crate) fn new(log: IndexLog, heads: Heads) -> Self {
        Self {
            heads: RwLock::new(heads),
            changed: Mutex::default(),
            log,
            damaged: AtomicBool::new(false),
        }
    }

    pub(crate) fn log(&self) -> &IndexLog {
        &self.log
    }

    /// True once a block was missing or damaged.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    pub(crate) fn get(&self, queue: &QueueId) -> Option<Arc<Head>> {
        self.heads.read().get(queue).cloned()
    }

    /// The heads of queues that records came for together. Most of a million are in no cache
    /// of the processor: all are looked for before the first is touched, so that it waits for
    /// several at a time.
    pub(crate) fn heads_of<'a>(&self, queues: impl Iterator<Item = &'a QueueId> + Clone) -> Found {
        let most = queues.size_hint().1.unwrap_or_default();
        let found: Found<Option<Arc<Head>>> = {
            let heads = self.heads.read();
            let mut places: Found<Option<&Arc<Head>>> = Found::with_capacity(most);
            let mut last: Option<(&QueueId, Option<&Arc<Head>>)> = None;
            for queue in queues.clone() {
                places.push(match last {
                    // Neighbours mostly go to one queue.
                    Some((known, head)) if known == queue => head,
                    _ => last.insert((queue, heads.get(queue))).1,
                });
            }
            // Counting who holds a head waits for it, and for all before.
            if places.iter().all(Option::is_some) {
                let mut found = Found::with_capacity(places.len());
                found.extend(places.into_iter().flatten().cloned());
                return found;
            }
            places.iter().map(|head| head.cloned()).collect()
        };
        let made = queues.zip(found).map(|(queue, head)| match head {
            Some(head) => head,
            None => self.get_or_insert(queue),
        });
        made.collect()
    }

    /// The topic of this name, in the copy that its queues share if it has any; `None` if no
    /// topic is called so.
    pub(crate) fn topic(&self, name: &str) -> Option<Topic> {
        let known = self.heads.read().known_topic(name).cloned();
        known.or_else(|| Topic::stored(name).ok())
    }

    pub(crate) fn get_or_insert(&self, queue: &QueueId) -> Arc<Head> {
        if let Some(head) = self.get(queue) {
            return head;
        }
        let mut heads = self.heads.write();
        // Somebody may have come first.
        match heads.get(queue) {
            Some(head) => head.clone(),
            None => heads.insert(queue, State::default()),
        }
    }

    /// Makes an entry of the queue readable.
    pub(crate) fn put(&self, head: &Arc<Head>, arrival: &Arrival) {
        if head.put(arrival, &self.log) {
            self.changed.lock().push(head.clone());
        }
    }

    /// Leaves the queue's places up to `to` empty, as the record at `log_offset` tells.
    pub(crate) fn skip(&self, queue: &QueueId, to: u64, log_offset: u64, stored: i64) {
        let head = self.get_or_insert(queue);
        if head.skip(to, log_offset, stored) {
            self.changed.lock().push(head);
        }
    }

    /// Forgets all queues of a topic. Returns how many there were.
    pub(crate) fn delete(&self, topic: &Topic) -> usize {
        let mut heads = self.heads.write();
        let before = heads.len();
        let mut changed = self.changed.lock();
        heads.remove_topic(topic, |head| {
            head.kill();
            // A dead head among the changed ones tells the checkpoint to drop it.
            changed.push(head.clone());
        });
        before - heads.len()
    }

    /// Whether a queue of delayed messages begins below `end`.
    pub(crate) fn is_delayed_below(&self, end: u64) -> bool {
        let heads = self.heads.read();
        let mut delayed = heads
            .all()
            .filter(|head| head.id.topic.as_str() == system_topics::SCHEDULE);
        delayed.any(|head| head.with(|state| !state.is_empty() && state.min_at < end))
    }

    /// In the order in which they lie in memory, as far as that can be: going through a million
    /// heads in any other waits for each.
    pub(crate) fn all(&self) -> Vec<Arc<Head>> {
        let heads = self.heads.read();
        let mut all: Vec<&Arc<Head>> = heads.all().collect();
        all.sort_unstable_by_key(|head| Arc::as_ptr(head));
        all.into_iter().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.heads.read().len()
    }

    /// The heads that changed since this was last called.
    pub(crate) fn take_changed(&self) -> Vec<Arc<Head>> {
        std::mem::take(&mut self.changed.lock())
    }

    /// Puts heads back that could not be saved.
    pub(crate) fn still_changed(&self, heads: Vec<Arc<Head>>) {
        for head in &heads {
            head.with(|state| state.changed = true);
        }
        self.changed.lock().extend(heads);
    }

    /// Moves every queue's beginning to its first record at or behind `log_min`. May wait for
    /// the disk.
    pub(crate) fn raise_minimum(&self, log_min: u64) -> Result<(), Error> {
        let behind =
            |head: &&Arc<Head>| head.with(|state| !state.is_empty() && state.min_at < log_min);
        let behind: Vec<_> = self.heads.read().all().filter(behind).cloned().collect();
        for head in behind {
            let first = self.first_at_or_behind(&head, log_min)?;
            let changed = head.with(|state| {
                state.min = first.map_or(state.end, |entry| entry.queue_offset.0);
                state.min_at = first.map_or(log_min, |entry| entry.log_offset.0);
                !std::mem::replace(&mut state.changed, true)
            });
            if changed {
                self.changed.lock().push(head);
            }
        }
        self.log.drop_below(log_min)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use runtime::{Rng, SimDisk};

    use super::*;

    fn index() -> QueueIndex {
        let disk = SimDisk::new(Rng::seeded(1)).mount();
        let log = IndexLog::open(disk, PathBuf::from("/queues"), 0).expect("an empty log opens");
        QueueIndex::new(log, Heads::default())
    }

    #[test]
    fn queues_asked_for_together_are_found_in_their_order_and_made_once() {
        let index = index();
        let topic = Topic::parse("t").expect("a topic");
        let known = index.get_or_insert(&QueueId::new(topic.clone(), 3));
        let numbers = [5, 5, 3, 4, 5, 3, 3];
        let queues = numbers.map(|number| QueueId::new(topic.clone(), number));
        let heads = index.heads_of(queues.iter());
        let found: Vec<_> = heads.iter().map(|head| head.id.number).collect();
        assert_eq!(found, numbers);
        assert!(Arc::ptr_eq(&heads[2], &known) && Arc::ptr_eq(&heads[6], &known));
        assert!(Arc::ptr_eq(&heads[0], &heads[1]) && Arc::ptr_eq(&heads[0], &heads[4]));
        assert_eq!((index.len(), index.all().len()), (3, 3));
    }
}
