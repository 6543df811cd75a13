//! What an operator can choose about the store.

use serde::Deserialize;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Bytes in one commit-log segment of a new store. A store whose segments have one size
    /// keeps to that, since RocketMQ can read no log of two. RocketMQ:
    /// `mappedFileSizeCommitLog`.
    pub segment_bytes: u64,
    /// When an append is acknowledged. RocketMQ: `flushDiskType`.
    pub flush: Flush,
    /// What guards the records written from now on.
    pub record_checksum: RecordChecksum,
    /// Longest time written bytes stay out of reach of an `fdatasync` in asynchronous mode.
    /// RocketMQ: `flushIntervalCommitLog`.
    pub flush_interval_ms: u64,
    /// Time between two checkpoints of the queue index: the part of the log younger than the
    /// last one is read again after a crash.
    pub checkpoint_interval_ms: u64,
    /// Bytes of recently appended records kept in memory for readers at the tail.
    pub hot_bytes: usize,
    /// Milliseconds each delay level waits, the first being level 1. RocketMQ:
    /// `messageDelayLevel`.
    pub delay_levels_ms: Vec<i64>,
    /// Hours a segment is kept after its last record. RocketMQ: `fileReservedTime`.
    pub retention_hours: u64,
    /// Hours of the day, in UTC, in which segments are deleted whose time is over. RocketMQ:
    /// `deleteWhen`, there in local time.
    pub delete_hours: Vec<u8>,
    /// Share of the disk, in percent, from which such segments are deleted at any hour.
    /// RocketMQ: `diskMaxUsedSpaceRatio`.
    pub delete_percent: u8,
    /// Share of the disk, in percent, from which the oldest segments go before their time; from
    /// 100 on they never do.
    /// RocketMQ: `diskSpaceCleanForciblyRatio`.
    pub clean_percent: u8,
    /// Share of the disk, in percent, from which appends are refused. RocketMQ:
    /// `diskSpaceWarningLevelRatio`.
    pub refuse_percent: u8,
}

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flush {
    /// The record survives the death of this process: the kernel has its bytes.
    #[default]
    Async,
    /// The record survives a loss of power: an `fdatasync` covers it.
    Sync,
}

/// What a record carries against damage. RocketMQ: `enabledAppendPropCRC`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordChecksum {
    /// A checksum of its body and one of all of it. Records without are refused.
    #[default]
    Record,
    /// A checksum of its body: RocketMQ's plain form. A torn property may pass unnoticed.
    Body,
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            flush: Flush::Async,
            record_checksum: RecordChecksum::Record,
            flush_interval_ms: 500,
            checkpoint_interval_ms: 2_000,
            hot_bytes: 64 << 20,
            delay_levels_ms: default_delay_levels(),
            retention_hours: 72,
            delete_hours: vec![4],
            delete_percent: 75,
            clean_percent: 85,
            refuse_percent: 90,
        }
    }
}

impl Settings {
    /// When a message of `level` that was stored at `stored` is due.
    ///
    /// Levels above the last wait as long as the last; level 0 and below are not delayed and
    /// give `None`.
    pub(crate) fn due(&self, level: i64, stored: i64) -> Option<i64> {
        let index = usize::try_from(level.checked_sub(1)?).ok()?;
        let wait = self
            .delay_levels_ms
            .get(index)
            .or_else(|| self.delay_levels_ms.last())?;
        Some(stored.saturating_add(*wait))
    }
}

fn default_delay_levels() -> Vec<i64> {
    let mut levels = vec![SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND];
    levels.extend((1..=10).map(|minutes| minutes * MINUTE));
    levels.extend([20 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR]);
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eighteen_levels_are_those_of_rocketmq() {
        let settings = Settings::default();
        assert_eq!(settings.delay_levels_ms.len(), 18);
        assert_eq!(settings.due(1, 10), Some(1_010));
        assert_eq!(settings.due(5, 0), Some(MINUTE));
        assert_eq!(settings.due(18, 0), Some(2 * HOUR));
    }

    #[test]
    fn a_level_above_the_last_waits_as_long_as_the_last() {
        assert_eq!(Settings::default().due(19, 0), Some(2 * HOUR));
        assert_eq!(Settings::default().due(0, 7), None);
        assert_eq!(Settings::default().due(-3, 7), None);
    }
}
