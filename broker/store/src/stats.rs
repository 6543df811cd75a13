//! What the store counts about itself.

use runtime::Space;

use crate::sync::atomic::{AtomicU64, Ordering};

/// A snapshot of the store's counters and gauges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Records and bytes appended since the store was opened.
    pub appended_records: u64,
    pub appended_bytes: u64,
    /// Where the log begins, ends for readers, ends for writers, and is durable.
    pub log_min: u64,
    pub log_visible: u64,
    pub log_end: u64,
    pub log_durable: u64,
    /// Bytes of the log's files.
    pub file_bytes: u64,
    /// Files of deleted segments that wait to be used again.
    pub recycled_files: u64,
    /// Bytes kept in memory for readers at the tail, and where they begin.
    pub hot_bytes: u64,
    pub hot_start: Option<u64>,
    pub queues: u64,
    /// Keys in memory, and files with the keys of older records.
    pub index_keys: u64,
    pub key_files: u64,
    /// Damaged records that readers came across.
    pub damaged_records: u64,
    /// The file system that holds the log, where it says.
    pub disk: Option<Space>,
}

impl Stats {
    /// Bytes that are written and not yet durable.
    pub fn flush_behind(&self) -> u64 {
        self.log_end.saturating_sub(self.log_durable)
    }

    /// Bytes that are written and not yet shown to readers.
    pub fn dispatch_behind(&self) -> u64 {
        self.log_end.saturating_sub(self.log_visible)
    }

    /// Used share of the disk in percent.
    pub fn disk_used_percent(&self) -> Option<f64> {
        let Space { total, available } = self.disk?;
        (total > 0).then(|| (total - available.min(total)) as f64 * 100.0 / total as f64)
    }
}

#[derive(Default)]
pub(crate) struct Counters {
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn appended(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
