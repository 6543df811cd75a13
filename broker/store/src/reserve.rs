//! Space that is kept back for the day on which the disk has none left.
//!
//! To delete a segment, the indexes have to be written first. On a disk that others have filled
//! to the last byte that could never begin, so a small file holds some space until it is needed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use runtime::{Disk, Open};

use crate::Error;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Most that is kept back, in bytes.
const AT_MOST: u64 = 8 << 20;
/// Part of a segment that is kept back.
const SHARE: u64 = 4;

pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    bytes: u64,
    /// Whether there is reason to make the file: it was not made, or is given up.
    missing: AtomicBool,
}

impl Reserve {
    pub(crate) fn new(disk: Arc<dyn Disk>, path: PathBuf, segment_bytes: u64) -> Self {
        // That of the last time, if it was not used.
        let kept = disk.exists(&path).unwrap_or(false);
        Self {
            disk,
            path,
            bytes: (segment_bytes / SHARE).min(AT_MOST),
            missing: AtomicBool::new(!kept),
        }
    }

    /// Keeps the space back, if it is not. Waits for the disk.
    pub(crate) fn fill(&self) {
        if !self.missing.load(Ordering::Acquire) {
            return;
        }
        let made = || -> io::Result<()> {
            let file = self.disk.open(&self.path, Open::Create)?;
            file.allocate(self.bytes)
        };
        match made() {
            Ok(()) => self.missing.store(false, Ordering::Release),
            Err(error) => {
                tracing::debug!(%error, "no space is kept back");
                // Half of it would only be in the way.
                let _ = self.disk.unlink(&self.path);
            }
        }
    }

    /// Does what writes; once more with the space that was kept back if it has found none.
    pub(crate) fn spend(&self, write: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
        let result = write();
        let is_full = matches!(&result, Err(Error::Disk { source, .. })
            if source.kind() == io::ErrorKind::StorageFull);
        if !is_full || self.missing.swap(true, Ordering::AcqRel) {
            return result;
        }
        tracing::warn!("the disk is full: the space that was kept back is used");
        match self.disk.unlink(&self.path) {
            Ok(()) => write(),
            Err(_) => result,
        }
    }
}
