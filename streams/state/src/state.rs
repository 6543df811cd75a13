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

use crate::{
    Direction, Durability, Epoch, Error, KeyRange, Progress, Snapshot, Space, Store, Write,
    cache::CachedTable,
    keys::table_prefix,
    rows,
    store::Batch,
    wire::{Reader, Writer},
};
use arrow::datatypes::Field;
use bytes::Bytes;
use dataflow::OperatorId;
use std::{cmp::Ordering, ops::ControlFlow, sync::Arc};

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
    /// Reads where the job stands.
    pub fn open(store: Arc<dyn Store>, settings: Settings) -> Result<Opened, Error> {
        let record = store
            .get_many(Space::Meta, &[PROGRESS_KEY])?
            .pop()
            .flatten();
        let progress = record
            .map(|record| Progress::decode(&record))
            .transpose()?
            .unwrap_or_default();
        let mut outbox = Vec::new();
        let mut misnamed = false;
        store.scan(
            Space::Outbox,
            &KeyRange::all(),
            Direction::Ascending,
            &mut |key, value| {
                match key.try_into() {
                    Ok(epoch) => outbox.push((
                        Epoch(u64::from_be_bytes(epoch)),
                        Bytes::copy_from_slice(value),
                    )),
                    Err(_) => misnamed = true,
                }
                ControlFlow::Continue(())
            },
        )?;
        if misnamed
            || outbox
                .last()
                .is_some_and(|(epoch, _)| *epoch > progress.epoch)
        {
            return Err(Error::Corrupt {
                what: "outbox",
                why: "an entry belongs to no committed epoch".to_owned(),
            });
        }
        let state = Self {
            store,
            settings,
            tables: Vec::new(),
            committed: progress.epoch,
            acknowledged: Vec::new(),
            closed: false,
            store_reads: 0,
        };
        Ok(Opened {
            state,
            progress,
            outbox,
        })
    }

    /// Opens a table of an operator, creating it if there is none. `part` tells the tables of
    /// one operator apart.
    ///
    /// # Errors
    /// The table was written with other columns, or is open already.
    pub fn table(
        &mut self,
        operator: &OperatorId,
        part: u8,
        keys: &[Field],
        values: &[Field],
    ) -> Result<TableId, Error> {
        let prefix = table_prefix(operator, part);
        if self.tables.iter().any(|table| table.prefix() == prefix) {
            return Err(Error::Shared {
                operator: operator.to_string(),
            });
        }
        let layout_key = [b"layout ", prefix.as_slice()].concat();
        let layout = layout(keys, values);
        match self
            .store
            .get_many(Space::Meta, &[&layout_key])?
            .pop()
            .flatten()
        {
            Some(stored) if stored != layout => {
                let (stored, asked) = (describe_layout(&stored)?, describe_layout(&layout)?);
                return Err(Error::Schema {
                    operator: operator.to_string(),
                    stored,
                    asked,
                });
            }
            Some(_) => {}
            None => {
                let write = Write::Put {
                    space: Space::Meta,
                    key: layout_key.into(),
                    value: layout.into(),
                };
                self.store.commit(vec![write], Durability::Buffered)?;
            }
        }
        let table = self.warm(CachedTable::new(prefix))?;
        self.tables.push(table);
        Ok(TableId(self.tables.len() - 1))
    }

    fn warm(&self, mut table: CachedTable) -> Result<CachedTable, Error> {
        let range = KeyRange::all().under(table.prefix());
        let skip = table.prefix().len();
        let mut all = true;
        self.store.scan(
            Space::Rows,
            &range,
            Direction::Ascending,
            &mut |key, value| {
                if table.bytes() > self.settings.warm_bytes {
                    all = false;
                    return ControlFlow::Break(());
                }
                table.remember(&key[skip..], Some(Bytes::copy_from_slice(value)));
                ControlFlow::Continue(())
            },
        )?;
        if all {
            table.now_whole();
        }
        Ok(table)
    }

    /// The rows of these keys, this epoch's writes included; one answer per key, in order.
    pub fn get_many<'k>(
        &mut self,
        table: TableId,
        keys: impl IntoIterator<Item = &'k [u8]>,
    ) -> Result<Vec<Option<Bytes>>, Error> {
        let table = &mut self.tables[table.0];
        let mut missing: Vec<(usize, &'k [u8])> = Vec::new();
        let mut found: Vec<Option<Bytes>> = Vec::new();
        for (position, key) in keys.into_iter().enumerate() {
            found.push(table.get(key).unwrap_or_else(|| {
                missing.push((position, key));
                None
            }));
        }
        if missing.is_empty() {
            return Ok(found);
        }
        missing.sort_unstable_by(|left, right| left.1.cmp(right.1));
        let stored_keys: Vec<Vec<u8>> = missing
            .iter()
            .map(|(_, key)| [table.prefix(), key].concat())
            .collect();
        let stored_keys: Vec<&[u8]> = stored_keys.iter().map(Vec::as_slice).collect();
        self.store_reads += stored_keys.len() as u64;
        let answers = self.store.get_many(Space::Rows, &stored_keys)?;
        let mut previous: Option<&[u8]> = None;
        for ((position, key), value) in missing.into_iter().zip(answers) {
            if previous != Some(key) {
                table.remember(key, value.clone());
            }
            previous = Some(key);
            found[position] = value;
        }
        Ok(found)
    }

    /// Writes a row into the running epoch.
    pub fn put(&mut self, table: TableId, key: &[u8], row: &[u8]) {
        self.tables[table.0].write(key, Some(row));
    }

    /// Deletes a row within the running epoch, if there is one.
    pub fn delete(&mut self, table: TableId, key: &[u8]) {
        self.tables[table.0].write(key, None);
    }

    /// The rows of a range in key order, this epoch's writes included.
    pub fn scan(&mut self, table: TableId, range: &KeyRange) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let mut rows = Vec::new();
        self.visit(table, range, Direction::Ascending, &mut |key, row| {
            rows.push((key.clone(), row.clone()));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// The rows whose keys start with `prefix`, in key order, this epoch's writes included.
    pub fn scan_prefix(
        &mut self,
        table: TableId,
        prefix: &[u8],
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.scan(table, &KeyRange::prefix(prefix))
    }

    /// The first row of a range in the given direction, if it has any.
    pub fn first(
        &mut self,
        table: TableId,
        range: &KeyRange,
        direction: Direction,
    ) -> Result<Option<(Bytes, Bytes)>, Error> {
        let mut first = None;
        self.visit(table, range, direction, &mut |key, row| {
            first = Some((key.clone(), row.clone()));
            ControlFlow::Break(())
        })?;
        Ok(first)
    }

    /// Takes every row of a range out of the table, in key order.
    pub fn take(&mut self, table: TableId, range: &KeyRange) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let rows = self.scan(table, range)?;
        for (key, _) in &rows {
            self.delete(table, key);
        }
        Ok(rows)
    }

    /// Visits a range's rows, merging what is in memory over what is stored.
    fn visit(
        &mut self,
        table: TableId,
        range: &KeyRange,
        direction: Direction,
        visit: &mut dyn FnMut(&Bytes, &Bytes) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let table = &self.tables[table.0];
        let ascending = table.range(range);
        let mut cached: Box<dyn Iterator<Item = (&Bytes, Option<&Bytes>)>> = match direction {
            Direction::Ascending => Box::new(ascending),
            Direction::Descending => Box::new(ascending.rev()),
        };
        let mut emit = |key: &Bytes, row: Option<&Bytes>| match row {
            Some(row) => visit(key, row),
            None => ControlFlow::Continue(()),
        };
        let mut ended = false;
        if !table.is_whole() {
            self.store_reads += 1;
            let mut next = cached.next();
            let skip = table.prefix().len();
            self.store.scan(
                Space::Rows,
                &range.under(table.prefix()),
                direction,
                &mut |stored_key, stored_row| {
                    let stored_key = &stored_key[skip..];
                    while let Some((key, row)) = next {
                        let order = match direction {
                            Direction::Ascending => key[..].cmp(stored_key),
                            Direction::Descending => stored_key.cmp(&key[..]),
                        };
                        if order == Ordering::Greater {
                            break;
                        }
                        next = cached.next();
                        ended = emit(key, row).is_break();
                        if ended || order == Ordering::Equal {
                            return if ended {
                                ControlFlow::Break(())
                            } else {
                                ControlFlow::Continue(())
                            };
                        }
                    }
                    ended = emit(
                        &Bytes::copy_from_slice(stored_key),
                        Some(&Bytes::copy_from_slice(stored_row)),
                    )
                    .is_break();
                    if ended {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                },
            )?;
            if let (Some((key, row)), false) = (next, ended) {
                ended = emit(key, row).is_break();
            }
        }
        if !ended {
            for (key, row) in cached {
                if emit(key, row).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Commits the epoch: its rows, its progress and its outbox, and the deletion of
    /// acknowledged outboxes, all or nothing.
    ///
    /// # Errors
    /// After an error of the store it is unknown whether the epoch is committed, and every
    /// later call fails: open the state again.
    pub fn commit(&mut self, commit: Commit, durability: Durability) -> Result<(), Error> {
        if self.closed {
            return Err(Error::Closed);
        }
        let epoch = commit.progress.epoch;
        if epoch.0 != self.committed.0 + 1 {
            return Err(Error::EpochOrder {
                committed: self.committed.0,
                asked: epoch.0,
            });
        }
        let mut batch = Batch::new();
        for table in &self.tables {
            table.stage(&mut batch);
        }
        let progress = commit.progress.encode().into();
        batch.push(Write::Put {
            space: Space::Meta,
            key: Bytes::from_static(PROGRESS_KEY),
            value: progress,
        });
        if !commit.outbox.is_empty() {
            batch.push(Write::Put {
                space: Space::Outbox,
                key: outbox_key(epoch),
                value: commit.outbox,
            });
        }
        for epoch in &self.acknowledged {
            batch.push(Write::Delete {
                space: Space::Outbox,
                key: outbox_key(*epoch),
            });
        }
        self.closed = true;
        self.store.commit(batch, durability)?;
        self.closed = false;
        self.acknowledged.clear();
        self.committed = epoch;
        self.after_commit();
        Ok(())
    }

    fn after_commit(&mut self) {
        for table in &mut self.tables {
            table.committed();
        }
        let bytes: usize = self.tables.iter().map(CachedTable::bytes).sum();
        if bytes > self.settings.cache_bytes {
            // Going well below the limit at once keeps the next commits from evicting again.
            let keep = self.settings.cache_bytes as f64 * 0.75 / bytes as f64;
            for table in &mut self.tables {
                table.evict_to((table.bytes() as f64 * keep) as usize);
            }
        }
    }

    /// Forgets the running epoch's writes.
    pub fn roll_back(&mut self) -> Result<(), Error> {
        for table in &mut self.tables {
            let keys = table.roll_back();
            let stored_keys: Vec<Vec<u8>> = keys
                .iter()
                .map(|key| [table.prefix(), key].concat())
                .collect();
            let stored_keys: Vec<&[u8]> = stored_keys.iter().map(Vec::as_slice).collect();
            let rows = self.store.get_many(Space::Rows, &stored_keys)?;
            for (key, row) in keys.iter().zip(rows) {
                table.remember(key, row);
            }
        }
        Ok(())
    }

    /// What this epoch published has arrived; its outbox goes with the next commit. If the
    /// process dies before, it is published once more.
    pub fn acknowledge(&mut self, epoch: Epoch) {
        self.acknowledged.push(epoch);
    }

    /// Returns once every committed epoch survives a power loss.
    pub fn sync(&self) -> Result<(), Error> {
        if self.closed {
            Err(Error::Closed)
        } else {
            self.store.sync()
        }
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

fn outbox_key(epoch: Epoch) -> Bytes {
    Bytes::copy_from_slice(&epoch.0.to_be_bytes())
}

/// What a table's bytes mean: row format, key columns, value columns.
fn layout(keys: &[Field], values: &[Field]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(rows::FORMAT);
    for fields in [keys, values] {
        writer.count(fields.len());
        for field in fields {
            writer.bytes(field.name().as_bytes());
            writer.bytes(field.data_type().to_string().as_bytes());
        }
    }
    writer.finish()
}

fn describe_layout(bytes: &[u8]) -> Result<String, Error> {
    let mut reader = Reader::new("table layout", bytes);
    let mut text = format!("format {}", reader.u8()?);
    for part in [" keys", " values"] {
        let mut columns = Vec::new();
        for _ in 0..reader.count()? {
            let name = reader.text()?;
            columns.push(format!("{name} {}", reader.text()?));
        }
        text.push_str(&format!("{part} ({})", columns.join(", ")));
    }
    reader.finish()?;
    Ok(text)
}
