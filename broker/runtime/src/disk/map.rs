//! Sealed files as memory, populated before use so that a fault is an error and not a signal.

#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt;

use memmap2::{Advice, Mmap};

/// The bytes of a sealed file. Cheap to hold, shared with the page cache where the kernel
/// allows it; use it with `Bytes::from_owner`.
pub struct Mapped {
    held: Held,
}

enum Held {
    Pages(Mmap),
    Copy(Vec<u8>),
}

impl Mapped {
    pub(crate) fn copy(bytes: Vec<u8>) -> Mapped {
        Mapped {
            held: Held::Copy(bytes),
        }
    }

    /// Maps all of `file` and reads every page in. Kernels that cannot report a failed page
    /// give a copy instead.
    pub(super) fn of(file: &fs::File) -> io::Result<Mapped> {
        let len =
            usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if len == 0 {
            return Ok(Mapped::copy(Vec::new()));
        }
        // SAFETY: the bytes behind the slice must not change or vanish while it lives.
        // `File::map` is for sealed files: its callers hold the file's handle with the mapping
        // and neither write, cut nor recycle it, and a directory lock keeps other processes
        // out. An unlinked file keeps its pages until the mapping goes.
        let pages = unsafe { Mmap::map(file)? };
        match pages.advise(Advice::PopulateRead) {
            Ok(()) => Ok(Mapped {
                held: Held::Pages(pages),
            }),
            // Linux before 5.14 does not know the advice: read the bytes instead.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                let mut bytes = vec![0; len];
                file.read_exact_at(&mut bytes, 0)?;
                Ok(Mapped::copy(bytes))
            }
            // The kernel's name for a page that would have been SIGBUS.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::FAULT.raw_os_error()) => {
                Err(rustix::io::Errno::IO.into())
            }
            Err(error) => Err(error),
        }
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        match &self.held {
            Held::Pages(pages) => pages,
            Held::Copy(bytes) => bytes,
        }
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_ref()
    }
}
