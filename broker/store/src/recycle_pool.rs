//! Files of deleted segments that wait to become segments again.
//!
//! A flush of space that was written before is cheaper than one of fresh space, and here nothing
//! is written twice to get it. A file that is taken begins with a zero word and is full of old
//! records behind it; a record counts only where its own offset says it lies, so none of them
//! does. For that to hold, a file is named by the end of all that was ever written into it, and
//! only a segment that begins there or later takes it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::{Disk, File, Open, Planted};

use crate::Error;
use crate::segment::{END, Segment, file_name, file_start};
use crate::sync::Mutex;

/// Files kept: the next segment and the one after it.
const LIMIT: usize = 2;

pub(crate) struct RecyclePool {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    file_bytes: u64,
    /// Old records are told from new ones by the checksum of all of a record, and by nothing else
    /// where a write was torn.
    enabled: bool,
    kept: Mutex<Vec<Kept>>,
}

/// A file in the pool's directory.
struct Kept {
    /// No record in it lies at or behind this place of the log.
    end: u64,
    /// Readers may still have it, and then it must not change.
    segment: Option<Arc<Segment>>,
}

impl RecyclePool {
    /// The files that an earlier life left, for a log that begins at `log_min`.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        file_bytes: u64,
        enabled: bool,
        log_min: u64,
    ) -> Result<Self, Error> {
        let pool = Self {
            disk,
            directory,
            file_bytes,
            enabled,
            kept: Mutex::default(),
        };
        let doing = "looking for recycled segments";
        if !pool
            .disk
            .exists(&pool.directory)
            .map_err(Error::disk(doing))?
        {
            return Ok(pool);
        }
        for entry in pool
            .disk
            .list(&pool.directory)
            .map_err(Error::disk(doing))?
        {
            let mut kept = pool.kept.lock();
            // A file of a later place was left by another log: its records could be believed.
            let end = file_start(&entry.name).filter(|end| {
                enabled && entry.len == file_bytes && *end <= log_min && kept.len() < LIMIT
            });
            match end {
                Some(end) => kept.push(Kept { end, segment: None }),
                None => pool.forget(&pool.directory.join(&entry.name)),
            }
        }
        Ok(pool)
    }

    /// Moves the file of a segment that is no longer part of the log here, or deletes it. Whoever
    /// reads it may finish. The name it had is gone for good.
    pub(crate) fn put(&self, segment: &Arc<Segment>) -> io::Result<()> {
        let wanted = self.enabled && segment.len == self.file_bytes;
        let moved = wanted && self.files() < LIMIT && {
            let moved = self.move_here(segment);
            moved
                .inspect_err(|error| {
                    tracing::warn!(segment = ?segment.path, %error, "it is not recycled");
                })
                .is_ok()
        };
        if !moved {
            self.disk.unlink(&segment.path)?;
        }
        // Only then may it be taken: a crash must not bring the old name back to a new file.
        self.disk.fsync_dir(parent(&segment.path))?;
        if moved {
            let kept = Kept {
                end: segment.end(),
                segment: Some(segment.clone()),
            };
            self.kept.lock().push(kept);
        }
        Ok(())
    }

    fn move_here(&self, segment: &Segment) -> io::Result<()> {
        self.disk.create_dir_all(&self.directory)?;
        self.disk.rename(&segment.path, &self.path(segment.end()))
    }

    /// Gives a file that nobody reads any more the name `to`, for a segment that begins at
    /// `start`. It begins with a zero word, and all of that is durable.
    pub(crate) fn take(&self, start: u64, to: &Path) -> Option<Arc<dyn File>> {
        let taken = {
            let mut kept = self.kept.lock();
            let free = kept.iter().position(|kept| {
                let read = kept.segment.as_ref();
                // Nobody finds it any more, so nobody can begin to read it.
                let read = read.is_some_and(|segment| Arc::strong_count(segment) > 1);
                kept.end <= start && !read
            })?;
            kept.remove(free)
        };
        let from = self.path(taken.end);
        match self.prepare(&from, to) {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::warn!(file = ?from, %error, "it is not recycled");
                self.forget(&from);
                None
            }
        }
    }

    fn prepare(&self, from: &Path, to: &Path) -> io::Result<Arc<dyn File>> {
        let file = self.disk.open(from, Open::Write)?;
        // A file of an adopted store may have holes.
        file.allocate(self.file_bytes)?;
        file.write_all_at(&END, 0)?;
        file.fdatasync()?;
        self.disk.rename(from, to)?;
        if !Planted::SkipSyncDir.is_active() {
            self.disk.fsync_dir(parent(to))?;
            self.disk.fsync_dir(&self.directory)?;
        }
        Ok(file)
    }

    /// Gives the space back.
    pub(crate) fn empty(&self) {
        for kept in self.kept.lock().drain(..) {
            self.forget(&self.path(kept.end));
        }
    }

    pub(crate) fn files(&self) -> usize {
        self.kept.lock().len()
    }

    fn path(&self, end: u64) -> PathBuf {
        self.directory.join(file_name(end))
    }

    fn forget(&self, path: &Path) {
        match self.disk.unlink(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(?path, %error, "a recycled segment was not deleted");
            }
            _ => {}
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}
