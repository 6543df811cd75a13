//! One table's rows in memory: what this epoch wrote, and what it or an earlier one read.
//!
//! An entry that this epoch wrote stays until the commit. Clean entries may be evicted at any
//! commit, the ones not used lately first. While a table is *whole*, every row it has is here:
//! a missing key is an absent row and nobody asks the store.

use crate::{KeyRange, store::Write};
use bytes::Bytes;
use std::{collections::BTreeMap, ops::Bound};

/// What an entry costs besides its bytes: tree node, two handles, flags.
const ENTRY_BYTES: usize = 96;

/// The rows of one table that are in memory.
pub(crate) struct CachedTable {
    prefix: Vec<u8>,
    entries: BTreeMap<Bytes, Entry>,
    whole: bool,
    bytes: usize,
    /// Keys this epoch wrote, each once.
    dirty: Vec<Bytes>,
}

struct Entry {
    /// None: the row is deleted, or known to be absent.
    value: Option<Bytes>,
    /// False only if the store certainly has no row of this key.
    maybe_stored: bool,
    dirty: bool,
    used: bool,
}

impl CachedTable {
    /// A table of which nothing is in memory yet.
    pub(crate) fn new(prefix: Vec<u8>) -> Self {
        Self {
            prefix,
            entries: BTreeMap::new(),
            whole: false,
            bytes: 0,
            dirty: Vec::new(),
        }
    }

    /// The caller has loaded every row there is.
    pub(crate) fn now_whole(&mut self) {
        self.whole = true;
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    pub(crate) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Bytes that the table holds in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// `None` if only the store knows, `Some(None)` if there is no such row.
    pub(crate) fn get(&mut self, key: &[u8]) -> Option<Option<Bytes>> {
        match self.entries.get_mut(key) {
            Some(entry) => {
                entry.used = true;
                Some(entry.value.clone())
            }
            None if self.whole => Some(None),
            None => None,
        }
    }

    /// Keeps what the store answered.
    pub(crate) fn remember(&mut self, key: &[u8], value: Option<Bytes>) {
        let maybe_stored = value.is_some();
        self.bytes += ENTRY_BYTES + key.len() + value.as_ref().map_or(0, Bytes::len);
        let entry = Entry {
            value,
            maybe_stored,
            dirty: false,
            used: true,
        };
        self.entries.insert(Bytes::copy_from_slice(key), entry);
    }

    /// Writes into the epoch; `None` deletes.
    pub(crate) fn write(&mut self, key: &[u8], value: Option<&[u8]>) {
        let value = value.map(Bytes::copy_from_slice);
        let length = value.as_ref().map_or(0, Bytes::len);
        if let Some(entry) = self.entries.get_mut(key) {
            self.bytes = self.bytes + length - entry.value.as_ref().map_or(0, Bytes::len);
            entry.value = value;
            entry.used = true;
            if !entry.dirty {
                entry.dirty = true;
                let (key, _) = self
                    .entries
                    .get_key_value(key)
                    .expect("the entry was just there");
                self.dirty.push(key.clone());
            }
            return;
        }
        let key = Bytes::copy_from_slice(key);
        self.bytes += ENTRY_BYTES + key.len() + length;
        self.dirty.push(key.clone());
        self.entries.insert(
            key,
            Entry {
                value,
                maybe_stored: !self.whole,
                dirty: true,
                used: true,
            },
        );
    }

    /// Live rows and known gaps of a range, in key order.
    pub(crate) fn range(
        &self,
        range: &KeyRange,
    ) -> impl DoubleEndedIterator<Item = (&Bytes, Option<&Bytes>)> {
        let until = match range.until.as_deref() {
            // A tree refuses a range that ends before it begins.
            Some(until) => Bound::Excluded(until.max(&range.from)),
            None => Bound::Unbounded,
        };
        let from = if range.is_empty() {
            Bound::Excluded(&range.from[..])
        } else {
            Bound::Included(&range.from[..])
        };
        let entries = (!range.is_empty()).then(|| self.entries.range::<[u8], _>((from, until)));
        entries
            .into_iter()
            .flatten()
            .map(|(key, entry)| (key, entry.value.as_ref()))
    }

    /// Appends to `batch` what the store must change for this epoch.
    pub(crate) fn stage(&self, batch: &mut Vec<Write>) {
        use crate::Space::Rows as space;
        for key in &self.dirty {
            let entry = &self.entries[key];
            let stored_key = Bytes::from([&self.prefix[..], key].concat());
            match &entry.value {
                Some(value) => batch.push(Write::Put {
                    space,
                    key: stored_key,
                    value: value.clone(),
                }),
                None if entry.maybe_stored => batch.push(Write::Delete {
                    space,
                    key: stored_key,
                }),
                None => {}
            }
        }
    }

    /// The store has what [`stage`](Self::stage) said.
    pub(crate) fn committed(&mut self) {
        for key in std::mem::take(&mut self.dirty) {
            let entry = self
                .entries
                .get_mut(&key)
                .expect("dirty entries are never evicted");
            if entry.value.is_some() {
                entry.dirty = false;
                entry.maybe_stored = true;
            } else {
                self.entries.remove(&key);
                self.bytes -= ENTRY_BYTES + key.len();
            }
        }
    }

    /// Forgets what this epoch wrote. Returns the keys whose earlier rows only the store knows
    /// now: the caller must [`remember`](Self::remember) each of them.
    pub(crate) fn roll_back(&mut self) -> Vec<Bytes> {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|key| {
            let entry = self
                .entries
                .remove(key)
                .expect("dirty entries are never evicted");
            self.bytes -= ENTRY_BYTES + key.len() + entry.value.map_or(0, |value| value.len());
            entry.maybe_stored
        });
        dirty
    }

    /// Drops clean entries, unused ones first, until at most `target` bytes are left.
    pub(crate) fn evict_to(&mut self, target: usize) {
        for spare_used in [true, false] {
            if self.bytes <= target {
                return;
            }
            let bytes = &mut self.bytes;
            let whole = &mut self.whole;
            self.entries.retain(|key, entry| {
                let spared = entry.dirty || *bytes <= target || (spare_used && entry.used);
                entry.used = false;
                if !spared {
                    *bytes -= ENTRY_BYTES + key.len() + entry.value.as_ref().map_or(0, Bytes::len);
                    *whole &= entry.value.is_none();
                }
                spared
            });
        }
    }
}
