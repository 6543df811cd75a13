//! Finds records by key, newest first.
//!
//! The index holds hashes, so whoever asks reads the record and compares topic and key. The
//! newest records are in memory; what lies before them is in files that each cover a stretch of
//! one segment, in the end all of it, and go with it. Files are made and mended beside
//! ([`crate::key_upkeep`]), from memory where it reaches back far enough and else from the log.

mod file;
mod files;
mod table;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use runtime::Disk;

use crate::Error;
use crate::sync::RwLock;
pub(crate) use file::{Stretch, Unreadable, read_file};
use files::KeyFiles;
pub(crate) use files::stretch_of;

use table::Table;

/// Entries in one table: where memory ends within one, its rest is copied.
const TABLE_ENTRIES: usize = 1 << 16;
/// Tables in memory. Whoever falls behind with writing files reads the log for them.
const TABLES: usize = 128;
/// Tables from which on a file is made though its segment is not full.
const MANY_TABLES: usize = 64;

/// Keys that are sorted in memory to make one file of several.
const JOINED: usize = 4 << 20;

pub(crate) struct KeyIndex {
    memory: RwLock<Memory>,
    files: KeyFiles,
}

/// Guards the keys of the newest records.
struct Memory {
    /// The keys of every record from here on are in the tables.
    from: u64,
    /// Oldest first.
    tables: VecDeque<Arc<Table>>,
}

impl KeyIndex {
    /// An index of the records from `from` on, which are yet to be added.
    pub(crate) fn new(disk: Arc<dyn Disk>, directory: PathBuf, from: u64) -> Self {
        let memory = Memory {
            from,
            tables: VecDeque::new(),
        };
        Self {
            memory: RwLock::new(memory),
            files: KeyFiles::new(disk, directory),
        }
    }

    /// Takes over the files of an earlier life that lie within this stretch, and no others.
    pub(crate) fn take_over(&self, stretch: Stretch) -> Result<(), Error> {
        self.files.begin(stretch)
    }

    /// Adds a record's keys. Records come in the order of the log.
    pub(crate) fn add(&self, records: impl IntoIterator<Item = (u32, u64)>) {
        let mut memory = self.memory.write();
        for (hash, at) in records {
            memory.add(hash, at);
        }
    }

    /// Log offsets of records that may have the key, newest first, from below `before` on, as far
    /// as they are in memory; and from where on that is.
    pub(crate) fn find_new(&self, hash: u32, before: u64, limit: usize) -> (Vec<u64>, u64) {
        let memory = self.memory.read();
        let tables = memory.tables.iter().rev();
        let found = tables.flat_map(|table| table.find(hash));
        let found = found.filter(|at| (memory.from..before).contains(at));
        (found.take(limit).collect(), memory.from)
    }

    /// As [`KeyIndex::find_new`], of what is in files. Waits for the disk.
    pub(crate) fn find_old(&self, hash: u32, before: u64, limit: usize) -> Vec<u64> {
        self.files.find(hash, before, limit)
    }

    /// From where on all keys are in memory.
    pub(crate) fn memory_from(&self) -> u64 {
        self.memory.read().from
    }

    /// True if so much is in memory that it should not wait for the end of the segment.
    pub(crate) fn is_large(&self) -> bool {
        self.memory.read().tables.len() >= MANY_TABLES
    }

    /// Moves what memory holds below `to` to a file. A segment ends there, or all records below
    /// it have been added.
    pub(crate) fn move_to_file(&self, to: u64) -> Result<(), Error> {
        let (from, tables) = {
            let memory = self.memory.read();
            (memory.from, memory.tables.clone())
        };
        let stretch = Stretch { from, to };
        let entries = tables.iter().flat_map(|table| table.entries());
        let within = entries.filter(|(_, at)| (from..to).contains(at));
        self.files.write(stretch, within)?;
        self.memory.write().forget_below(to);
        Ok(())
    }

    /// Makes the file of a stretch.
    pub(crate) fn write(&self, stretch: Stretch, entries: Vec<(u32, u64)>) -> Result<(), Error> {
        self.files.write(stretch, entries)
    }

    /// The newest part of a stretch that has no file.
    pub(crate) fn newest_gap(&self, within: Stretch) -> Option<Stretch> {
        self.files.newest_gap(within)
    }

