//! The files in which RocketMQ keeps where the batches of a queue lie, for topics whose
//! `queue.type` is `BatchCQ`.
//!
//! ```text
//! log offset 8 | size 4 | tags code 8 | stored 8 | first offset 8 | messages 2 | −1 (4) | 0 (4)
//! ```

use super::placeholder::Placeholder;
use super::queue_file::QueueFiles;
use crate::Error;
use crate::queue_index::IndexEntry;

const ENTRY_BYTES: u64 = 46;
/// Messages that one entry can stand for.
const MOST: u64 = i16::MAX as u64;

pub(super) struct BatchQueue<'a> {
    files: QueueFiles,
    placeholder: &'a Placeholder,
    lost: u64,
}

struct Batch {
    at: u64,
    size: u32,
    tags_code: i64,
    stored: i64,
    first: u64,
    messages: u16,
}

impl<'a> BatchQueue<'a> {
    pub(super) fn shape(entries: u64) -> (u64, u64) {
        (ENTRY_BYTES, entries)
    }

    pub(super) fn begin(files: QueueFiles, placeholder: &'a Placeholder) -> Self {
        Self {
            files,
            placeholder,
            lost: 0,
        }
    }

    /// `stored` is when the record of the entry was stored.
    pub(super) fn push(&mut self, found: &IndexEntry, stored: i64) -> Result<(), Error> {
        if found.is_hole() {
            return self.push_lost(found.queue_offset.0, found.next().0);
        }
        let batch = Batch {
            at: found.log_offset.0,
            size: found.size,
            tags_code: found.tags_code,
            stored,
            first: found.queue_offset.0,
            messages: u64::from(found.count).min(MOST) as u16,
        };
        self.files.push(&batch.encode())
    }

    /// The offsets from one to another have no messages any more.
    pub(super) fn push_lost(&mut self, from: u64, to: u64) -> Result<(), Error> {
        let mut first = from;
        while first < to {
            let messages = (to - first).min(MOST);
            let (at, size) = self.placeholder.place();
            let batch = Batch {
                at,
                size,
                tags_code: 0,
                stored: self.placeholder.stored,
                first,
                messages: messages as u16,
            };
            self.files.push(&batch.encode())?;
            first += messages;
        }
        self.lost += to - from;
        Ok(())
    }

    pub(super) fn end(self) -> Result<u64, Error> {
        self.files.end()?;
        Ok(self.lost)
    }
}

impl Batch {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ENTRY_BYTES as usize);
        bytes.extend_from_slice(&self.at.to_be_bytes());
        bytes.extend_from_slice(&self.size.to_be_bytes());
        bytes.extend_from_slice(&self.tags_code.to_be_bytes());
        bytes.extend_from_slice(&self.stored.to_be_bytes());
        bytes.extend_from_slice(&self.first.to_be_bytes());
        bytes.extend_from_slice(&self.messages.to_be_bytes());
        bytes.extend_from_slice(&(-1i32).to_be_bytes());
        bytes.extend_from_slice(&0i32.to_be_bytes());
        bytes
    }
}
