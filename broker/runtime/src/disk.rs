//! Files and directories, as far as the house needs them.
//!
//! Every call here blocks its thread. [`RealDisk`] is the machine's own; a simulated disk
//! stands behind the same traits and loses what a power cut may lose.

mod map;
mod real;
mod resident;
mod sim;

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub use map::Mapped;
pub use real::RealDisk;
pub use sim::{DiskFailure, Faults, Operation, SimDisk};

/// Bytes written at a time where zeros have to be written.
const ZEROS: usize = 1 << 20;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// For reading; it must exist.
    Read,
    /// For reading and writing; it must exist.
    Write,
    /// For reading and writing; made empty if missing, kept as it is otherwise.
    Create,
}

/// What a caller expects to do with a range of a file. Never changes what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    Normal,
    Sequential,
    Random,
    /// Soon to be read: start fetching it.
    WillNeed,
    /// Not needed again: its cache may go.
    DontNeed,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    pub name: String,
    /// Bytes in the file; 0 for a directory.
    pub len: u64,
    pub is_dir: bool,
}

/// Bytes on the file system that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What is used and what is available. What the file system keeps back from us counts for
    /// nothing, as in `df`: a disk of which much is reserved is not a full disk.
    pub total: u64,
    /// What an unprivileged process may still use.
    pub available: u64,
}

/// Which file a handle is open on, whatever its name is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// Holds a lock file until dropped, or until the process dies.
#[must_use = "the lock ends when this is dropped"]
pub struct DiskLock {
    _held: Box<dyn Send + Sync>,
}

impl DiskLock {
    pub(crate) fn new(held: impl Send + Sync + 'static) -> DiskLock {
        DiskLock {
            _held: Box::new(held),
        }
    }
}

/// A file system. All calls may block; all names survive a power cut only after
/// [`Disk::fsync_dir`] on their directory.
pub trait Disk: Send + Sync {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>>;

    /// The names in a directory, sorted. A name that is not UTF-8 is an error of kind
    /// `InvalidData`: we never write one.
    fn list(&self, directory: &Path) -> io::Result<Vec<DirEntry>>;

    /// Makes a directory and the missing ones above it. They are durable when this returns.
    fn create_dir_all(&self, directory: &Path) -> io::Result<()>;

    /// Gives a file or directory another name on the same file system, replacing a file that
    /// has it. Atomic; durable after `fsync_dir` on both directories.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's name away; open handles and mappings stay good.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Takes a directory away with all it holds.
    fn remove_dir_all(&self, directory: &Path) -> io::Result<()>;

    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes every creation, rename and unlink in this directory durable.
    fn fsync_dir(&self, directory: &Path) -> io::Result<()>;

    /// Locks a file, made if missing, against every other holder, in this process too.
    /// If somebody holds it the error is of kind `WouldBlock`; this never waits.
    fn lock(&self, path: &Path) -> io::Result<DiskLock>;

    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Makes `to` a file of its own with the bytes of `from`, both sharing the space they take
    /// until one of them is written to. False, and nothing is made, where a file system has no
    /// such thing.
    fn share(&self, _from: &Path, _to: &Path) -> io::Result<bool> {
        Ok(false)
    }

    /// A whole small file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, Open::Read)?;
        let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Puts `bytes` in place of a small file: after a crash it holds the old bytes or the new
    /// ones, and the new ones once this has returned. A name with `.new` added is used on the
    /// way, so one file has one writer.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut name = path
            .file_name()
            .ok_or(io::ErrorKind::InvalidFilename)?
            .to_owned();
        name.push(".new");
        let beside = path.with_file_name(name);
        let file = self.open(&beside, Open::Create)?;
        file.set_len(0)?;
        file.write_all_at(bytes, 0)?;
        file.fdatasync()?;
        self.rename(&beside, path)?;
        self.fsync_dir(path.parent().unwrap_or(Path::new("")))
    }
}

/// An open file. Positions and lengths are bytes; handles may be used from many threads.
pub trait File: Send + Sync {
    /// Writes the slices one after another at `at`; returns how many bytes were taken, which
    /// may be fewer than offered. They are in the kernel, not yet on the disk.
    fn pwritev(&self, slices: &[IoSlice<'_>], at: u64) -> io::Result<usize>;

    /// Reads into `into` from `at`; returns how many bytes, 0 only at the end of the file.
    fn pread(&self, into: &mut [u8], at: u64) -> io::Result<usize>;

    /// As `pread`, but `None` where the bytes are not in memory and reading would wait. May
    /// return fewer bytes than are there.
    fn pread_nowait(&self, into: &mut [u8], at: u64) -> io::Result<Option<usize>>;

    /// How many bytes of a range are in memory, counted by whole pages; `None` where nobody can
    /// tell. Asking changes nothing, whereas a read of what is absent makes the kernel fetch it.
    fn resident(&self, _range: Range<u64>) -> Option<u64> {
        None
    }

    /// Makes all written bytes and the length survive a power cut. If it fails, what was not
    /// yet durable may be lost even when a second call succeeds: never retry it.
    fn fdatasync(&self) -> io::Result<()>;

    /// Reserves space for the first `len` bytes, so that writing them cannot run out of it.
    /// A shorter file grows to `len` with zeros.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes a range read as zeros and keeps its space, where the file system can without
    /// writing it.
    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.write_zeros(range)
    }

    /// Writes zeros over a range.
    fn write_zeros(&self, range: Range<u64>) -> io::Result<()> {
        let zeros = vec![0; ZEROS];
        let mut at = range.start;
        while at < range.end {
            let bytes = usize::try_from(range.end - at).unwrap_or(ZEROS).min(ZEROS);
            self.write_all_at(&zeros[..bytes], at)?;
            at += bytes as u64;
        }
        Ok(())
    }

    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    fn len(&self) -> io::Result<u64>;

    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    fn advise(&self, range: Range<u64>, advice: Advice) -> io::Result<()>;

    /// The file's bytes in memory. For sealed files only: nobody may write, cut or recycle the
    /// file while the mapping lives. A page that cannot be read is an error of this call.
    fn map(&self) -> io::Result<Mapped>;

    fn id(&self) -> io::Result<FileId>;

    /// Writes all of `bytes`, in as many calls as it takes.
    fn write_all_at(&self, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let taken = self.pwritev(&[IoSlice::new(bytes)], at)?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[taken..];
            at += taken as u64;
        }
        Ok(())
    }

    /// Fills `into`; a file that ends before is an error of kind `UnexpectedEof`.
    fn read_exact_at(&self, mut into: &mut [u8], mut at: u64) -> io::Result<()> {
        while !into.is_empty() {
            let read = self.pread(into, at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            into = &mut into[read..];
            at += read as u64;
        }
        Ok(())
    }
}
