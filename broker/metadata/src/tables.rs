//! The small durable store beneath: ordered keys, atomic batches, durable on request.
//!
//! fjall keeps it on disk. [`MemoryTables`] has the same contract and forgets at a simulated
//! crash what was not made durable, so that seeded runs meet the same losses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use parking_lot::Mutex;
use runtime::{Disk, RealDisk, Space};

use crate::Error;

/// One ordered map of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    Topics,
    Groups,
    Offsets,
    KeyValues,
}

impl Table {
    const ALL: [Table; 4] = [
        Table::Topics,
        Table::Groups,
        Table::Offsets,
        Table::KeyValues,
    ];

    fn name(self) -> &'static str {
        match self {
            Table::Topics => "topics",
            Table::Groups => "groups",
            Table::Offsets => "offsets",
            Table::KeyValues => "key-values",
        }
    }
}

/// When a batch has to survive power loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before the call returns.
    Now,
    /// Some time later; survives `kill -9` at once.
    Later,
}

/// Changes that happen together or not at all. A `None` removes the key.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push((table, key.into(), Some(value.into())));
    }

    pub fn remove(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.changes.push((table, key.into(), None));
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// What metadata needs of a store.
pub trait Tables: Send + Sync {
    /// Applies the whole batch, or nothing of it.
    fn apply(&self, batch: Batch, durability: Durability) -> Result<(), Error>;
    /// Every entry of a table, in key order.
    fn entries(&self, table: Table) -> Result<Vec<Entry>, Error>;
}

/// Tables in a folder, by fjall. One process at a time may hold them.
pub struct FjallTables {
    folder: PathBuf,
    database: Database,
    spaces: BTreeMap<Table, Keyspace>,
}

/// Metadata is small: a few megabytes of cache and one worker serve it.
const CACHE_BYTES: u64 = 4 << 20;
const MEMTABLE_BYTES: u64 = 4 << 20;
/// Where fjall keeps a folder for each table.
const KEYSPACES: &str = "keyspaces";

impl FjallTables {
    pub fn open(folder: &Path) -> Result<FjallTables, Error> {
        let failed = |why: fjall::Error| Error::Open {
            path: folder.to_owned(),
            why: why.to_string(),
        };
        let disk = RealDisk;
        let undurable = |why: std::io::Error| Error::Open {
            path: folder.to_owned(),
            why: format!("its folders cannot be made durable: {why}"),
        };
        disk.create_dir_all(folder).map_err(undurable)?;
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .open()
            .map_err(failed)?;
        let mut spaces = BTreeMap::new();
        for table in Table::ALL {
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
            spaces.insert(
                table,
                database.keyspace(table.name(), options).map_err(failed)?,
            );
        }
        // fjall flushes what is in a table's folder, but not the folder's own name: a loss of
        // power took all tables with it.
        disk.fsync_dir(&folder.join(KEYSPACES)).map_err(undurable)?;
        Ok(FjallTables {
            folder: folder.to_owned(),
            database,
            spaces,
        })
    }

    /// Nothing is written on a disk that is nearly full: a write that fails half way leaves fjall
    /// unable to take another one until it is opened again, though there be room by then.
    fn require_room(&self) -> Result<(), Error> {
        let space = RealDisk.space(&self.folder).map_err(|why| Error::Write {
            doing: "asking for room",
            why: why.to_string(),
        })?;
        let needed = needed(space);
        if space.available >= needed {
            return Ok(());
        }
        Err(Error::NoRoom {
            path: self.folder.clone(),
            available: space.available,
            needed,
        })
    }
}

/// Bytes that have to be free for a write, and for the files that fjall makes of it.
fn needed(space: Space) -> u64 {
    (Table::ALL.len() as u64 * MEMTABLE_BYTES).min(space.total / 32)
}

impl Tables for FjallTables {
    fn apply(&self, batch: Batch, durability: Durability) -> Result<(), Error> {
        let failed = |why: fjall::Error| Error::Write {
            doing: "applying a batch",
            why: why.to_string(),
        };
        self.require_room()?;
        let mode = match durability {
            Durability::Now => PersistMode::SyncAll,
            Durability::Later => PersistMode::Buffer,
        };
        let mut writes = self.database.batch().durability(Some(mode));
        for (table, key, value) in batch.changes {
            match value {
                Some(value) => writes.insert(&self.spaces[&table], key, value),
                None => writes.remove(&self.spaces[&table], key),
            }
        }
        writes.commit().map_err(failed)
    }

    fn entries(&self, table: Table) -> Result<Vec<Entry>, Error> {
        let failed = |why: fjall::Error| Error::Read {
            doing: table.name(),
            why: why.to_string(),
        };
        let mut entries = Vec::new();
        for guard in self.spaces[&table].iter() {
            let (key, value) = guard.into_inner().map_err(failed)?;
            entries.push((key.to_vec(), value.to_vec()));
        }
        Ok(entries)
    }
}

type Entries = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Tables in memory. Clones share them, so a clone kept aside is the disk of a simulated broker.
#[derive(Clone, Default)]
pub struct MemoryTables {
    /// What readers see, and what a crash leaves of it.
    state: Arc<Mutex<(Entries, Entries)>>,
}

impl MemoryTables {
    /// Forgets every change that was not asked to be durable.
    pub fn crash(&self) {
        let mut state = self.state.lock();
        state.0 = state.1.clone();
    }
}

impl Tables for MemoryTables {
    fn apply(&self, batch: Batch, durability: Durability) -> Result<(), Error> {
        let mut state = self.state.lock();
        for (table, key, value) in batch.changes {
            match value {
                Some(value) => drop(state.0.insert((table, key), value)),
                None => drop(state.0.remove(&(table, key))),
            }
        }
        if durability == Durability::Now {
            state.1 = state.0.clone();
        }
        Ok(())
    }

    fn entries(&self, table: Table) -> Result<Vec<Entry>, Error> {
        let state = self.state.lock();
        let entries = state.0.iter().filter(|((own, _), _)| *own == table);
        Ok(entries
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_disk_is_not_asked_for_more_than_a_part_of_it() {
        let needed = |total| {
            needed(Space {
                total,
                available: 0,
            })
        };
        assert_eq!((needed(1 << 40), needed(64 << 20)), (16 << 20, 2 << 20));
    }
}
