//! What is done to a store's files: bits, ranges, lengths, and names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::{Disk, Open, SimDisk};

use crate::written::{ROOT, SEGMENT, Written};

/// Longest a file of the log is made. Others are read whole, so they are made longer than any
/// memory that is due to them.
const LOG_LIMIT: u32 = 20;
const OTHERS_LIMIT: u32 = 27;

/// Numbers that lengths and counts break at.
const NUMBERS: [u64; 14] = [
    0,
    1,
    7,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    SEGMENT - 1,
    SEGMENT,
    0x0010_0000,
    0x7fff_ffff,
    0xffff_ffff,
    i64::MAX as u64,
    u64::MAX,
];

/// Reads a row of changes from bytes, and makes them. A change is chosen by its first byte;
/// what the bytes have no room for ends the row.
pub(crate) struct Damage<'a> {
    bytes: &'a [u8],
    written: &'a Written,
    disk: SimDisk,
    mount: Arc<dyn Disk>,
}

impl<'a> Damage<'a> {
    pub fn new(bytes: &'a [u8], written: &'a Written, disk: &SimDisk) -> Damage<'a> {
        Damage {
            bytes,
            written,
            disk: disk.clone(),
            mount: disk.mount(),
        }
    }

    /// Makes up to eight changes.
    pub fn make(mut self) {
        for _ in 0..8 {
            if self.one().is_none() {
                return;
            }
        }
    }

    fn one(&mut self) -> Option<()> {
        match self.byte()? % 14 {
            0 => {
                let (path, at) = self.place()?;
                let bit = self.byte()?;
                let _ = self.disk.flip_bit(&path, at, bit);
            }
            // Near the beginning of a record, where its sizes and offsets are.
            1 | 2 => {
                let (path, at) = self.place_in_record()?;
                let bit = self.byte()?;
                let _ = self.disk.flip_bit(&path, at, bit);
            }
            3 => {
                let (path, at) = self.place_in_record()?;
                self.write_number(&path, at)?;
            }
            4 => {
                let (path, at) = self.place()?;
                self.write_number(&path, at)?;
            }
            5 => {
                let (path, at) = self.place()?;
                let zeros = vec![0; 1 << (self.byte()? % 14)];
                self.write(&path, at, &zeros);
            }
            6 => {
                let (path, at) = self.place()?;
                let (other, from) = self.place()?;
                let bytes = 1 << (self.byte()? % 14);
                let part = self.read(&other, from, bytes);
                self.write(&path, at, &part);
            }
            7 => {
                let (path, at) = self.place()?;
                self.set_len(&path, at);
            }
            8 => {
                let path = self.file()?;
                let limit = match path.starts_with(Path::new(ROOT).join("commitlog")) {
                    true => LOG_LIMIT,
                    false => OTHERS_LIMIT,
                };
                let len = 1 << (u32::from(self.byte()?) % (limit + 1));
                self.set_len(&path, len);
            }
            9 => {
                let path = self.file()?;
                let _ = self.mount.unlink(&path);
            }
            10 => {
                let path = self.file()?;
                let name = self.name()?;
                let _ = self.mount.rename(&path, &path.with_file_name(name));
            }
            11 => {
                let (path, other) = (self.file()?, self.file()?);
                let aside = path.with_file_name("aside");
                let _ = self.mount.rename(&path, &aside);
                let _ = self.mount.rename(&other, &path);
                let _ = self.mount.rename(&aside, &other);
            }
            12 => {
                let path = self.file()?;
                let name = self.name()?;
                let bytes = self.read(&path, 0, 1 << 20);
                let copy = path.with_file_name(name);
                let _ = self.mount.unlink(&copy);
                self.write(&copy, 0, &bytes);
            }
            _ => {
                let folders = [
                    "millstream",
                    "millstream/heads",
                    "millstream/queues",
                    "abort",
                ];
                let folder = folders[usize::from(self.byte()?) % folders.len()];
                let _ = self.mount.remove_dir_all(&Path::new(ROOT).join(folder));
            }
        }
        Some(())
    }

    fn write_number(&mut self, path: &Path, at: u64) -> Option<()> {
        let choice = usize::from(self.byte()?);
        let width = [1, 2, 4, 8][choice >> 6];
        let number = NUMBERS[choice % 64 % NUMBERS.len()];
        self.write(path, at, &number.to_be_bytes()[8 - width..]);
        Some(())
    }

    fn write(&self, path: &Path, at: u64, bytes: &[u8]) {
        if let Ok(file) = self.mount.open(path, Open::Create) {
            let _ = file.write_all_at(bytes, at);
        }
    }

    fn set_len(&self, path: &Path, len: u64) {
        if let Ok(file) = self.mount.open(path, Open::Write) {
            let _ = file.set_len(len);
        }
    }

    fn read(&self, path: &Path, at: u64, bytes: usize) -> Vec<u8> {
        let mut part = vec![0; bytes];
        let file = self.mount.open(path, Open::Read);
        let read = file.and_then(|file| file.pread(&mut part, at));
        part.truncate(read.unwrap_or(0));
        part
    }

    /// One of the files that were written, whatever has become of it.
    fn file(&mut self) -> Option<PathBuf> {
        let number = usize::from(self.byte()?) % self.written.files.len();
        self.written.files.keys().nth(number).cloned()
    }

    fn place(&mut self) -> Option<(PathBuf, u64)> {
        let path = self.file()?;
        let len = self.written.files[&path].len().max(1) as u64;
        let at = u64::from(self.byte()?) << 8 | u64::from(self.byte()?);
        Some((path, at % len))
    }

    fn place_in_record(&mut self) -> Option<(PathBuf, u64)> {
        let number = usize::from(self.byte()?) % self.written.messages.len();
        let (_, (at, _)) = self.written.messages.iter().nth(number)?;
        let at = at + u64::from(self.byte()?);
        Some((segment(at - at % SEGMENT), at % SEGMENT))
    }

    fn name(&mut self) -> Option<String> {
        let choice = self.byte()?;
        Some(match choice {
            0..128 => segment_name(u64::from(choice) * SEGMENT),
            128..160 => segment_name(u64::from(choice)),
            160 => segment_name(u64::MAX),
            161 => segment_name(u64::MAX - u64::MAX % SEGMENT),
            162 => format!("{}.new", segment_name(0)),
            163 => format!("{}.moved", segment_name(0)),
            164 => "not a segment".to_owned(),
            165..200 => {
                let files = self.written.files.keys();
                let other = files.cycle().nth(usize::from(choice) - 165)?;
                other.file_name()?.to_string_lossy().into_owned()
            }
            _ => format!("{:020}.hk", choice),
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }
}

pub(crate) fn segment(start: u64) -> PathBuf {
    Path::new(ROOT).join("commitlog").join(segment_name(start))
}

fn segment_name(start: u64) -> String {
    format!("{start:020}")
}
