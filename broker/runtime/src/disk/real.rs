//! The machine's own disk.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};

use super::resident::resident;
use super::{Advice, DirEntry, Disk, DiskLock, File, FileId, Mapped, Open, Space};

/// More slices than this are refused by the kernel; the rest is the caller's next call.
const MAX_SLICES: usize = 1024;

/// The machine's file systems.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl RealDisk {
    pub fn new() -> Arc<RealDisk> {
        Arc::new(RealDisk)
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(how != Open::Read)
            .create(how == Open::Create)
            .truncate(false)
            .open(path)?;
        Ok(Arc::new(RealFile { file }))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(at(directory))? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Unlinked while we looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let name = entry.file_name().into_string().map_err(|name| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} is not UTF-8", name.to_string_lossy()),
                )
            })?;
            let is_dir = metadata.is_dir();
            entries.push(DirEntry {
                name,
                len: if is_dir { 0 } else { metadata.len() },
                is_dir,
            });
        }
        entries.sort();
        Ok(entries)
    }

    fn create_dir_all(&self, directory: &Path) -> io::Result<()> {
        let missing: Vec<PathBuf> = directory
            .ancestors()
            .take_while(|path| !at(path).is_dir())
            .map(Path::to_owned)
            .collect();
        fs::create_dir_all(directory)?;
        for made in missing {
            if let Some(parent) = made.parent() {
                self.fsync_dir(parent)?;
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, directory: &Path) -> io::Result<()> {
        fs::remove_dir_all(directory)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        fs::exists(path)
    }

    fn fsync_dir(&self, directory: &Path) -> io::Result<()> {
        fs::File::open(at(directory))?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive))?;
        Ok(DiskLock::new(file))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let found = retry_on_intr(|| rustix::fs::statvfs(at(path)))?;
        let used = found.f_blocks.saturating_sub(found.f_bfree);
        Ok(Space {
            total: (used + found.f_bavail) * found.f_frsize,
            available: found.f_bavail * found.f_frsize,
        })
    }

    fn share(&self, from: &Path, to: &Path) -> io::Result<bool> {
        let source = fs::File::open(from)?;
        let target = fs::File::create_new(to)?;
        match retry_on_intr(|| rustix::fs::ioctl_ficlone(&target, &source)) {
            Ok(()) => Ok(true),
            // Whatever speaks against it, a copy will do, or say what is wrong.
            Err(_) => {
                fs::remove_file(to)?;
                Ok(false)
            }
        }
    }
}

/// The empty path is the working directory, as `Path::parent` gives it.
fn at(directory: &Path) -> &Path {
    if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    }
}

struct RealFile {
    file: fs::File,
}

impl File for RealFile {
    fn pwritev(&self, slices: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
        let slices = &slices[..slices.len().min(MAX_SLICES)];
        Ok(retry_on_intr(|| {
            rustix::io::pwritev(&self.file, slices, at)
        })?)
    }

    fn pread(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(into, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn pread_nowait(&self, into: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        let read = retry_on_intr(|| {
            rustix::io::preadv2(
                &self.file,
                &mut [IoSliceMut::new(into)],
                at,
                ReadWriteFlags::NOWAIT,
            )
        });
        match read {
            Ok(read) => Ok(Some(read)),
            // A file system that cannot promise not to wait might wait.
            Err(Errno::AGAIN | Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn resident(&self, range: Range<u64>) -> Option<u64> {
        resident(&self.file, &range)
    }

    fn fdatasync(&self) -> io::Result<()> {
        // Not retried, even when interrupted: a second call may succeed over dropped pages.
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, len)) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP) => self.write_zeros(self.len()?..len),
            Err(error) => Err(error.into()),
        }
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        let len = range.end.saturating_sub(range.start);
        if len == 0 {
            return Ok(());
        }
        let how = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, how, range.start, len)) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP) => self.write_zeros(range),
            Err(error) => Err(error.into()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn advise(&self, range: Range<u64>, advice: Advice) -> io::Result<()> {
        let Some(len) = NonZeroU64::new(range.end.saturating_sub(range.start)) else {
            return Ok(());
        };
        let advice = match advice {
            Advice::Normal => rustix::fs::Advice::Normal,
            Advice::Sequential => rustix::fs::Advice::Sequential,
            Advice::Random => rustix::fs::Advice::Random,
            Advice::WillNeed => rustix::fs::Advice::WillNeed,
            Advice::DontNeed => rustix::fs::Advice::DontNeed,
        };
        Ok(rustix::fs::fadvise(
            &self.file,
            range.start,
            Some(len),
            advice,
        )?)
    }

    fn map(&self) -> io::Result<Mapped> {
        Mapped::of(&self.file)
    }

    fn id(&self) -> io::Result<FileId> {
        let metadata = self.file.metadata()?;
        Ok(FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}
