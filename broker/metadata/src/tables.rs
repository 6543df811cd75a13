//! The small durable store beneath: ordered keys, atomic batches, durable on request.
//!
//! fjall keeps it on disk. [`MemoryTables`] has the same contract and forgets at a simulated
//! crash what was not made durable, so that seeded runs meet the same losses.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

    /// What it is called in a copy.
    pub(crate) fn number(self) -> u8 {
        match self {
            Table::Topics => 0,
            Table::Groups => 1,
            Table::Offsets => 2,
            Table::KeyValues => 3,
        }
    }

    pub(crate) fn numbered(number: u8) -> Option<Table> {
        Table::ALL
            .into_iter()
            .find(|table| table.number() == number)
    }

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

/// Tells how much room there is where a folder lies.
type Room = dyn Fn(&Path) -> io::Result<Space> + Send + Sync;

/// Tables in a folder, by fjall. One process at a time may hold them.
pub struct FjallTables {
    folder: PathBuf,
    room: Box<Room>,
    database: Database,
    spaces: BTreeMap<Table, Keyspace>,
    /// Holds the number of the last copy.
    copied: Keyspace,
    /// Whether anything has changed since the last copy, and anything but progress.
    changed: AtomicBool,
    changed_by_people: AtomicBool,
}

/// Metadata is small: a few megabytes of cache and one worker serve it.
const CACHE_BYTES: u64 = 4 << 20;
const MEMTABLE_BYTES: u64 = 4 << 20;
/// Where fjall keeps a folder for each table.
const KEYSPACES: &str = "keyspaces";
/// The table, and its only key, with the number of the last copy.
const COPIED: &str = "copied";

impl FjallTables {
    pub fn open(folder: &Path) -> Result<FjallTables, Error> {
        FjallTables::open_where(folder, |folder| RealDisk.space(folder))
    }

    /// As [`open`](Self::open) where `room` tells how much room there is.
    pub fn open_where(
        folder: &Path,
        room: impl Fn(&Path) -> io::Result<Space> + Send + Sync + 'static,
    ) -> Result<FjallTables, Error> {
        let failed = |why: fjall::Error| match is_damage(&why) {
            true => Error::Damaged {
                path: folder.to_owned(),
                why: why.to_string(),
            },
            false => Error::Open {
                path: folder.to_owned(),
                why: why.to_string(),
            },
        };
        let disk = RealDisk;
        let undurable = |why: io::Error| Error::Open {
            path: folder.to_owned(),
            why: format!("its folders cannot be made durable: {why}"),
        };
        disk.create_dir_all(folder).map_err(undurable)?;
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .open()
            .map_err(failed)?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let mut spaces = BTreeMap::new();
        for table in Table::ALL {
            spaces.insert(
                table,
                database.keyspace(table.name(), options).map_err(failed)?,
            );
        }
        let copied = database.keyspace(COPIED, options).map_err(failed)?;
        // fjall flushes what is in a table's folder, but not the folder's own name: a loss of
        // power took all tables with it.
        disk.fsync_dir(&folder.join(KEYSPACES)).map_err(undurable)?;
        Ok(FjallTables {
            folder: folder.to_owned(),
            room: Box::new(room),
            database,
            spaces,
            copied,
            changed: AtomicBool::new(true),
            changed_by_people: AtomicBool::new(true),
        })
    }

    /// The number of the last copy that was made of these tables; 0 before the first.
    pub(crate) fn last_copy(&self) -> Result<u64, Error> {
        let number = self.copied.get(COPIED).map_err(|why| self.unread(&why))?;
        let number = number.and_then(|number| Some(u64::from_be_bytes(*number.first_chunk()?)));
        Ok(number.unwrap_or(0))
    }

    /// Remembers that this is the last copy. In front of the copy itself: tables that know of
    /// none of its number or above have gone back in time.
    pub(crate) fn copied(&self, number: u64) -> Result<(), Error> {
        self.require_room()?;
        let mut write = self.database.batch().durability(Some(PersistMode::SyncAll));
        write.insert(&self.copied, COPIED, number.to_be_bytes());
        write.commit().map_err(|why| Error::Write {
            doing: "counting copies",
            why: why.to_string(),
        })
    }

    /// Everything there is, if something has changed since the last time: at once if it was
    /// topics, groups or key-values, and progress only if `all`.
    pub(crate) fn changed(&self, all: bool) -> Result<Option<Vec<(Table, Entry)>>, Error> {
        let by_people = self.changed_by_people.swap(false, Ordering::AcqRel);
        let worth_it = by_people || all && self.changed.load(Ordering::Acquire);
        if !worth_it {
            return Ok(None);
        }
        self.changed.store(false, Ordering::Release);
        let everything = self.everything().inspect_err(|_| self.still_changed());
        everything.map(Some)
    }

    /// What was to be copied was not.
    pub(crate) fn still_changed(&self) {
        self.changed_by_people.store(true, Ordering::Release);
    }

    fn everything(&self) -> Result<Vec<(Table, Entry)>, Error> {
        let mut all = Vec::new();
        for table in Table::ALL {
            let entries = self.entries(table)?;
            all.extend(entries.into_iter().map(|entry| (table, entry)));
        }
        Ok(all)
    }

    fn unread(&self, why: &fjall::Error) -> Error {
        Error::Damaged {
            path: self.folder.clone(),
            why: why.to_string(),
        }
    }

    /// Nothing is written on a disk that is nearly full: a write that fails half way leaves fjall
    /// unable to take another one until it is opened again, though there be room by then.
    fn require_room(&self) -> Result<(), Error> {
        let space = (self.room)(&self.folder).map_err(|why| Error::Write {
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

/// Whether it is the files that are wrong, and not that they cannot be had just now.
fn is_damage(error: &fjall::Error) -> bool {
    use std::error::Error as _;

    if let fjall::Error::Locked | fjall::Error::Poisoned | fjall::Error::InvalidVersion(Some(_)) =
        error
    {
        return false;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            // A file that is missing, cut, or one that a new folder would not have.
            use io::ErrorKind::*;
            let wrong = [
                AlreadyExists,
                InvalidData,
                InvalidInput,
                NotFound,
                UnexpectedEof,
            ];
            return wrong.contains(&io.kind());
        }
        cause = inner.source();
    }
    true
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
        let is_progress = |change: &(Table, _, _)| change.0 == Table::Offsets;
        let by_people = !batch.changes.iter().all(is_progress);
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
        writes.commit().map_err(failed)?;
        self.changed.store(true, Ordering::Release);
        if by_people {
            self.changed_by_people.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn entries(&self, table: Table) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for guard in self.spaces[&table].iter() {
            let (key, value) = guard.into_inner().map_err(|why| self.unread(&why))?;
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
