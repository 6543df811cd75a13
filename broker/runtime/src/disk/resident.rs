//! What of a file the kernel has in memory, asked without touching it: a read that shall not
//! wait makes the kernel fetch what it did not find.

#![allow(unsafe_code)]

use std::fs;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// The number of `cachestat` on every architecture; Linux has it since 6.5.
const CACHESTAT: libc::c_long = 451;

/// `struct cachestat_range`, bytes of the file.
#[repr(C)]
struct Stretch {
    offset: u64,
    length: u64,
}

/// `struct cachestat`, in pages.
#[repr(C)]
#[derive(Default)]
struct Pages {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// Bytes of the pages of `range` that are in memory; `None` where the kernel does not tell.
pub(super) fn resident(file: &fs::File, range: &Range<u64>) -> Option<u64> {
    let length = range.end.checked_sub(range.start)?;
    if length == 0 {
        // The kernel takes it for all of the file.
        return Some(0);
    }
    let mut stretch = Stretch {
        offset: range.start,
        length,
    };
    let mut pages = Pages::default();
    // SAFETY: both structures have the layout of the kernel's and outlive the call, which
    // writes to the second alone; the descriptor is open as long as `file` is borrowed.
    let failed = unsafe {
        libc::syscall(
            CACHESTAT,
            file.as_raw_fd(),
            &raw mut stretch,
            &raw mut pages,
            0,
        )
    };
    // SAFETY: it reads a constant of the machine.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = u64::try_from(page).ok()?;
    (failed == 0).then(|| pages.cached * page)
}
