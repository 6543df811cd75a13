//! Copies of all tables, two in turn, for the day on which the tables' own files are damaged.
//!
//! ```text
//! metadata/            the tables, as fjall keeps them
//! metadata.copies/     1 and 2: the newer is the last copy; the older is the next to be written
//! metadata.damaged-1/  tables that a start could not read
//!
//! a copy: "MILLMETA" │ version u32 │ number u64 │ entry … │ crc32 of all before, u32
//! entry:  table u8 │ length of key u32 │ length of value u32 │ key │ value      big-endian
//! ```

use std::io;
use std::path::{Path, PathBuf};

use runtime::{Disk, RealDisk};

use crate::tables::{Entry, Table};

const MAGIC: &[u8; 8] = b"MILLMETA";
const VERSION: u32 = 1;
/// Bytes before the first entry, and of the checksum behind the last.
const HEAD: usize = 20;
const CHECKSUM: usize = 4;

/// All there was in the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// Counts up from 1.
    pub number: u64,
    pub entries: Vec<(Table, Entry)>,
}

/// Whether there is a copy, beside a folder of tables, that a start would take if it had to.
pub fn has_copy(tables: &Path) -> bool {
    Copies::beside(tables).newest().is_some()
}

/// The folder of the copies.
pub(crate) struct Copies {
    folder: PathBuf,
}

impl Copies {
    pub(crate) fn beside(tables: &Path) -> Copies {
        Copies {
            folder: with_suffix(tables, ".copies"),
        }
    }

    /// The last copy that is whole.
    pub(crate) fn newest(&self) -> Option<Copy> {
        let read = |name| {
            let bytes = RealDisk.read(&self.folder.join(name)).ok()?;
            Copy::decode(&bytes)
        };
        let copies = ["1", "2"].into_iter().filter_map(read);
        copies.max_by_key(|copy| copy.number)
    }

    /// Puts a copy in the place of the last but one. Waits for the disk.
    pub(crate) fn write(&self, copy: &Copy) -> io::Result<()> {
        let name = if copy.number % 2 == 1 { "1" } else { "2" };
        RealDisk.create_dir_all(&self.folder)?;
        RealDisk.replace(&self.folder.join(name), &copy.encode())
    }
}

impl Copy {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        for (table, (key, value)) in &self.entries {
            bytes.push(table.number());
            bytes.extend((key.len() as u32).to_be_bytes());
            bytes.extend((value.len() as u32).to_be_bytes());
            bytes.extend(key);
            bytes.extend(value);
        }
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        bytes
    }

    /// `None` if it is no copy, or is damaged.
    fn decode(bytes: &[u8]) -> Option<Copy> {
        let (body, checksum) = bytes.split_last_chunk::<CHECKSUM>()?;
        let head = body.get(..HEAD)?;
        let whole = head.starts_with(MAGIC)
            && head[8..12] == VERSION.to_be_bytes()
            && crc32fast::hash(body) == u32::from_be_bytes(*checksum);
        if !whole {
            return None;
        }
        let (mut rest, mut entries) = (&body[HEAD..], Vec::new());
        while !rest.is_empty() {
            let table = Table::numbered(*take(&mut rest, 1)?.first()?)?;
            let mut length = || Some(u32::from_be_bytes(*take(&mut rest, 4)?.first_chunk()?));
            let (key, value) = (length()? as usize, length()? as usize);
            let key = take(&mut rest, key)?.to_vec();
            entries.push((table, (key, take(&mut rest, value)?.to_vec())));
        }
        Some(Copy {
            number: u64::from_be_bytes(*head[12..].first_chunk()?),
            entries,
        })
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

/// Moves tables that cannot be read out of the way; where they are now.
pub(crate) fn set_aside(tables: &Path) -> io::Result<PathBuf> {
    let place = |number: u32| with_suffix(tables, &format!(".damaged-{number}"));
    let free = (1..).map(place).find(|place| !place.exists());
    let aside = free.ok_or(io::ErrorKind::AlreadyExists)?;
    RealDisk.rename(tables, &aside)?;
    RealDisk.fsync_dir(tables.parent().unwrap_or(Path::new("")))?;
    Ok(aside)
}

fn with_suffix(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    folder.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(number: u64) -> Copy {
        let entry = |table, key: &str, value: &str| (table, (key.into(), value.into()));
        Copy {
            number,
            entries: vec![
                entry(Table::Topics, "orders", "{}"),
                entry(Table::Offsets, "", ""),
            ],
        }
    }

    #[test]
    fn the_last_copy_is_found_and_a_damaged_one_is_not_taken() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let copies = Copies::beside(&folder.path().join("metadata"));
        assert_eq!(copies.newest(), None);
        for number in 1..=3 {
            copies.write(&copy(number)).expect("there is room");
            assert_eq!(copies.newest(), Some(copy(number)));
        }
        let last = folder.path().join("metadata.copies/1");
        let whole = RealDisk.read(&last).expect("it was written");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert_eq!(Copy::decode(&damaged), None, "at {at}");
            assert_eq!(Copy::decode(&whole[..at]), None, "cut at {at}");
        }
        let half = &whole[..whole.len() / 2];
        RealDisk.replace(&last, half).expect("there is room");
        assert_eq!(copies.newest(), Some(copy(2)));
    }
}
