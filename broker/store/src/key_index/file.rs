//! The keys of a stretch of the log in one sorted file that is never changed.
//!
//! ```text
//! header: magic 4 | version 4 | from 8 | to 8 | entries 8 | crc 4
//! pages of 4 KiB: crc 4 | entries × (hash 4, log offset 8), the last one filled with zeros
//! fence: crc 4 | first entry of every page × (hash 4, log offset 8)
//! ```
//! Sorted by hash, the newest record first, so that a look costs the fence once and then a page
//! or two. Every part carries its own checksum and is believed only with it.

use std::cmp::Reverse;
use std::io;

use runtime::File;

use crate::queue_index::Fields;

const MAGIC: u32 = 0x4D53_4B49;
const VERSION: u32 = 1;
const HEADER: usize = 36;
const PAGE: usize = 4_096;
const CRC: usize = 4;
const ENTRY: usize = 12;
const PAGE_ENTRIES: usize = (PAGE - CRC) / ENTRY;

/// Part of the log that a file covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub from: u64,
    pub to: u64,
}

/// A hash and where a record with it lies, in the order of the file.
type Key = (u32, Reverse<u64>);

/// Where the pages of a file are, and with what each begins.
pub(super) struct Fence {
    firsts: Vec<Key>,
    entries: usize,
}

/// Why a file gives no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it cannot be read: {0}")]
    Disk(io::Error),
    #[error("it is damaged at byte {0}")]
    Damaged(u64),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged(0),
            _ => Self::Disk(error),
        }
    }
}

/// The bytes of a file for these hashes and log offsets.
pub(super) fn encode(stretch: Stretch, entries: impl IntoIterator<Item = (u32, u64)>) -> Vec<u8> {
    let keys = entries.into_iter().map(|(hash, at)| (hash, Reverse(at)));
    let mut keys: Vec<Key> = keys.collect();
    keys.sort_unstable();
    let pages = keys.len().div_ceil(PAGE_ENTRIES);
    let mut bytes = Vec::with_capacity(HEADER + pages * (PAGE + ENTRY) + CRC);
    bytes.extend_from_slice(&MAGIC.to_be_bytes());
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    for field in [stretch.from, stretch.to, keys.len() as u64] {
        bytes.extend_from_slice(&field.to_be_bytes());
    }
    seal(&mut bytes, 0);
    let mut fence = vec![0; CRC];
    for page in keys.chunks(PAGE_ENTRIES) {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; CRC]);
        page.iter().for_each(|key| put(&mut bytes, key));
        bytes.resize(start + PAGE, 0);
        let crc = crc32fast::hash(&bytes[start + CRC..]);
        bytes[start..start + CRC].copy_from_slice(&crc.to_be_bytes());
        put(&mut fence, &page[0]);
    }
    let crc = crc32fast::hash(&fence[CRC..]);
    fence[..CRC].copy_from_slice(&crc.to_be_bytes());
    bytes.extend_from_slice(&fence);
    bytes
}

fn put(into: &mut Vec<u8>, (hash, Reverse(at)): &Key) {
    into.extend_from_slice(&hash.to_be_bytes());
    into.extend_from_slice(&at.to_be_bytes());
}

/// Adds the checksum of what lies behind `from`.
fn seal(bytes: &mut Vec<u8>, from: usize) {
    let crc = crc32fast::hash(&bytes[from..]);
    bytes.extend_from_slice(&crc.to_be_bytes());
}

/// Calls `each` with all that the file of a stretch holds.
pub(crate) fn read_file(
    file: &dyn File,
    stretch: Stretch,
    each: impl FnMut(u32, u64),
) -> Result<(), Unreadable> {
    Fence::load(file, stretch)?.all(file, each)
}

impl Fence {
    /// Reads header and fence of the file of this stretch.
    pub(super) fn load(file: &dyn File, stretch: Stretch) -> Result<Self, Unreadable> {
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0)?;
        let entries = parse_header(&header, stretch).ok_or(Unreadable::Damaged(0))?;
        let pages = entries.div_ceil(PAGE_ENTRIES);
        let at = (HEADER + pages * PAGE) as u64;
        let length = CRC + pages * ENTRY;
        // The number of entries is checked, but a file may have been cut.
        if file.len()? != at + length as u64 {
            return Err(Unreadable::Damaged(at));
        }
        let mut fence = vec![0; length];
        file.read_exact_at(&mut fence, at)?;
        let firsts = checked(&fence).map(keys).ok_or(Unreadable::Damaged(at))?;
        Ok(Self { firsts, entries })
    }

    /// How many keys the file holds.
    pub(super) fn len(&self) -> usize {
        self.entries
    }

    /// Log offsets of records that may have the key, newest first, from below `before` on.
    pub(super) fn find(
        &self,
        file: &dyn File,
        hash: u32,
        before: u64,
        limit: usize,
    ) -> Result<Vec<u64>, Unreadable> {
        let mut found = Vec::new();
        let Some(newest) = before.checked_sub(1) else {
            return Ok(found);
        };
        let wanted = (hash, Reverse(newest));
        let behind = self.firsts.partition_point(|first| *first <= wanted);
        for page in behind.saturating_sub(1)..self.firsts.len() {
            for (has, Reverse(at)) in self.page(file, page)? {
                if (has, Reverse(at)) < wanted {
                    continue;
                }
                if has != hash || found.len() == limit {
                    return Ok(found);
                }
                found.push(at);
            }
        }
        Ok(found)
    }

    /// All entries, in the order of the file.
    pub(super) fn all(
        &self,
        file: &dyn File,
        mut each: impl FnMut(u32, u64),
    ) -> Result<(), Unreadable> {
        for page in 0..self.firsts.len() {
            for (hash, Reverse(at)) in self.page(file, page)? {
                each(hash, at);
            }
        }
        Ok(())
    }

    fn page(&self, file: &dyn File, number: usize) -> Result<Vec<Key>, Unreadable> {
        let at = (HEADER + number * PAGE) as u64;
        let mut bytes = vec![0; PAGE];
        file.read_exact_at(&mut bytes, at)?;
        let content = checked(&bytes).ok_or(Unreadable::Damaged(at))?;
        let count = PAGE_ENTRIES.min(self.entries - number * PAGE_ENTRIES);
        Ok(keys(&content[..count * ENTRY]))
    }
}

