//! Whether the store still takes writes, and if not, why.

use std::sync::OnceLock;

use runtime::Space;

use crate::Error;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Set once and for all by a failed flush or write; set and cleared as the disk fills and empties.
#[derive(Default)]
pub(crate) struct Health {
    broken: OnceLock<String>,
    /// What was written and not flushed may be lost, whatever a later flush says.
    unflushable: AtomicBool,
    full: Mutex<Option<Space>>,
    /// The oldest segments go, whatever their age.
    nearly_full: AtomicBool,
    closed: AtomicBool,
}

impl Health {
    /// The store takes no more writes until it is opened again.
    pub(crate) fn break_with(&self, why: String) {
        tracing::error!(why, "the store takes no more writes");
        // The first reason is the one that matters.
        let _ = self.broken.set(why);
    }

    /// As [`break_with`](Self::break_with), after a flush that failed: there is none after it.
    pub(crate) fn break_flushing(&self, why: String) {
        self.unflushable.store(true, Ordering::Release);
        self.break_with(why);
    }

    /// Why nothing is flushed any more. A store that only takes no more writes still makes
    /// durable what it took.
    pub(crate) fn unflushable(&self) -> Option<Error> {
        let unflushable = self.unflushable.load(Ordering::Acquire);
        unflushable.then(|| self.read_only()).flatten()
    }

    pub(crate) fn set_full(&self, full: Option<Space>) {
        *self.full.lock() = full;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.lock().is_some()
    }

    pub(crate) fn set_nearly_full(&self, nearly: bool) {
        self.nearly_full.store(nearly, Ordering::Release);
    }

    pub(crate) fn is_nearly_full(&self) -> bool {
        self.nearly_full.load(Ordering::Acquire)
    }

    /// Refuses every later write.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn read_only(&self) -> Option<Error> {
        self.broken
            .get()
            .map(|why| Error::ReadOnly { why: why.clone() })
    }

    /// Refuses a write of `needed` bytes if the store takes none, or none but what is written
    /// `though_full` the disk is.
    pub(crate) fn check(&self, needed: u64, though_full: bool) -> Result<(), Error> {
        if let Some(error) = self.read_only() {
            return Err(error);
        }
        if self.is_closed() {
            return Err(Error::Closed);
        }
        match *self.full.lock() {
            Some(Space { total, available }) if !though_full => Err(Error::DiskFull {
                needed,
                available,
                total,
            }),
            _ => Ok(()),
        }
    }
}
