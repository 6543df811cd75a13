//! The files in which RocketMQ keeps where the messages of a queue lie.
//!
//! ```text
//! log offset 8 | size 4 | tags code 8        one entry for each offset of the queue
//! ```
//! Offsets in front of a queue's beginning have RocketMQ's own filler: it points in front of the
//! log, which is how RocketMQ finds where the queue begins. Where a message is lost behind that,
//! the entry points at a [`Placeholder`]. RocketMQ's filler would not do there: a reader that
//! meets it goes past everything in the segment that it points at.

use super::placeholder::Placeholder;
use super::queue_file::QueueFiles;
use crate::Error;
use crate::queue_index::IndexEntry;

const ENTRY_BYTES: u64 = 20;
/// Size in the filler of RocketMQ.
const FILLER_SIZE: u32 = i32::MAX as u32;

/// A queue as far as it is written.
pub(super) struct ConsumeQueue<'a> {
    files: QueueFiles,
    placeholder: &'a Placeholder,
    /// Places that point at it.
    pub lost: u64,
}

/// From where to where offsets are, and where the log begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub min: u64,
    pub end: u64,
    pub log_min: u64,
}

impl Extent {
    /// The first entry that has to be in a file.
    pub(super) fn first(self) -> u64 {
        self.min.min(self.end.saturating_sub(1))
    }
}

impl<'a> ConsumeQueue<'a> {
    pub(super) fn shape(entries: u64) -> (u64, u64) {
        (ENTRY_BYTES, entries)
    }

    /// Fills the front of the first file up to where the queue begins.
    pub(super) fn begin(
        files: QueueFiles,
        extent: Extent,
        placeholder: &'a Placeholder,
    ) -> Result<Self, Error> {
        let mut queue = Self {
            files,
            placeholder,
            lost: 0,
        };
        while queue.files.next() < extent.min {
            if extent.log_min == 0 {
                queue.push_lost()?;
                continue;
            }
            // The size of the last entry tells RocketMQ how far the queue has come in the log.
            let last = queue.files.next() + 1 == extent.end;
            let size = if last { 1 } else { FILLER_SIZE };
            queue.files.push(&entry(0, size, 0))?;
        }
        Ok(queue)
    }

    pub(super) fn push(&mut self, found: &IndexEntry) -> Result<(), Error> {
        if !found.is_hole() {
            let bytes = entry(found.log_offset.0, found.size, found.tags_code);
            self.files.push(&bytes)?;
        }
        while self.files.next() < found.next().0 {
            self.push_lost()?;
        }
        Ok(())
    }

    pub(super) fn end(self) -> Result<u64, Error> {
        self.files.end()?;
        Ok(self.lost)
    }

    fn push_lost(&mut self) -> Result<(), Error> {
        self.lost += 1;
        let (at, size) = self.placeholder.place();
        self.files.push(&entry(at, size, 0))
    }
}

fn entry(at: u64, size: u32, tags_code: i64) -> [u8; ENTRY_BYTES as usize] {
    let mut bytes = [0; ENTRY_BYTES as usize];
    bytes[..8].copy_from_slice(&at.to_be_bytes());
    bytes[8..12].copy_from_slice(&size.to_be_bytes());
    bytes[12..].copy_from_slice(&tags_code.to_be_bytes());
    bytes
}
