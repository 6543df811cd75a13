//! One simulated file: what programs see, what the disk holds, and what lies between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::content::{Content, SECTOR, Sector, locate};
use crate::Rng;

/// Forms of one sector remembered between two syncs. Any of them may be what a crash leaves.
const KEPT_FORMS: usize = 4;

/// A file's two layers.
#[derive(Default)]
pub(super) struct Inode {
    /// What reads see.
    current: Content,
    /// What a crash cannot take away.
    durable: Content,
    /// Sectors changed since the last sync, each with the forms it had, oldest first.
    pending: BTreeMap<u64, Vec<Option<Sector>>>,
    /// Sectors written since the cache was last cold.
    hot: BTreeSet<u64>,
    /// Bytes for which space is reserved.
    reserved: u64,
}

/// Which pending sectors a crash lets through.
enum Fate {
    Nothing,
    Everything,
    /// The first so many, in the order of the file.
    Prefix(usize),
    /// Each with this probability.
    Each(f64),
}

impl Inode {
    pub(super) fn len(&self) -> u64 {
        self.current.len
    }

    pub(super) fn reserved(&self) -> u64 {
        self.reserved
    }

    pub(super) fn read(&self, into: &mut [u8], at: u64) -> usize {
        self.current.read(into, at)
    }

    pub(super) fn write(&mut self, bytes: &[u8], at: u64) {
        let (pending, hot) = (&mut self.pending, &mut self.hot);
        self.current.write(bytes, at, |sector, form| {
            note(pending, sector, Some(form.clone()));
            hot.insert(sector);
        });
        self.reserved = self.reserved.max(at + bytes.len() as u64);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let pending = &mut self.pending;
        self.current
            .set_len(len, |sector, form| note(pending, sector, form.cloned()));
        self.reserved = self.reserved.min(len);
    }

    pub(super) fn reserve(&mut self, len: u64) {
        self.reserved = self.reserved.max(len);
        self.current.len = self.current.len.max(len);
    }

    pub(super) fn sync(&mut self) {
        for (sector, forms) in std::mem::take(&mut self.pending) {
            let newest = forms
                .into_iter()
                .next_back()
                .expect("a pending sector has a form");
            self.durable.set_sector(sector, newest);
        }
        self.durable.len = self.current.len;
    }

    /// A sync that fails: some of what was pending reaches the disk, at least one sector does
    /// not, and the cache takes all of it for clean. Reads still see it; no later sync will
    /// write it.
    pub(super) fn sync_failing(&mut self, rng: &Rng) {
        let mut pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            let lost = rng.range(0..pending.len() as u64) as usize;
            let sector = *pending.keys().nth(lost).expect("drawn below the length");
            pending.remove(&sector);
        }
        self.persist_some(pending, rng);
    }

    /// The power fails: each pending sector keeps its durable form or one it had since, and
    /// the length is the durable one, the latest, or one between.
    pub(super) fn crash(&mut self, rng: &Rng) {
        let pending = std::mem::take(&mut self.pending);
        self.persist_some(pending, rng);
        let (low, high) = (
            self.durable.len.min(self.current.len),
            self.durable.len.max(self.current.len),
        );
        let len = match rng.range(0..3) {
            _ if low == high => low,
            0 => self.durable.len,
            1 => self.current.len,
            _ => rng.range(low..high + 1),
        };
        // The disk may hold sectors past the end that was never made durable.
        self.durable.len = u64::MAX;
        self.durable.set_len(len, |_, _| {});
        self.current = self.durable.clone();
        self.reserved = len;
        self.hot.clear();
    }

    /// Forgets the cache: everything on the disk is cold from here on.
    pub(super) fn cool(&mut self) {
        let pending = &self.pending;
        self.hot.retain(|sector| pending.contains_key(sector));
    }

    /// Whether the byte would have to come from the disk.
    pub(super) fn is_cold(&self, at: u64) -> bool {
        !self.hot.contains(&locate(at).0)
    }

    /// Rot: the bit is wrong on the disk and for every reader.
    pub(super) fn flip_bit(&mut self, at: u64, bit: u8) {
        self.current.flip_bit(at, bit);
        self.durable.flip_bit(at, bit);
        // What is still to be written would bring back what no reader sees any more.
        let (sector, within) = locate(at);
        let pending = self.pending.get_mut(&sector);
        let forms = pending.filter(|_| at < self.current.len);
        for form in forms.into_iter().flatten().flatten() {
            Arc::make_mut(form)[within] ^= 1 << (bit % 8);
        }
    }

    fn persist_some(&mut self, pending: BTreeMap<u64, Vec<Option<Sector>>>, rng: &Rng) {
        let fate = Fate::draw(pending.len(), rng);
        for (index, (sector, mut forms)) in pending.into_iter().enumerate() {
            let through = match fate {
                Fate::Nothing => false,
                Fate::Everything => true,
                Fate::Prefix(sectors) => index < sectors,
                Fate::Each(probability) => rng.chance(probability),
            };
            if through {
                let newest = forms.len() - 1;
                let form = if rng.chance(0.75) {
                    newest
                } else {
                    rng.range(0..forms.len() as u64) as usize
                };
                self.durable.set_sector(sector, forms.swap_remove(form));
            }
        }
    }
}

impl Fate {
    /// Evenly drawn subsets alone would hardly ever be empty, whole, or a prefix.
    fn draw(sectors: usize, rng: &Rng) -> Fate {
        match rng.range(0..6) {
            0 => Fate::Nothing,
            1 => Fate::Everything,
            2 => Fate::Prefix(rng.range(0..sectors as u64 + 1) as usize),
            3 => Fate::Each(0.1),
            4 => Fate::Each(0.5),
            _ => Fate::Each(0.9),
        }
    }
}

fn note(pending: &mut BTreeMap<u64, Vec<Option<Sector>>>, sector: u64, form: Option<Sector>) {
    let forms = pending.entry(sector).or_default();
    forms.truncate(KEPT_FORMS - 1);
    forms.push(form);
}

/// The bytes of a file take whole sectors.
pub(super) fn rounded(bytes: u64) -> u64 {
    bytes.div_ceil(SECTOR as u64) * SECTOR as u64
}
