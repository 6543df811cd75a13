//! The files of one queue: entries of one size, so many in each, named by the byte they begin at.

use std::path::PathBuf;
use std::sync::Arc;

use runtime::{Disk, Open};

use super::writing;
use crate::Error;
use crate::segment::file_name;

/// Entries that wait in memory, at most.
const TOGETHER: usize = 64 << 10;

pub(super) struct QueueFiles {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    entry_bytes: u64,
    file_bytes: u64,
    buffer: Vec<u8>,
    /// Position of the first byte of `buffer`, over all files.
    start: u64,
}

impl QueueFiles {
    /// Begins the queue in `folder` with the file that holds the entry of this number.
    pub(super) fn begin(
        disk: &Arc<dyn Disk>,
        folder: PathBuf,
        (entry_bytes, entries): (u64, u64),
        first: u64,
    ) -> Result<Self, Error> {
        disk.create_dir_all(&folder).map_err(writing)?;
        Ok(Self {
            disk: disk.clone(),
            folder,
            entry_bytes,
            file_bytes: entry_bytes * entries,
            buffer: Vec::new(),
            start: first / entries * entries * entry_bytes,
        })
    }

    /// Number of the next entry.
    pub(super) fn next(&self) -> u64 {
        (self.start + self.buffer.len() as u64) / self.entry_bytes
    }

    pub(super) fn push(&mut self, entry: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(entry);
        if self.buffer.len() >= TOGETHER * entry.len() {
            self.write_out()?;
        }
        Ok(())
    }

    /// Everything is durable when this returns.
    pub(super) fn end(mut self) -> Result<(), Error> {
        self.write_out()?;
        self.disk.fsync_dir(&self.folder).map_err(writing)
    }

    fn write_out(&mut self) -> Result<(), Error> {
        let mut rest = self.buffer.as_slice();
        while !rest.is_empty() {
            let within = self.start % self.file_bytes;
            let path = self.folder.join(file_name(self.start - within));
            let room = usize::try_from(self.file_bytes - within).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(room.min(rest.len()));
            let file = self.disk.open(&path, Open::Create).map_err(writing)?;
            file.set_len(self.file_bytes)
                .and_then(|()| file.write_all_at(now, within))
                .and_then(|()| file.fdatasync())
                .map_err(writing)?;
            self.start += now.len() as u64;
            rest = later;
        }
        self.buffer.clear();
        Ok(())
    }
}