    /// Makes one file of those that cover a stretch together. False if there is no need, or if
    /// they hold too much to be sorted in memory.
    pub(crate) fn join(&self, stretch: Stretch) -> Result<bool, Error> {
        let parts = self.files.parts(stretch);
        if parts.len() < 2 {
            return Ok(false);
        }
        let counts = parts.iter().map(|part| self.files.count(*part));
        match counts.sum::<Option<usize>>() {
            Some(keys) if keys > JOINED => return Ok(false),
            Some(_) => {}
            // A gap now: the log fills it first.
            None => return Ok(true),
        }
        let mut entries = Vec::new();
        for part in parts {
            match self.files.entries(part) {
                Some(part) => entries.extend(part),
                None => return Ok(true),
            }
        }
        self.files.write(stretch, entries)?;
        Ok(true)
    }

    /// Forgets records below `log_min`, where a segment begins.
    pub(crate) fn drop_below(&self, log_min: u64) {
        self.memory.write().forget_below(log_min);
        self.files.drop_below(log_min);
    }

    /// How many keys are in memory.
    pub(crate) fn entries(&self) -> usize {
        self.memory
            .read()
            .tables
            .iter()
            .map(|table| table.len())
            .sum()
    }

    pub(crate) fn files(&self) -> usize {
        self.files.len()
    }
}

impl Memory {
    fn add(&mut self, hash: u32, at: u64) {
        let full = |table: &Arc<Table>| table.len() >= TABLE_ENTRIES;
        if self.tables.back().is_none_or(full) {
            self.tables.push_back(Arc::new(Table::new()));
            if self.tables.len() > TABLES
                && let Some(oldest) = self.tables.pop_front()
            {
                self.from = self.from.max(oldest.end());
            }
        }
        if let Some(table) = self.tables.back_mut() {
            // A copy only while somebody writes a file of it.
            Arc::make_mut(table).add(hash, at);
        }
    }

    fn forget_below(&mut self, to: u64) {
        self.from = self.from.max(to);
        while self
            .tables
            .pop_front_if(|table| table.end() <= to)
            .is_some()
        {}
        if let Some(table) = self.tables.front_mut() {
            *table = Arc::new(table.from(to));
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime::{Rng, SimDisk};

    use super::*;

    fn index(from: u64) -> KeyIndex {
        let disk = SimDisk::new(Rng::seeded(1)).mount();
        let index = KeyIndex::new(disk, "/keys".into(), from);
        index
            .take_over(Stretch { from: 0, to: 0 })
            .expect("it begins");
        index
    }

    fn find(index: &KeyIndex, hash: u32, before: u64, limit: usize) -> Vec<u64> {
        let (mut found, from) = index.find_new(hash, before, limit);
        let older = index.find_old(hash, before.min(from), limit - found.len());
        found.extend(older);
        found
    }

    #[test]
    fn records_with_a_key_are_found_newest_first() {
        let keys = index(0);
        keys.add((0..5_000u64).map(|at| ((at % 7) as u32, at)));
        for _ in 0..2 {
            assert_eq!(find(&keys, 3, u64::MAX, 3), [4_994, 4_987, 4_980]);
            assert_eq!(find(&keys, 3, 4_987, 1), [4_980]);
            assert_eq!(find(&keys, 3, u64::MAX, 10_000).len(), 714);
            assert!(find(&keys, 9, u64::MAX, 1).is_empty());
            keys.move_to_file(3_000).expect("it is written");
        }
        assert_eq!(keys.entries(), 2_000);
    }

    #[test]
    fn what_memory_does_not_hold_is_a_gap_and_never_forgotten_in_silence() {
        let keys = index(0);
        let more_than_all = (TABLES * TABLE_ENTRIES) as u64 + 1;
        keys.add((0..more_than_all).map(|at| (1, at)));
        let from = keys.memory_from();
        assert_eq!(from, TABLE_ENTRIES as u64);
        let all = Stretch { from: 0, to: from };
        assert_eq!(keys.newest_gap(all), Some(all));
    }

    #[test]
    fn a_part_of_a_segment_joins_the_rest() {
        let keys = index(10);
        keys.write(Stretch { from: 0, to: 10 }, vec![(1, 5)])
            .expect("it is written");
        keys.add([(1, 20), (1, 30), (1, 110)]);
        keys.move_to_file(100).expect("it is written");
        let segment = Stretch { from: 0, to: 100 };
        assert_eq!(keys.files(), 2);
        assert!(keys.join(segment).expect("it is written"));
        assert!(!keys.join(segment).expect("it is looked at"));
        assert_eq!(keys.files(), 1);
        assert_eq!(find(&keys, 1, u64::MAX, 9), [110, 30, 20, 5]);
    }
}
