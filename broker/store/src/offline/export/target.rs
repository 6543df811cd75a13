//! The directory that an export makes: it has its name only once it is whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::Disk;

use super::refusal::ExportError;
use super::writing;

/// Ends the name of a directory that is being written.
const UNFINISHED: &str = ".unfinished";
/// A file that says who began it, so that no other directory is taken for one of ours.
const BEGUN: &str = "export-begun";

pub struct Target {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    unfinished: PathBuf,
}

impl Target {
    /// Begins a directory that will be at `path`, where nothing may be but an empty one. What
    /// an export that was cut off has left there is thrown away.
    pub fn begin(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, ExportError> {
        let mut name = path.as_os_str().to_owned();
        name.push(UNFINISHED);
        let target = Self {
            disk,
            path: path.to_owned(),
            unfinished: name.into(),
        };
        if !target.is_free()? {
            return Err(ExportError::Taken {
                path: target.path.clone(),
            });
        }
        target.clear()?;
        let disk = &target.disk;
        disk.create_dir_all(&target.unfinished).map_err(writing)?;
        disk.replace(&target.unfinished.join(BEGUN), b"an export goes here\n")
            .map_err(writing)?;
        Ok(target)
    }

    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a small file of it.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let path = self.unfinished.join(name);
        let folder = path.parent().unwrap_or(&self.unfinished);
        let made = self.disk.create_dir_all(folder);
        made.and_then(|()| self.disk.replace(&path, bytes))
            .map_err(writing)?;
        Ok(())
    }

    /// Gives it its name. Everything was made durable when it was written.
    pub fn finish(self) -> Result<PathBuf, ExportError> {
        let disk = &self.disk;
        if !self.is_free()? {
            return Err(ExportError::Taken { path: self.path });
        }
        if disk.exists(&self.path).map_err(writing)? {
            disk.remove_dir_all(&self.path).map_err(writing)?;
        }
        disk.rename(&self.unfinished, &self.path)
            .and_then(|()| disk.fsync_dir(self.path.parent().unwrap_or(Path::new(""))))
            // Last: what is left under the other name must stay known as ours.
            .and_then(|()| disk.unlink(&self.path.join(BEGUN)))
            .and_then(|()| disk.fsync_dir(&self.path))
            .map_err(writing)?;
        Ok(self.path)
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Where it is while it is written.
    pub(super) fn root(&self) -> &Path {
        &self.unfinished
    }

    pub(super) fn overlaps(&self, store: &Path) -> bool {
        let within = |one: &Path, other: &Path| one.starts_with(other);
        within(&self.path, store) || within(&self.unfinished, store) || within(store, &self.path)
    }

    fn is_free(&self) -> Result<bool, ExportError> {
        let exists = self.disk.exists(&self.path).map_err(writing)?;
        Ok(!exists || self.disk.list(&self.path).is_ok_and(|held| held.is_empty()))
    }

    fn clear(&self) -> Result<(), ExportError> {
        let (disk, left) = (&self.disk, &self.unfinished);
        if !disk.exists(left).map_err(writing)? {
            return Ok(());
        }
        let held = disk.list(left).map_err(writing)?;
        if !held.is_empty() && !held.iter().any(|entry| entry.name.starts_with(BEGUN)) {
            return Err(ExportError::InTheWay { path: left.clone() });
        }
        for entry in held.iter().filter(|entry| entry.name != BEGUN) {
            let path = left.join(&entry.name);
            let removed = match entry.is_dir {
                true => disk.remove_dir_all(&path),
                false => disk.unlink(&path),
            };
            removed.map_err(writing)?;
        }
        disk.fsync_dir(left)
            .and_then(|()| disk.remove_dir_all(left))
            .map_err(writing)?;
        Ok(())
    }
}
