//! Writes what a store holds as the directory of a RocketMQ broker.
//!
//! ```text
//!  the log ──┬── copied ───────────────────► commitlog/
//!            └── read, record by record ──┬► index/
//!                                         └► a queue index ──► consumequeue/ …, checkpoint
//! ```
//! The source is read and nothing else. Everything goes to a [`Target`], which gets its name
//! only once it is whole. The same store gives the same bytes.
//!
//! *Not in place*: whoever owned the directory before would find a log that others have gone on
//! with, under committed offsets of its own that have stayed behind. *Not by hard links*: either
//! owner may use the space of a segment again that it has no more use for.

mod batch_queue;
mod carried;
mod checkpoint;
mod consume_queue;
mod index_file;
mod log;
mod placeholder;
mod queue_file;
mod refusal;
mod replay;
mod target;

use std::path::Path;

use model::Topic;
use model::record::RecordView;

use super::examine::{examine, views};
use super::{Check, Offline};
use crate::recovery::{Facts, scan};
use crate::{Error, Settings};

use carried::carry;
use checkpoint::Checkpoint;
use log::{Fit, LogCopy};
use placeholder::Placeholder;
use replay::Replay;

pub use refusal::ExportError;
pub use target::Target;

/// How a RocketMQ lays out its files. The default is RocketMQ's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportShape {
    /// Entries in one file of a consume queue. RocketMQ: `mappedFileSizeConsumeQueue`, in bytes.
    pub queue_entries: u64,
    /// The same for queues of batches. RocketMQ: `mapperFileSizeBatchConsumeQueue`, in bytes.
    pub batch_entries: u64,
    /// RocketMQ: `maxHashSlotNum`.
    pub index_slots: u32,
    /// RocketMQ: `maxIndexNum`.
    pub index_entries: u32,
}

impl Default for ExportShape {
    fn default() -> Self {
        Self {
            queue_entries: 300_000,
            batch_entries: 300_000,
            index_slots: 5_000_000,
            index_entries: 20_000_000,
        }
    }
}

/// What an export has to be told, because the log does not say it.
pub struct ExportAs<'a> {
    pub shape: ExportShape,
    /// The broker's own: how long the delay levels wait, and the size of a segment where there
    /// is none yet.
    pub settings: &'a Settings,
    /// Whether the queues of a topic hold batches. RocketMQ: the attribute `queue.type=BatchCQ`.
    pub holds_batches: &'a dyn Fn(&Topic) -> bool,
}

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExportStage {
    /// The store is looked at for damage.
    Checking,
    /// Its records are read for the indexes.
    Reading,
    /// Its segments are copied.
    Copying,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// RocketMQ has to be told: `mappedFileSizeCommitLog`.
    pub segment_bytes: u64,
    pub segments: u64,
    /// Segments that share their space with those they were made from.
    pub shared: u64,
    pub records: u64,
    pub queues: u64,
    /// Where the log ends.
    pub end: u64,
    /// When its newest record was stored.
    pub last_stored: i64,
    /// Places of queues whose messages the log has lost.
    pub lost_places: u64,
    /// There are queues of light topics. RocketMQ has to be told: `enableLmq`,
    /// `enableMultiDispatch`.
    pub has_light_topics: bool,
    /// Size of a file of the timer log that was carried over. RocketMQ has to be told:
    /// `mappedFileSizeTimerLog`.
    pub timer_log_bytes: Option<u64>,
    /// Queues that cannot have a directory of their name, and so have none.
    pub left_out: Vec<String>,
}

impl Offline {
    /// Writes the store to `target` as RocketMQ keeps one: log, queues, key index, checkpoint,
    /// and what a RocketMQ before us kept for services that we do not have. Configuration is
    /// not the store's: that is left to the caller, who gets every record by `each`.
    ///
    /// Refuses a store that was not closed in order, or is damaged.
    pub fn export(
        &self,
        target: &Target,
        how: &ExportAs<'_>,
        each: &mut dyn FnMut(&RecordView<'_>),
        progress: &mut dyn FnMut(ExportStage, u64, u64),
    ) -> Result<Exported, ExportError> {
        let root = &self.layout.root;
        if target.overlaps(root) {
            return Err(ExportError::Within {
                path: target.path().to_owned(),
            });
        }
        let check = examine(&self.disk, &self.layout, &mut |done, total| {
            progress(ExportStage::Checking, done, total);
        })?;
        must_be_whole(root, &check)?;
        let facts = Facts::gather(&self.disk, &self.layout)?;
        let laid = facts.lay_out()?;
        let segments = views(self.disk.as_ref(), &self.layout, &laid.pieces)?;
        let begin = segments.first().map_or(0, |segment| segment.start);

        let mut replay = Replay::begin(target, how)?;
        let space = segments.last().map_or(begin, |last| last.end());
        let end = scan(&segments, facts.guard(), begin, u64::MAX, |record| {
            progress(
                ExportStage::Reading,
                record.log_offset.0 - begin,
                space - begin,
            );
            each(record);
            replay.record(record);
        })?;
        let read = replay.end(begin)?;
        let fit = Fit::of(root, &segments, end.at, how.settings.segment_bytes)?;
        let placeholder = Placeholder::behind(end.at, fit.segment_bytes, read.last_stored)?;
        let mut exported = Exported {
            segment_bytes: fit.segment_bytes,
            records: read.records,
            end: end.at,
            last_stored: read.last_stored,
            ..Exported::default()
        };
        read.write_queues(target, how, &placeholder, begin, &segments, &mut exported)?;
        let copy = LogCopy::of(target, &fit);
        (exported.segments, exported.shared) =
            copy.write(&segments, end.at, &mut |done, total| {
                progress(ExportStage::Copying, done, total);
            })?;
        if exported.lost_places > 0 {
            exported.end = copy.append(end.at, &placeholder)?;
        }
        let checkpoint = Checkpoint {
            stored: read.last_stored,
            indexed: read.last_indexed,
            last_in_queue: read.last_in_queue,
        };
        target.put("checkpoint", &checkpoint.encode())?;
        exported.timer_log_bytes = carry(self.disk.as_ref(), root, target)?;
        Ok(exported)
    }
}

fn must_be_whole(root: &Path, check: &Check) -> Result<(), ExportError> {
    let grave = check.findings.iter().find(|finding| !finding.harmless);
    if let Some(finding) = grave {
        let position = finding.position.map(|position| format!(" at {position}"));
        return Err(ExportError::Damaged {
            path: root.to_owned(),
            why: format!(
                "{}{}: {}",
                finding.file,
                position.unwrap_or_default(),
                finding.what
            ),
        });
    }
    if check.crashed {
        return Err(ExportError::NotClosed {
            path: root.to_owned(),
        });
    }
    Ok(())
}

/// What the disk refused while the target was written.
fn writing(source: std::io::Error) -> Error {
    Error::Disk {
        doing: "writing the export",
        source,
    }
}
