//! Keys of the newest records, in memory, in the order of the log.

/// No entry.
const NONE: u32 = u32::MAX;

/// Entries chained by slot, the newest first in every chain.
#[derive(Clone)]
pub(super) struct Table {
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

impl Table {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            slots: vec![NONE; 1 << 10],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// One more than the offset of the newest entry.
    pub(super) fn end(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.at + 1)
    }

    /// Hashes and log offsets, in the order of the log.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.entries.iter().map(|entry| (entry.hash, entry.at))
    }

    /// What it holds of the log from `at` on.
    pub(super) fn from(&self, at: u64) -> Self {
        let mut rest = Self::new();
        let first = self.entries.partition_point(|entry| entry.at < at);
        for entry in &self.entries[first..] {
            rest.add(entry.hash, entry.at);
        }
        rest
    }

    pub(super) fn add(&mut self, hash: u32, at: u64) {
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

    /// Log offsets of records that may have the key, newest first.
    pub(super) fn find(&self, hash: u32) -> impl Iterator<Item = u64> + '_ {
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
