//! Compares the queue index, as the newest checkpoint has it, with the log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::{QueueId, Topic};
use runtime::{Disk, File, Open};

use crate::Error;
use crate::checkpoint::Saved;
use crate::layout::Layout;
use crate::queue_index::{Block, FILE_BYTES, IndexEntry, State};
use crate::segment::file_name;

/// How many entries there are, and what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub entries: u64,
    pub mixed: u64,
}

/// What the log says the index must hold of each queue.
#[derive(Default)]
pub(super) struct Sums {
    /// Records below this are in the index.
    until: u64,
    /// Offset at which each queue of the index begins.
    begins: HashMap<QueueId, u64>,
    sums: HashMap<QueueId, Sum>,
    /// Queues of which several records have one offset: which of them counts is not compared.
    muddled: HashSet<QueueId>,
}

/// Where the index is not what the log says.
pub(super) struct Mismatch {
    pub queue: QueueId,
    /// Position of a block that cannot be read.
    pub block: Option<u64>,
}

impl Sums {
    pub(super) fn of(saved: &Saved) -> Self {
        let heads = saved.heads.all();
        Self {
            until: saved.position.replay_from,
            begins: heads
                .map(|head| (head.id.clone(), head.with(|state| state.min)))
                .collect(),
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, queue: &QueueId, entry: &IndexEntry) {
        let begins = match self.begins.get(queue) {
            Some(begins) if entry.log_offset.0 < self.until => *begins,
            None if entry.log_offset.0 < self.until => 0,
            _ => return,
        };
        if entry.queue_offset.0 < begins {
            return;
        }
        match self.sums.get_mut(queue) {
            Some(sum) => sum.add(entry),
            None => self.sums.entry(queue.clone()).or_default().add(entry),
        }
    }

    pub(super) fn muddle(&mut self, queue: &QueueId) {
        if !self.muddled.contains(queue) {
            self.muddled.insert(queue.clone());
        }
    }

    /// The topic was deleted by the record at `at`.
    pub(super) fn forget(&mut self, topic: &Topic, at: u64) {
        if at < self.until {
            self.sums.retain(|queue, _| queue.topic != *topic);
            self.muddled.retain(|queue| queue.topic != *topic);
        }
    }

    /// The queues of which the index holds something else.
    pub(super) fn compare(
        &self,
        disk: &dyn Disk,
        layout: &Layout,
        saved: &Saved,
    ) -> Result<Vec<Mismatch>, Error> {
        let mut blocks = Blocks {
            disk,
            layout,
            files: HashMap::new(),
        };
        let mut wrong = Vec::new();
        for head in saved.heads.all() {
            let (queue, state) = (&head.id, head.with(|state| state.clone()));
            let mut sum = Sum::default();
            let broken = blocks.of(&state, |entry| {
                if !entry.is_hole() && entry.log_offset.0 < self.until {
                    sum.add(&entry);
                }
            })?;
            let expected = self.sums.get(queue).copied().unwrap_or_default();
            if broken.is_some() || sum != expected && !self.muddled.contains(queue) {
                wrong.push(Mismatch {
                    queue: queue.clone(),
                    block: broken,
                });
            }
        }
        let unknown = self
            .sums
            .keys()
            .filter(|queue| saved.heads.get(queue).is_none());
        wrong.extend(unknown.map(|queue| Mismatch {
            queue: queue.clone(),
            block: None,
        }));
        wrong.sort_by(|one, other| one.queue.cmp(&other.queue));
        Ok(wrong)
    }
}

/// Reads blocks of the index log.
struct Blocks<'a> {
    disk: &'a dyn Disk,
    layout: &'a Layout,
    files: HashMap<u64, Option<Arc<dyn File>>>,
}

impl Blocks<'_> {
    /// Calls `each` with every entry of a queue from its beginning on, in no order. Returns
    /// where a block lies that cannot be read.
    fn of(
        &mut self,
        state: &State,
        mut each: impl FnMut(IndexEntry),
    ) -> Result<Option<u64>, Error> {
        let mut newer = |entry: IndexEntry| {
            if entry.queue_offset.0 >= state.min {
                each(entry);
            }
        };
        state.tail.entries().for_each(&mut newer);
        let mut base = state.tail.base;
        let mut links = state.spine.as_ref().map(|spine| spine.links.clone());
        while base > state.min {
            let Some(link) = links.as_ref().and_then(|links| links.first().copied()) else {
                return Ok(Some(0));
            };
            let block = self.read(link.position)?;
            let Some(block) = block.filter(|block| block.run.base < base) else {
                return Ok(Some(link.position));
            };
            block.run.entries().for_each(&mut newer);
            base = block.run.base;
            links = Some(block.links);
        }
        Ok(None)
    }

    fn read(&mut self, position: u64) -> Result<Option<Block>, Error> {
        let doing = "reading the queue index";
        let at = position % FILE_BYTES;
        let start = position - at;
        if let std::collections::hash_map::Entry::Vacant(place) = self.files.entry(start) {
            let path = self.layout.index_log.join(file_name(start));
            let file = match self.disk.exists(&path).map_err(Error::disk(doing))? {
                true => Some(
                    self.disk
                        .open(&path, Open::Read)
                        .map_err(Error::disk(doing))?,
                ),
                false => None,
            };
            place.insert(file);
        }
        let Some(Some(file)) = self.files.get(&start) else {
            return Ok(None);
        };
        Block::read_from(file.as_ref(), at).map_err(Error::disk(doing))
    }
}
