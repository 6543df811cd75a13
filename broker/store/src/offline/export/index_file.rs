//! The files in which RocketMQ finds messages by their keys.
//!
//! ```text
//! header 40 | slots × entry number 4 | entries × (key hash 4, log offset 8, seconds 4, previous 4)
//!
//! header: begin stored 8, end stored 8, begin log offset 8, end log offset 8, slots used 4,
//!         entries and one 4
//! ```
//! Slots are in memory until a file is full, entries are written as they come. RocketMQ builds
//! these files from what it writes, never from what it finds, so they have to be there.

use std::path::PathBuf;
use std::sync::Arc;

use runtime::{Disk, File, Open};

use super::ExportShape;
use super::writing;
use crate::Error;

const HEADER: u64 = 40;
const SLOT: u64 = 4;
const ENTRY: u64 = 20;
/// Bytes of entries that wait in memory, and of slots that are written or left out together.
const TOGETHER: usize = 1 << 20;
const PAGE: usize = 4096;

pub(super) struct IndexFiles {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    shape: ExportShape,
    open: Option<IndexFile>,
    /// What RocketMQ takes over from a file into the next.
    ended: Option<(i64, u64)>,
    /// Name of the newest file, as a time.
    named: i64,
}

impl IndexFiles {
    pub(super) fn begin(
        disk: &Arc<dyn Disk>,
        folder: PathBuf,
        shape: ExportShape,
    ) -> Result<Self, Error> {
        disk.create_dir_all(&folder).map_err(writing)?;
        Ok(Self {
            disk: disk.clone(),
            folder,
            shape,
            open: None,
            ended: None,
            named: i64::MIN,
        })
    }

    /// Adds a key of the record at `at`. Keys come in the order of the log.
    pub(super) fn add(&mut self, hash: u32, at: u64, stored: i64) -> Result<(), Error> {
        let full = |file: &IndexFile| file.next >= self.shape.index_entries;
        if self.open.as_ref().is_some_and(full) {
            self.close()?;
        }
        let file = match &mut self.open {
            Some(file) => file,
            None => {
                // RocketMQ takes the time; so that the same store gives the same files, the
                // record's is taken, and a later one where two files would have one name.
                self.named = stored.max(self.named.saturating_add(1));
                let path = self.folder.join(name(self.named));
                let file = self.disk.open(&path, Open::Create).map_err(writing)?;
                let began = self.ended.unwrap_or_default();
                self.open.insert(IndexFile::begin(file, self.shape, began)?)
            }
        };
        file.add(hash, at, stored)
    }

    /// Everything is durable when this returns. The answer is when the newest record was stored
    /// that has a key, 0 if there is none.
    pub(super) fn end(mut self) -> Result<i64, Error> {
        self.close()?;
        self.disk.fsync_dir(&self.folder).map_err(writing)?;
        Ok(self.ended.map_or(0, |(stored, _)| stored))
    }

    fn close(&mut self) -> Result<(), Error> {
        if let Some(file) = self.open.take() {
            self.ended = Some((file.end_stored, file.end_at));
            file.end()?;
        }
        Ok(())
    }
}

struct IndexFile {
    file: Arc<dyn File>,
    slots: Vec<u32>,
    used: u32,
    /// Number of the next entry; there is none of number 0.
    next: u32,
    begin_stored: i64,
    begin_at: u64,
    end_stored: i64,
    end_at: u64,
    buffer: Vec<u8>,
    /// Where `buffer` belongs.
    buffer_at: u64,
}

impl IndexFile {
    fn begin(
        file: Arc<dyn File>,
        shape: ExportShape,
        (stored, at): (i64, u64),
    ) -> Result<Self, Error> {
        let entries = HEADER + SLOT * u64::from(shape.index_slots);
        let len = entries + ENTRY * u64::from(shape.index_entries);
        file.set_len(len).map_err(writing)?;
        Ok(Self {
            file,
            slots: vec![0; shape.index_slots as usize],
            used: 0,
            next: 1,
            begin_stored: stored,
            begin_at: at,
            end_stored: stored,
            end_at: at,
            buffer: Vec::new(),
            buffer_at: entries + ENTRY,
        })
    }

    fn add(&mut self, hash: u32, at: u64, stored: i64) -> Result<(), Error> {
        let place = hash as usize % self.slots.len();
        let slot = &mut self.slots[place];
        let previous = std::mem::replace(slot, self.next);
        let seconds = match self.begin_stored > 0 {
            true => (stored - self.begin_stored) / 1_000,
            false => 0,
        };
        let seconds = seconds.clamp(0, i32::MAX.into()) as u32;
        self.buffer.extend_from_slice(&hash.to_be_bytes());
        self.buffer.extend_from_slice(&at.to_be_bytes());
        self.buffer.extend_from_slice(&seconds.to_be_bytes());
        self.buffer.extend_from_slice(&previous.to_be_bytes());
        if self.next == 1 {
            (self.begin_stored, self.begin_at) = (stored, at);
        }
        (self.end_stored, self.end_at) = (stored, at);
        self.used += u32::from(previous == 0);
        self.next += 1;
        if self.buffer.len() >= TOGETHER {
            self.write_entries()?;
        }
        Ok(())
    }

    fn write_entries(&mut self) -> Result<(), Error> {
        let written = self.file.write_all_at(&self.buffer, self.buffer_at);
        written.map_err(writing)?;
        self.buffer_at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn end(mut self) -> Result<(), Error> {
        self.write_entries()?;
        for (number, slots) in self.slots.chunks(PAGE).enumerate() {
            // Most files are far from full: what is zero already takes no space.
            if slots.iter().all(|slot| *slot == 0) {
                continue;
            }
            let bytes: Vec<u8> = slots.iter().flat_map(|slot| slot.to_be_bytes()).collect();
            let at = HEADER + SLOT * (number * PAGE) as u64;
            self.file.write_all_at(&bytes, at).map_err(writing)?;
        }
        let mut header = Vec::with_capacity(HEADER as usize);
        header.extend_from_slice(&self.begin_stored.to_be_bytes());
        header.extend_from_slice(&self.end_stored.to_be_bytes());
        header.extend_from_slice(&self.begin_at.to_be_bytes());
        header.extend_from_slice(&self.end_at.to_be_bytes());
        header.extend_from_slice(&self.used.to_be_bytes());
        header.extend_from_slice(&self.next.to_be_bytes());
        self.file
            .write_all_at(&header, 0)
            .and_then(|()| self.file.fdatasync())
            .map_err(writing)
    }
}

/// `yyyyMMddHHmmssSSS` in UTC: RocketMQ sorts its files by their names.
fn name(time: i64) -> String {
    const DAY: i64 = 86_400_000;
    let (days, within) = (time.div_euclid(DAY), time.rem_euclid(DAY));
    let (year, month, day) = date(days);
    let (hours, minutes) = (within / 3_600_000, within / 60_000 % 60);
    let (seconds, milliseconds) = (within / 1_000 % 60, within % 1_000);
    format!("{year:04}{month:02}{day:02}{hours:02}{minutes:02}{seconds:02}{milliseconds:03}")
}

/// Year, month and day of so many days after 1970 began, by the calendar of 400 years that
/// begin in March.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_a_time_that_sorts() {
        assert_eq!(name(0), "19700101000000000");
        assert_eq!(name(951_827_696_789), "20000229123456789");
        assert_eq!(name(1_795_360_503_628), "20261122151503628");
    }
}
