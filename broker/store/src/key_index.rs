//! Finds records by key, newest first.
//!
//! The index holds hashes, so whoever asks reads the record and compares topic and key. Tables
//! cover stretches of the log; only the newest one grows, and the oldest go when there are too
//! many entries.

use std::collections::VecDeque;

use parking_lot::RwLock;

/// Entries in one table.
const TABLE_ENTRIES: usize = 1 << 20;
/// Entries in all tables together.
const ENTRIES_LIMIT: usize = 8 << 20;
/// No entry.
const NONE: u32 = u32::MAX;

#[derive(Default)]
pub(crate) struct KeyIndex {
    /// Oldest first.
    tables: RwLock<VecDeque<Table>>,
}

/// Entries in the order of the log, chained by slot, the newest first in every chain.
struct Table {
    entries: Vec<Entry>,
    slots: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Entry {
    at: u64,
    hash: u32,
    /// The entry before this one in its slot.
    before: u32,
}

impl KeyIndex {
    /// Adds a record's keys. Records come in the order of the log.
    pub(crate) fn add(&self, records: impl IntoIterator<Item = (u32, u64)>) {
        let mut tables = self.tables.write();
        for (hash, at) in records {
            if tables
                .back()
                .is_none_or(|table| table.entries.len() >= TABLE_ENTRIES)
            {
                tables.push_back(Table::new());
                while tables.len() * TABLE_ENTRIES > ENTRIES_LIMIT {
                    tables.pop_front();
                }
            }
            if let Some(table) = tables.back_mut() {
                table.add(hash, at);
            }
        }
    }

    /// Puts the keys of an older part of the log behind all that are here. False if there was
    /// no room for all of them.
    pub(crate) fn add_older(&self, older: KeyIndex) -> bool {
        let mut tables = self.tables.write();
        for table in older.tables.into_inner().into_iter().rev() {
            if (tables.len() + 1) * TABLE_ENTRIES > ENTRIES_LIMIT {
                return false;
            }
            tables.push_front(table);
        }
        true
    }

    /// Log offsets of records that may have the key, newest first, from below `before` on.
    pub(crate) fn find(&self, hash: u32, before: u64, limit: usize) -> Vec<u64> {
        let tables = self.tables.read();
        let found = tables.iter().rev().flat_map(|table| table.find(hash));
        found.filter(|at| *at < before).take(limit).collect()
    }

    /// Forgets records below `log_min` where whole tables hold nothing else.
    pub(crate) fn drop_below(&self, log_min: u64) {
        let mut tables = self.tables.write();
        while tables.len() > 1 && tables.front().is_some_and(|table| table.end() <= log_min) {
            tables.pop_front();
        }
    }

    pub(crate) fn entries(&self) -> usize {
        self.tables
            .read()
            .iter()
            .map(|table| table.entries.len())
            .sum()
    }
}

impl Table {
    fn new() -> Self {
        Self {
            entries: Vec::new(),
            slots: vec![NONE; 1 << 10],
        }
    }

    /// One more than the offset of the newest entry.
    fn end(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.at + 1)
    }

    fn add(&mut self, hash: u32, at: u64) {
        if self.entries.len() >= self.slots.len() {
            self.widen();
        }
        let slot = self.slot(hash);
        let before = std::mem::replace(&mut self.slots[slot], self.entries.len() as u32);
        self.entries.push(Entry { at, hash, before });
    }

    fn widen(&mut self) {
        self.slots = vec![NONE; self.slots.len() * 4];
        for index in 0..self.entries.len() {
            let slot = self.slot(self.entries[index].hash);
            self.entries[index].before = std::mem::replace(&mut self.slots[slot], index as u32);
        }
    }

    fn slot(&self, hash: u32) -> usize {
        // Java's hashes are weak in their low bits; a multiplication spreads them.
        let spread = u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (spread >> 32) as usize & (self.slots.len() - 1)
    }

    fn find(&self, hash: u32) -> impl Iterator<Item = u64> + '_ {
        let mut next = self.slots[self.slot(hash)];
        let chain = std::iter::from_fn(move || {
            let entry = self.entries.get(next as usize)?;
            next = entry.before;
            Some(entry)
        });
        chain
            .filter(move |entry| entry.hash == hash)
            .map(|entry| entry.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_with_a_key_are_found_newest_first() {
        let keys = KeyIndex::default();
        keys.add((0..5_000u64).map(|at| ((at % 7) as u32, at)));
        assert_eq!(keys.find(3, u64::MAX, 3), [4_994, 4_987, 4_980]);
        assert_eq!(keys.find(3, 4_987, 1), [4_980]);
        assert_eq!(keys.find(3, u64::MAX, 10_000).len(), 714);
        assert!(keys.find(9, u64::MAX, 1).is_empty());
    }

    #[test]
    fn older_keys_join_behind_newer_ones() {
        let keys = KeyIndex::default();
        keys.add([(1, 100), (2, 110)]);
        let older = KeyIndex::default();
        older.add([(1, 5), (1, 9)]);
        assert!(keys.add_older(older));
        keys.add([(1, 120)]);
        assert_eq!(keys.find(1, u64::MAX, 10), [120, 100, 9, 5]);
    }

    #[test]
    fn whole_tables_below_the_beginning_of_the_log_go() {
        let keys = KeyIndex::default();
        keys.add((0..TABLE_ENTRIES as u64 + 1).map(|at| (1, at)));
        keys.drop_below(TABLE_ENTRIES as u64);
        assert_eq!(keys.entries(), 1);
    }
}
