//! State on disk, kept by fjall: one write batch across its keyspaces per commit.
//!
//! Fjall opens its own files. A failed write poisons the database: nothing is written after it,
//! and only opening the directory again tells what is there.

use crate::{
    Error, KeyRange,
    store::{Batch, Direction, Durability, Snapshot, Space, Store, Visit, Write},
};
use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};
use std::{path::Path, sync::Arc};

/// How much memory and how many threads a store on disk may use.
#[derive(Clone, Copy, Debug)]
pub struct FjallSettings {
    /// Bytes of blocks read from disk that stay in memory.
    pub block_cache_bytes: u64,
    /// Bytes of newly written rows that are collected before they become a sorted file.
    pub memtable_bytes: u64,
    /// Threads that flush and compact.
    pub worker_threads: usize,
}

impl Default for FjallSettings {
    fn default() -> Self {
        Self {
            block_cache_bytes: 32 << 20,
            memtable_bytes: 16 << 20,
            worker_threads: 1,
        }
    }
}

/// State in a directory. One process at a time may have it open.
pub struct FjallStore {
    database: Database,
    spaces: Spaces,
}

#[derive(Clone)]
struct Spaces {
    rows: Keyspace,
    meta: Keyspace,
    outbox: Keyspace,
}

impl Spaces {
    fn of(&self, space: Space) -> &Keyspace {
        match space {
            Space::Rows => &self.rows,
            Space::Meta => &self.meta,
            Space::Outbox => &self.outbox,
        }
    }
}

impl FjallStore {
    /// Opens the directory, creating it if there is none.
    pub fn open(directory: &Path, settings: FjallSettings) -> Result<Self, Error> {
        let failed = failed("opening it");
        let database = Database::builder(directory)
            .cache_size(settings.block_cache_bytes)
            .worker_threads(settings.worker_threads.max(1))
            .open()
            .map_err(&failed)?;
        let options =
            || KeyspaceCreateOptions::default().max_memtable_size(settings.memtable_bytes);
        let spaces = Spaces {
            rows: database.keyspace("rows", options).map_err(&failed)?,
            meta: database.keyspace("meta", options).map_err(&failed)?,
            outbox: database.keyspace("outbox", options).map_err(&failed)?,
        };
        Ok(Self { database, spaces })
    }
}

impl Store for FjallStore {
    fn get_many(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        let keyspace = self.spaces.of(space);
        let found = keys.iter().map(|key| {
            Ok(keyspace
                .get(key)?
                .map(|value| Bytes::copy_from_slice(&value)))
        });
        found
            .collect::<Result<_, fjall::Error>>()
            .map_err(failed("reading"))
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
        let mode = match durability {
            Durability::Synced => PersistMode::SyncData,
            Durability::Buffered => PersistMode::Buffer,
        };
        let mut writes = self.database.batch().durability(Some(mode));
        for write in &batch {
            match write {
                Write::Put { space, key, value } => {
                    writes.insert(self.spaces.of(*space), &key[..], &value[..])
                }
                Write::Delete { space, key } => writes.remove(self.spaces.of(*space), &key[..]),
            }
        }
        writes.commit().map_err(failed("committing an epoch"))
    }

    fn sync(&self) -> Result<(), Error> {
        self.database
            .persist(PersistMode::SyncData)
            .map_err(failed("syncing"))
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        Ok(Arc::new(FjallSnapshot {
            snapshot: self.database.snapshot(),
            spaces: self.spaces.clone(),
        }))
    }
}

struct FjallSnapshot {
    snapshot: fjall::Snapshot,
    spaces: Spaces,
}

impl Snapshot for FjallSnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let value = self
            .snapshot
            .get(self.spaces.of(space), key)
            .map_err(failed("reading"))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
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
        let keyspace = self.spaces.of(space);
        let mut entries = match &range.until {
            Some(until) => self
                .snapshot
                .range(keyspace, range.from.as_slice()..until.as_slice()),
            None => self.snapshot.range(keyspace, range.from.as_slice()..),
        };
        while let Some(entry) = match direction {
            Direction::Ascending => entries.next(),
            Direction::Descending => entries.next_back(),
        } {
            let (key, value) = entry.into_inner().map_err(failed("scanning"))?;
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn failed(doing: &'static str) -> impl Fn(fjall::Error) -> Error {
    move |source| Error::Store {
        doing,
        source: Box::new(source),
    }
}
