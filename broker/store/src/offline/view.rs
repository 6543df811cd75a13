//! A file as it will be when a repair has made it longer: zeros where it has no bytes yet.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use runtime::{Advice, File, FileId, Mapped};

/// Can be read and nothing else.
pub(super) struct View {
    pub file: Option<Arc<dyn File>>,
    /// Bytes that `file` has and that count.
    pub held: u64,
    pub len: u64,
}

impl File for View {
    fn pread(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let left = self.len.saturating_sub(at).min(into.len() as u64);
        let real = self.held.saturating_sub(at).min(left) as usize;
        match &self.file {
            Some(file) if real > 0 => file.pread(&mut into[..real], at),
            _ => {
                into[..left as usize].fill(0);
                Ok(left as usize)
            }
        }
    }

    fn pread_nowait(&self, _into: &mut [u8], _at: u64) -> io::Result<Option<usize>> {
        Ok(None)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn pwritev(&self, _slices: &[IoSlice<'_>], _at: u64) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn fdatasync(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn allocate(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn advise(&self, _range: Range<u64>, _advice: Advice) -> io::Result<()> {
        Ok(())
    }

    fn map(&self) -> io::Result<Mapped> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn id(&self) -> io::Result<FileId> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
