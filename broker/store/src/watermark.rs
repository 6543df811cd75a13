//! How far the log is written, durable, confirmed, and therefore visible.

use runtime::Planted;

use crate::Flush;
use crate::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// One bound for all readers: nobody sees a record that ends behind it.
pub(crate) struct Watermark {
    flush: Flush,
    appended: AtomicU64,
    durable: AtomicU64,
    confirmed: AtomicU64,
    visible: AtomicU64,
    last_stored: AtomicI64,
}

impl Watermark {
    pub(crate) fn new(flush: Flush, end: u64, last_stored: i64) -> Self {
        Self {
            flush,
            appended: AtomicU64::new(end),
            durable: AtomicU64::new(end),
            confirmed: AtomicU64::new(u64::MAX),
            visible: AtomicU64::new(end),
            last_stored: AtomicI64::new(last_stored),
        }
    }

    pub(crate) fn appended(&self) -> u64 {
        self.appended.load(Ordering::Acquire)
    }

    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(crate) fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// Store time of the newest record.
    pub(crate) fn last_stored(&self) -> i64 {
        self.last_stored.load(Ordering::Acquire)
    }

    pub(crate) fn set_appended(&self, end: u64, stored: i64) {
        self.last_stored.store(stored, Ordering::Release);
        self.appended.store(end, Ordering::Release);
    }

    pub(crate) fn set_durable(&self, end: u64) {
        self.durable.fetch_max(end, Ordering::AcqRel);
    }

    /// Readers see nothing behind `end` until more is confirmed by replicas.
    pub(crate) fn set_confirmed(&self, end: u64) {
        self.confirmed.store(end, Ordering::Release);
    }

    /// Up to where entries may become readable now.
    pub(crate) fn bound(&self) -> u64 {
        let bound = match self.flush {
            Flush::Async => self.appended(),
            Flush::Sync if Planted::IndexAheadOfFlush.is_active() => self.appended(),
            Flush::Sync => self.appended().min(self.durable()),
        };
        bound.min(self.confirmed.load(Ordering::Acquire))
    }

    pub(crate) fn show(&self, end: u64) {
        self.visible.fetch_max(end, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asynchronous_readers_follow_what_is_written_and_confirmed() {
        let mark = Watermark::new(Flush::Async, 10, 0);
        mark.set_appended(30, 0);
        assert_eq!(mark.bound(), 30);
        mark.set_confirmed(20);
        assert_eq!(mark.bound(), 20);
    }

    #[test]
    fn synchronous_readers_see_only_what_is_durable() {
        let mark = Watermark::new(Flush::Sync, 10, 0);
        mark.set_appended(30, 0);
        assert_eq!(mark.bound(), 10);
        mark.set_durable(25);
        assert_eq!(mark.bound(), 25);
    }

    #[test]
    fn what_was_visible_stays_visible() {
        let mark = Watermark::new(Flush::Async, 10, 0);
        mark.show(30);
        mark.show(20);
        assert_eq!(mark.visible(), 30);
    }
}
