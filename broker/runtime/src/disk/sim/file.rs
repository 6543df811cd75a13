//! An open file of a simulated disk, with the faults that meet it.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::PathBuf;

use parking_lot::MutexGuard;
use rustix::io::Errno;

use super::tree::NodeId;
use super::{DiskFailure, Operation, SimDisk, State};
use crate::disk::{Advice, File, FileId, Mapped};

pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) life: u64,
    pub(super) node: NodeId,
    /// The name it was opened by; faults are armed by path.
    pub(super) path: PathBuf,
    pub(super) writable: bool,
}

impl File for SimFile {
    fn pwritev(&self, slices: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
        let mut state = self.begin_change(Operation::Write)?;
        let mut bytes = slices.iter().fold(Vec::new(), |mut bytes, slice| {
            bytes.extend_from_slice(slice);
            bytes
        });
        let end = at
            .checked_add(bytes.len() as u64)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        let reserved = state.tree.file(self.node)?.reserved();
        if !state.has_space(reserved, end) {
            return Err(DiskFailure::NoSpace.into());
        }
        if end > reserved && self.happens(state.faults.no_space_at_write, &state) {
            return Err(DiskFailure::NoSpace.into());
        }
        let fails = self.happens(state.faults.write_error, &state);
        if fails {
            bytes.truncate(self.disk.rng().range(0..bytes.len() as u64 + 1) as usize);
        } else if bytes.len() > 1 && self.happens(state.faults.short_write, &state) {
            bytes.truncate(self.disk.rng().range(1..bytes.len() as u64) as usize);
        }
        if !bytes.is_empty() {
            state.tree.file(self.node)?.write(&bytes, at);
        }
        if fails {
            Err(DiskFailure::Io.into())
        } else {
            Ok(bytes.len())
        }
    }

    fn pread(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let state = self.disk.begin(Operation::Read, &self.path, self.life)?;
        self.read(state, into, at)
    }

    fn pread_nowait(&self, into: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        let state = self.disk.admit(self.life)?;
        if self.happens(state.faults.read_would_wait, &state) {
            return Ok(None);
        }
        self.read(state, into, at).map(Some)
    }

    fn resident(&self, range: Range<u64>) -> Option<u64> {
        let state = self.disk.admit(self.life).ok()?;
        let absent = self.happens(state.faults.read_would_wait, &state);
        Some(if absent { 0 } else { range.end - range.start })
    }

    fn fdatasync(&self) -> io::Result<()> {
        let mut state = self.disk.begin(Operation::Sync, &self.path, self.life)?;
        let failure = match state.failure(Operation::Sync) {
            Some(failure) => Some(failure),
            None if self.happens(state.faults.sync_error, &state) => Some(DiskFailure::Io),
            None => None,
        };
        let inode = state.tree.file(self.node)?;
        match failure {
            Some(failure) => {
                inode.sync_failing(self.disk.rng());
                Err(failure.into())
            }
            None => {
                inode.sync();
                Ok(())
            }
        }
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut state = self.begin_change(Operation::Allocate)?;
        let reserved = state.tree.file(self.node)?.reserved();
        if !state.has_space(reserved, len)
            || self.happens(state.faults.no_space_at_allocate, &state)
        {
            return Err(DiskFailure::NoSpace.into());
        }
        state.tree.file(self.node)?.reserve(len);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.begin_change(Operation::SetLen)?;
        state.tree.file(self.node)?.set_len(len);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.admit(self.life)?.tree.file(self.node)?.len())
    }

    fn advise(&self, _: Range<u64>, _: Advice) -> io::Result<()> {
        self.disk.admit(self.life).map(|_| ())
    }

    fn map(&self) -> io::Result<Mapped> {
        let mut state = self.disk.begin(Operation::Read, &self.path, self.life)?;
        let len = state.tree.file(self.node)?.len();
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?];
        self.read(state, &mut bytes, 0)?;
        Ok(Mapped::copy(bytes))
    }

    fn id(&self) -> io::Result<FileId> {
        let _alive = self.disk.admit(self.life)?;
        Ok(FileId {
            device: 0,
            inode: self.node.0,
        })
    }
}

impl SimFile {
    fn begin_change(&self, operation: Operation) -> io::Result<MutexGuard<'_, State>> {
        if !self.writable {
            return Err(Errno::BADF.into());
        }
        self.disk.begin(operation, &self.path, self.life)
    }

    fn happens(&self, probability: f64, state: &State) -> bool {
        probability > 0.0 && state.faults.concern(&self.path) && self.disk.rng().chance(probability)
    }

    fn read(
        &self,
        mut state: MutexGuard<'_, State>,
        into: &mut [u8],
        at: u64,
    ) -> io::Result<usize> {
        if self.happens(state.faults.read_error, &state) {
            return Err(DiskFailure::Io.into());
        }
        let rots = self.happens(state.faults.cold_bit_flip, &state);
        let inode = state.tree.file(self.node)?;
        let read = inode.read(into, at);
        if rots && read > 0 {
            let rng = self.disk.rng();
            let victim = at + rng.range(0..read as u64);
            if inode.is_cold(victim) {
                inode.flip_bit(victim, rng.range(0..8) as u8);
                return Ok(inode.read(into, at));
            }
        }
        Ok(read)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.shared.state.lock();
        if state.life == self.life {
            state.tree.closed(self.node);
        }
    }
}