fn parse_header(header: &[u8], stretch: Stretch) -> Option<usize> {
    let (content, crc) = header.split_at_checked(HEADER - CRC)?;
    let mut fields = Fields { rest: crc };
    if fields.u32()? != crc32fast::hash(content) {
        return None;
    }
    let mut fields = Fields { rest: content };
    let named = fields.u32()? == MAGIC && fields.u32()? == VERSION;
    let placed = fields.u64()? == stretch.from && fields.u64()? == stretch.to;
    let entries = usize::try_from(fields.u64()?).ok()?;
    (named && placed).then_some(entries)
}

/// What follows a checksum, if it holds.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (crc, content) = bytes.split_first_chunk::<CRC>()?;
    (crc32fast::hash(content) == u32::from_be_bytes(*crc)).then_some(content)
}

fn keys(bytes: &[u8]) -> Vec<Key> {
    let (entries, _) = bytes.as_chunks::<ENTRY>();
    let key = |entry: &[u8; ENTRY]| {
        let mut fields = Fields { rest: entry };
        Some((fields.u32()?, Reverse(fields.u64()?)))
    };
    entries.iter().filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use runtime::{Open, Rng, SimDisk};

    use super::*;

    const STRETCH: Stretch = Stretch { from: 5, to: 9_000 };

    fn file(bytes: &[u8]) -> Arc<dyn File> {
        let disk = SimDisk::new(Rng::seeded(1)).mount();
        let file = disk.open("/k".as_ref(), Open::Create).expect("it opens");
        file.write_all_at(bytes, 0).expect("it is written");
        file
    }

    fn content() -> Vec<u8> {
        encode(STRETCH, (5..5_000u64).map(|at| ((at % 7) as u32, at)))
    }

    #[test]
    fn records_with_a_key_are_found_newest_first_across_pages() {
        let file = file(&content());
        let fence = Fence::load(file.as_ref(), STRETCH).expect("it is sound");
        let find = |hash, before, limit| fence.find(file.as_ref(), hash, before, limit).ok();
        assert_eq!(find(3, u64::MAX, 3), Some(vec![4_994, 4_987, 4_980]));
        assert_eq!(find(3, 4_987, 1), Some(vec![4_980]));
        assert_eq!(find(3, u64::MAX, 10_000).map(|all| all.len()), Some(713));
        assert_eq!(find(0, 8, 9), Some(vec![7]));
        assert_eq!(find(0, 7, 9), Some(vec![]));
        assert_eq!(find(9, u64::MAX, 1), Some(vec![]));
        assert_eq!(find(9, 0, 1), Some(vec![]));
    }

    #[test]
    fn a_stretch_without_keys_has_a_file_too() {
        let file = file(&encode(STRETCH, []));
        let fence = Fence::load(file.as_ref(), STRETCH).expect("it is sound");
        assert_eq!(fence.find(file.as_ref(), 1, 9, 9).ok(), Some(vec![]));
    }

    #[test]
    fn no_flipped_bit_is_believed() {
        let sound = content();
        let read = |bytes: &[u8]| {
            let file = file(bytes);
            let fence = Fence::load(file.as_ref(), STRETCH)?;
            fence.all(file.as_ref(), |_, _| ())
        };
        assert!(read(&sound).is_ok());
        for at in (0..sound.len())
            .step_by(97)
            .chain([0, 35, 36, sound.len() - 1])
        {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            assert!(read(&bytes).is_err(), "byte {at}");
        }
        for length in [0, 35, 36, 5_000, sound.len() - 1] {
            assert!(read(&sound[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_file_of_another_stretch_is_not_believed() {
        let other = Stretch { from: 5, to: 9_001 };
        assert!(Fence::load(file(&content()).as_ref(), other).is_err());
    }
}
