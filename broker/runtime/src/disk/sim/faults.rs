//! What may go wrong on a simulated disk besides a crash.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::Rng;

/// Probabilities, per call, from 0.0 (never) to 1.0 (always). The default is a disk without
/// faults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// Only files at or below this path fail; all when absent.
    pub within: Option<PathBuf>,
    /// `pwritev` takes fewer bytes than offered.
    pub short_write: f64,
    /// `pwritev` fails with EIO; a part may have been written.
    pub write_error: f64,
    /// `pwritev` past the allocated space fails with ENOSPC.
    pub no_space_at_write: f64,
    /// `allocate` fails with ENOSPC.
    pub no_space_at_allocate: f64,
    /// `pread` and `map` fail with EIO.
    pub read_error: f64,
    /// `pread_nowait` would have to wait.
    pub read_would_wait: f64,
    /// `fdatasync` fails with EIO, drops what was pending, and lies the next time.
    pub sync_error: f64,
    /// A read finds one bit flipped, for good, in bytes that come from the disk.
    pub cold_bit_flip: f64,
}

impl Faults {
    /// A random half of the faults, each of them rare, so that they do not mask each other.
    pub fn swarm(rng: &Rng) -> Faults {
        let draw = |most: f64| {
            if rng.chance(0.5) {
                most * (rng.range(1..101) as f64 / 100.0)
            } else {
                0.0
            }
        };
        Faults {
            within: None,
            short_write: draw(0.2),
            write_error: draw(0.02),
            no_space_at_write: draw(0.02),
            no_space_at_allocate: draw(0.2),
            read_error: draw(0.02),
            read_would_wait: draw(0.5),
            sync_error: draw(0.02),
            cold_bit_flip: draw(0.01),
        }
    }

    pub(super) fn concern(&self, path: &Path) -> bool {
        self.within
            .as_ref()
            .is_none_or(|within| path.starts_with(within))
    }
}

/// A kind of call on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    Open,
    List,
    CreateDir,
    Rename,
    Unlink,
    SyncDir,
    Lock,
    Read,
    Write,
    Sync,
    Allocate,
    SetLen,
}

impl Operation {
    /// Whether it may change what is on the disk.
    pub(super) fn changes(self) -> bool {
        !matches!(self, Operation::List | Operation::Lock | Operation::Read)
    }
}

/// An error that a disk gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFailure {
    /// EIO.
    Io,
    /// ENOSPC.
    NoSpace,
}

impl From<DiskFailure> for io::Error {
    fn from(failure: DiskFailure) -> io::Error {
        match failure {
            DiskFailure::Io => Errno::IO.into(),
            DiskFailure::NoSpace => Errno::NOSPC.into(),
        }
    }
}
