//! State in memory, with a disk that can be crashed: the store of simulated runs.
//!
//! A [`MemoryDisk`] outlives the stores opened on it, as a real disk outlives processes. Commits
//! wait in a journal until a sync, a crash keeps some first part of the journal, and a torn
//! commit leaves the caller not knowing whether it happened.

use crate::{
    Error, KeyRange,
    store::{Batch, Direction, Durability, Snapshot, Space, Store, Visit, Write},
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

type Contents = BTreeMap<(Space, Bytes), Bytes>;

/// The simulated disk under a [`MemoryStore`]. Cheap to clone.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    /// Protects what is on the disk; held for single operations.
    platter: Arc<Mutex<Platter>>,
}

#[derive(Default)]
struct Platter {
    synced: Contents,
    journal: Vec<Batch>,
    /// Which opening of the disk may still use it; all earlier ones are dead.
    generation: u64,
    torn: Option<bool>,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of commits that a power loss could take.
    pub fn unsynced(&self) -> usize {
        self.platter.lock().journal.len()
    }

    /// Cuts the power: the open store dies, the first `survivors` unsynced commits are kept.
    pub fn crash(&self, survivors: usize) {
        let mut platter = self.platter.lock();
        platter.generation += 1;
        platter.torn = None;
        platter.journal.truncate(survivors);
        platter.write_back();
    }

    /// Makes the next commit fail in the middle. Its batch is there afterwards if `survives`.
    pub fn tear_next_commit(&self, survives: bool) {
        self.platter.lock().torn = Some(survives);
    }
}

impl Platter {
    fn write_back(&mut self) {
        for batch in std::mem::take(&mut self.journal) {
            apply(&mut self.synced, batch);
        }
    }
}

fn apply(contents: &mut Contents, batch: Batch) {
    for write in batch {
        match write {
            Write::Put { space, key, value } => contents.insert((space, key), value),
            Write::Delete { space, key } => contents.remove(&(space, key)),
        };
    }
}

/// State in memory. Opening a disk again makes the store opened before it useless.
pub struct MemoryStore {
    disk: MemoryDisk,
    generation: u64,
    /// Protects what this process sees; held for single operations, never with the platter's.
    contents: Mutex<Arc<Contents>>,
}

impl MemoryStore {
    /// Opens what the disk holds, as a process that starts would find it.
    pub fn open(disk: &MemoryDisk) -> Self {
        let mut platter = disk.platter.lock();
        platter.generation += 1;
        let mut contents = platter.synced.clone();
        for batch in &platter.journal {
            apply(&mut contents, batch.clone());
        }
        Self {
            disk: disk.clone(),
            generation: platter.generation,
            contents: Mutex::new(Arc::new(contents)),
        }
    }

    fn alive(&self) -> Result<(), Error> {
        if self.disk.platter.lock().generation == self.generation {
            Ok(())
        } else {
            Err(Error::Closed)
        }
    }
}

impl Store for MemoryStore {
    fn get_many(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        self.alive()?;
        let contents = Arc::clone(&self.contents.lock());
        Ok(keys
            .iter()
            .map(|key| contents.get(&(space, Bytes::copy_from_slice(key))).cloned())
            .collect())
    }

    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error> {
        self.snapshot()?.scan(space, range, direction, visit)
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), Error> {
        let mut platter = self.disk.platter.lock();
        if platter.generation != self.generation {
            return Err(Error::Closed);
        }
        if let Some(survives) = platter.torn.take() {
            platter.generation += 1;
            if survives {
                platter.journal.push(batch);
            }
            return Err(Error::Closed);
        }
        platter.journal.push(batch.clone());
        if durability == Durability::Synced {
            platter.write_back();
        }
        drop(platter);
        apply(Arc::make_mut(&mut self.contents.lock()), batch);
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        self.alive()?;
        self.disk.platter.lock().write_back();
        Ok(())
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        self.alive()?;
        Ok(Arc::new(MemorySnapshot(Arc::clone(&self.contents.lock()))))
    }
}

struct MemorySnapshot(Arc<Contents>);

impl Snapshot for MemorySnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.0.get(&(space, Bytes::copy_from_slice(key))).cloned())
    }

    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error> {
        if range.is_empty() {
            return Ok(());
        }
        let from = (space, Bytes::copy_from_slice(&range.from));
        let inside = self
            .0
            .range(from..)
            .take_while(|((found, key), _)| *found == space && range.contains(key));
        match direction {
            Direction::Ascending => {
                for ((_, key), value) in inside {
                    if visit(key, value).is_break() {
                        break;
                    }
                }
            }
            Direction::Descending => {
                for ((_, key), value) in inside.collect::<Vec<_>>().into_iter().rev() {
                    if visit(key, value).is_break() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}
