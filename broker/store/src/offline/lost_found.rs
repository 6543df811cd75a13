//! Where a repair puts what it takes out: nothing that was stored is destroyed.

use std::path::{Path, PathBuf};

use runtime::{Disk, Open};

use crate::Error;
use crate::layout::Layout;
use crate::recovery::last_written;
use crate::segment::Segment;

const DOING: &str = "keeping what is taken out";
/// Bytes copied at a time.
const CHUNK: u64 = 4 << 20;

pub(super) struct LostFound<'a> {
    disk: &'a dyn Disk,
    layout: &'a Layout,
}

impl<'a> LostFound<'a> {
    pub(super) fn open(disk: &'a dyn Disk, layout: &'a Layout) -> Result<Self, Error> {
        disk.create_dir_all(&layout.lost_found)
            .map_err(Error::disk(DOING))?;
        Ok(Self { disk, layout })
    }

    /// Moves a file or a directory here, as `to`.
    pub(super) fn take(&self, directory: &Path, name: &str, to: &str) -> Result<(), Error> {
        let from = directory.join(name);
        // Moved before, by a repair that was killed.
        if !self.disk.exists(&from).map_err(Error::disk(DOING))? {
            return Ok(());
        }
        let to = self.free(to)?;
        self.disk
            .rename(&from, &to)
            .and_then(|()| self.disk.fsync_dir(directory))
            .and_then(|()| self.disk.fsync_dir(&self.layout.lost_found))
            .map_err(Error::disk(DOING))
    }

    /// Copies a part of the log here, unless nothing was written there. It is durable when
    /// this returns.
    pub(super) fn keep_bytes(
        &self,
        segment: &Segment,
        from: u64,
        to: u64,
        why: &str,
    ) -> Result<(), Error> {
        if last_written(segment, from, to)?.is_none() {
            return Ok(());
        }
        let path = self.free(&format!("{from:020}-{why}"))?;
        let mut unready = path.clone().into_os_string();
        unready.push(".new");
        let unready = PathBuf::from(unready);
        let file = self.disk.open(&unready, Open::Create);
        let file = file.map_err(Error::disk(DOING))?;
        file.set_len(0).map_err(Error::disk(DOING))?;
        let mut at = from;
        while at < to {
            let mut bytes = vec![0; (to - at).min(CHUNK) as usize];
            segment
                .file
                .read_exact_at(&mut bytes, at - segment.start)
                .and_then(|()| file.write_all_at(&bytes, at - from))
                .map_err(Error::disk(DOING))?;
            at += bytes.len() as u64;
        }
        file.fdatasync()
            .and_then(|()| self.disk.rename(&unready, &path))
            .and_then(|()| self.disk.fsync_dir(&self.layout.lost_found))
            .map_err(Error::disk(DOING))
    }

    /// A name that nothing has yet: what an earlier repair has put here stays.
    fn free(&self, name: &str) -> Result<PathBuf, Error> {
        let mut path = self.layout.lost_found.join(name);
        let mut number = 1;
        while self.disk.exists(&path).map_err(Error::disk(DOING))? {
            number += 1;
            path = self.layout.lost_found.join(format!("{name}.{number}"));
        }
        Ok(path)
    }
}
