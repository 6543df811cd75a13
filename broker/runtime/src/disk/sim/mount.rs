//! A simulated disk as a program sees it, between two crashes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::SimFile;
use super::tree::{Entries, Node, NodeId};
use super::{Inode, Operation, SimDisk};
use crate::disk::{DirEntry, Disk, DiskLock, File, Open, Space};

/// What [`Space`] says of a disk without a capacity.
const ENDLESS: u64 = 1 << 50;

/// One life of the disk.
pub(super) struct Mount {
    pub(super) disk: SimDisk,
    pub(super) life: u64,
}

impl Disk for Mount {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let mut state = self.disk.begin(Operation::Open, path, self.life)?;
        let slot = state.tree.slot(path)?;
        let node = match state.tree.get(&slot) {
            Some(node) => node,
            None if how == Open::Create => state.tree.create(slot, Node::File(Inode::default())),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        state.tree.file(node)?;
        state.tree.opened(node);
        Ok(Arc::new(SimFile {
            disk: self.disk.clone(),
            life: self.life,
            node,
            path: path.to_owned(),
            writable: how != Open::Read,
        }))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.disk.begin(Operation::List, directory, self.life)?;
        let node = state.tree.find(directory)?;
        let entries = state
            .tree
            .directory(node)?
            .current
            .iter()
            .map(|(name, node)| {
                let (len, is_dir) = match state.tree.node(*node) {
                    Node::File(inode) => (inode.len(), false),
                    Node::Directory(_) => (0, true),
                };
                DirEntry {
                    name: name.clone(),
                    len,
                    is_dir,
                }
            });
        Ok(entries.collect())
    }

    fn create_dir_all(&self, directory: &Path) -> io::Result<()> {
        let mut state = self
            .disk
            .begin(Operation::CreateDir, directory, self.life)?;
        let mut path = PathBuf::new();
        for component in directory.components() {
            path.push(component);
            match state.tree.find(&path) {
                Ok(node) => _ = state.tree.directory(node)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let slot = state.tree.slot(&path)?;
                    let parent = slot.directory;
                    state.tree.create(slot, Node::Directory(Entries::default()));
                    state.tree.sync(parent)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.disk.begin(Operation::Rename, from, self.life)?;
        let (source, target) = (state.tree.slot(from)?, state.tree.slot(to)?);
        if source != target && to.starts_with(from) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        state.tree.rename(source, target)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = self.disk.begin(Operation::Unlink, path, self.life)?;
        let slot = state.tree.slot(path)?;
        let node = state.tree.get(&slot).ok_or(io::ErrorKind::NotFound)?;
        state.tree.file(node)?;
        state.tree.unlink(slot);
        Ok(())
    }

    fn remove_dir_all(&self, directory: &Path) -> io::Result<()> {
        let mut state = self.disk.begin(Operation::Unlink, directory, self.life)?;
        let slot = state.tree.slot(directory)?;
        let node = state.tree.get(&slot).ok_or(io::ErrorKind::NotFound)?;
        state.tree.directory(node)?;
        state.tree.remove_all(slot);
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.disk.begin(Operation::List, path, self.life)?;
        match state.tree.find(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn fsync_dir(&self, directory: &Path) -> io::Result<()> {
        let mut state = self.disk.begin(Operation::SyncDir, directory, self.life)?;
        let node = state.tree.find(directory)?;
        state.tree.sync(node)
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        let mut state = self.disk.begin(Operation::Lock, path, self.life)?;
        let slot = state.tree.slot(path)?;
        let node = match state.tree.get(&slot) {
            Some(node) => node,
            None => state.tree.create(slot, Node::File(Inode::default())),
        };
        state.tree.file(node)?;
        if !state.locks.insert(node) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.tree.opened(node);
        Ok(DiskLock::new(Held {
            disk: self.disk.clone(),
            life: self.life,
            node,
        }))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let state = self.disk.begin(Operation::List, path, self.life)?;
        state.tree.find(path)?;
        let total = state.capacity.unwrap_or(ENDLESS);
        Ok(Space {
            total,
            available: total.saturating_sub(state.tree.used()),
        })
    }
}

/// A lock file that is held.
struct Held {
    disk: SimDisk,
    life: u64,
    node: NodeId,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.disk.shared.state.lock();
        if state.life == self.life {
            state.locks.remove(&self.node);
            state.tree.closed(self.node);
        }
    }
}
