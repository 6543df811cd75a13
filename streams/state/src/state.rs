//! A job's state as its operators see it: tables of rows, written within an epoch and committed
//! with it.
//!
//! ```text
//! operators ── get, scan, put, delete ──▶ State: rows in memory, this epoch's writes
//!                                           │ commit: one batch { rows, progress, outbox }
//!                                           ▼
//!                                         Store: fjall or memory
//! ```
//! Rows of uncommitted epochs exist in memory alone, so dropping the state forgets them.

mod commit;
mod open;
mod read;

use crate::{Epoch, Error, KeyRange, Progress, Snapshot, Store, cache::CachedTable};
use bytes::Bytes;
use std::sync::Arc;

/// Where the standing is kept.
const PROGRESS_KEY: &[u8] = b"progress";

/// How much memory rows may take.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes of rows kept in memory. The rows written by the running epoch come on top.
    pub cache_bytes: usize,
    /// Bytes of a table that are loaded when the job starts; a smaller table is then whole
    /// in memory and never read from the store again.
    pub warm_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_bytes: 128 << 20,
            warm_bytes: 4 << 20,
        }
    }
}

/// A table of an operator, within one opened [`State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableId(usize);

/// What is committed with an epoch besides the rows.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The whole new standing; its epoch follows the last committed one.
    pub progress: Progress,
    /// What this epoch publishes, in the publisher's own form. Empty: nothing.
    pub outbox: Bytes,
}

/// Sizes of a job's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of rows in memory, this epoch's writes included.
    pub cached_bytes: usize,
    pub tables: usize,
    /// Keys that had to be asked from the store since the state was opened.
    pub store_reads: u64,
}

/// A job's tables and the writes of its running epoch. Owned by the job's epoch loop.
pub struct State {
    store: Arc<dyn Store>,
    settings: Settings,
    tables: Vec<CachedTable>,
    committed: Epoch,
    /// Outbox entries to delete with the next commit.
    acknowledged: Vec<Epoch>,
    closed: bool,
    store_reads: u64,
}

/// State as a starting job finds it.
pub struct Opened {
    pub state: State,
    /// Where the job stands; the default if it never committed.
    pub progress: Progress,
    /// What was committed but perhaps not published, oldest first.
    pub outbox: Vec<(Epoch, Bytes)>,
}

impl State {
    /// Writes a row into the running epoch.
    pub fn put(&mut self, table: TableId, key: &[u8], row: &[u8]) {
        self.tables[table.0].write(key, Some(row));
    }

    /// Deletes a row within the running epoch, if there is one.
    pub fn delete(&mut self, table: TableId, key: &[u8]) {
        self.tables[table.0].write(key, None);
    }

    /// Takes every row of a range out of the table, in key order.
    pub fn take(&mut self, table: TableId, range: &KeyRange) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let rows = self.scan(table, range)?;
        for (key, _) in &rows {
            self.delete(table, key);
        }
        Ok(rows)
    }

    /// The last committed epoch.
    pub fn committed(&self) -> Epoch {
        self.committed
    }

    /// Reads of the last committed epoch.
    pub fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        self.store.snapshot()
    }

    pub fn stats(&self) -> Stats {
        Stats {
            cached_bytes: self.tables.iter().map(CachedTable::bytes).sum(),
            tables: self.tables.len(),
            store_reads: self.store_reads,
        }
    }
}
