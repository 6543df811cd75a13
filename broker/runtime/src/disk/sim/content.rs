//! The bytes of one simulated file, in the units a disk writes whole.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes that reach the disk together or not at all.
pub(super) const SECTOR: usize = 512;

pub(super) type Sector = Arc<[u8; SECTOR]>;

/// A file's bytes. Sectors that are missing are zeros, and so is all past the length.
#[derive(Clone, Default)]
pub(super) struct Content {
    pub(super) sectors: BTreeMap<u64, Sector>,
    pub(super) len: u64,
}

impl Content {
    /// Fills `into` as far as the file goes; returns how far.
    pub(super) fn read(&self, into: &mut [u8], at: u64) -> usize {
        let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let bytes = left.min(into.len());
        let mut done = 0;
        while done < bytes {
            let (sector, within) = locate(at + done as u64);
            let part = (SECTOR - within).min(bytes - done);
            let target = &mut into[done..done + part];
            match self.sectors.get(&sector) {
                Some(held) => target.copy_from_slice(&held[within..within + part]),
                None => target.fill(0),
            }
            done += part;
        }
        bytes
    }

    /// Writes `bytes`, growing the file if need be, and tells `touched` each sector's new form.
    pub(super) fn write(&mut self, bytes: &[u8], at: u64, mut touched: impl FnMut(u64, &Sector)) {
        let mut done = 0;
        while done < bytes.len() {
            let (sector, within) = locate(at + done as u64);
            let part = (SECTOR - within).min(bytes.len() - done);
            let held = self
                .sectors
                .entry(sector)
                .or_insert_with(|| Arc::new([0; SECTOR]));
            Arc::make_mut(held)[within..within + part].copy_from_slice(&bytes[done..done + part]);
            touched(sector, held);
            done += part;
        }
        self.len = self.len.max(at + bytes.len() as u64);
    }

    /// Cuts or extends the file, and tells `touched` each sector that changed; `None` where
    /// nothing but zeros is left.
    pub(super) fn set_len(&mut self, len: u64, mut touched: impl FnMut(u64, Option<&Sector>)) {
        if len < self.len {
            let (last, within) = locate(len);
            for (sector, _) in self.sectors.split_off(&(last + u64::from(within > 0))) {
                touched(sector, None);
            }
            if let Some(held) = self.sectors.get_mut(&last) {
                Arc::make_mut(held)[within..].fill(0);
                touched(last, Some(held));
            }
        }
        self.len = len;
    }

    pub(super) fn set_sector(&mut self, sector: u64, form: Option<Sector>) {
        match form {
            Some(form) => self.sectors.insert(sector, form),
            None => self.sectors.remove(&sector),
        };
    }

    /// Turns one bit around, if the file goes as far and its sector holds anything but zeros.
    pub(super) fn flip_bit(&mut self, at: u64, bit: u8) {
        if at >= self.len {
            return;
        }
        let (sector, within) = locate(at);
        if let Some(held) = self.sectors.get_mut(&sector) {
            Arc::make_mut(held)[within] ^= 1 << (bit % 8);
        }
    }
}

/// The sector of a byte, and its place in it.
pub(super) fn locate(at: u64) -> (u64, usize) {
    (at / SECTOR as u64, (at % SECTOR as u64) as usize)
}
