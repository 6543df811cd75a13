//! From whatever a crash left behind to a log that may be continued.
//!
//! The files are checked, the newest checkpoint is taken, and the log behind it is read again.
//! Where the valid records end, the log is cut; but if the log was known to be durable there
//! and something valid follows, a person has to look first. Doing all this twice, or being
//! killed on the way, changes nothing.

mod files;
mod replay;
mod scan;

use std::sync::Arc;

use model::LogOffset;
use runtime::Disk;

use crate::checkpoint::{Position, Saved, begin_anew};
use crate::fence::Fence;
use crate::guard::Guard;
use crate::key_index::KeyIndex;
use crate::layout::Layout;
use crate::queue_index::{IndexLog, QueueIndex};
use crate::segment::Segment;
use crate::{Error, RecordChecksum, Settings};

use scan::LogEnd;
pub(crate) use scan::scan;

/// What a start found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The store had been closed in order.
    pub clean: bool,
    /// There was no usable checkpoint: the indexes were built from the whole log.
    pub rebuilt: bool,
    /// Where reading again began.
    pub replayed_from: LogOffset,
    /// Records that were read again.
    pub replayed: u64,
    /// Where the log ends.
    pub end: LogOffset,
    /// What was cut off behind the end.
    pub cut: Option<Cut>,
}

/// Bytes behind the last valid record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub at: LogOffset,
    /// From the cut to the last byte that was written behind it.
    pub bytes: u64,
    /// What was wrong with the first record that does not count.
    pub why: String,
    /// The disk had claimed to hold these bytes durably, or some of them.
    pub was_durable: bool,
}

/// A log that may be continued, and its indexes.
pub(crate) struct Recovered {
    pub segments: Vec<Arc<Segment>>,
    /// An empty segment behind the one in use.
    pub spare: Option<Arc<Segment>>,
    pub end: u64,
    pub last_stored: i64,
    pub index: Arc<QueueIndex>,
    pub keys: Arc<KeyIndex>,
    /// Number of the newest checkpoint.
    pub generation: u64,
    pub guard: Guard,
    pub report: Recovery,
}

/// Reads a store's directory and repairs the end of its log. Waits for the disk throughout.
pub(crate) fn recover(
    disk: &Arc<dyn Disk>,
    layout: &Layout,
    settings: &Settings,
) -> Result<Recovered, Error> {
    let crashed = disk
        .exists(&layout.abort)
        .map_err(Error::disk("looking for a crash"))?;
    let mut segments = files::open_segments(disk.as_ref(), layout)?;
    let fence = Fence::load(disk.as_ref(), &layout.fence)?.unwrap_or(u64::MAX);
    let (saved, mut generation) = Saved::load(disk.as_ref(), &layout.checkpoints)?;
    let adopted = generation == 0;
    let log_min = segments.first().map_or(0, |segment| segment.start);
    let log_space = segments.last().map_or(log_min, |segment| segment.end());
    let saved = match saved {
        Some(saved) if saved.position.durable > log_space => {
            let why = format!(
                "the log reached {} durably, but its files end at {log_space}; restore the rest",
                saved.position.durable
            );
            return Err(files::refused(layout, why));
        }
        saved => saved.filter(|saved| {
            saved.is_from_the_start() || (log_min..=log_space).contains(&saved.position.replay_from)
        }),
    };
    let known_durable = saved.as_ref().map(|saved| saved.position.durable);
    let rebuilt = saved.as_ref().is_none_or(Saved::is_from_the_start);
    let known_guard = saved.as_ref().map(|saved| saved.position.guard);
    let guard = known_guard.unwrap_or_default();
    let mut indexed = build(disk, layout, settings, &segments, guard, saved)?;
    let at = indexed.end.at;
    let durable = match known_durable {
        Some(durable) => durable,
        None if crashed => last_with_data(&segments)?,
        None => log_space,
    };
    if at < durable {
        refuse_if_followed(layout, &segments, guard, &indexed.end, durable)?;
    }
    let lost = known_durable.is_some_and(|durable| at < durable);
    if lost {
        // The heads may know records that are gone. No later start may believe them either.
        generation += 1;
        let position = Position {
            replay_from: 0,
            durable: at,
            guard,
            ..Position::default()
        };
        begin_anew(disk.as_ref(), &layout.checkpoints, generation, position)?;
        indexed = build(disk, layout, settings, &segments, guard, None)?;
    }
    let behind = segments.iter().filter(|segment| segment.start > at).count();
    let doubtful = crashed || adopted || indexed.end.why.is_some() || at < durable || behind > 1;
    let cut = if doubtful {
        cut_behind(
            disk.as_ref(),
            layout,
            &mut segments,
            &indexed.end,
            fence,
            known_durable,
        )?
    } else {
        None
    };
    if crashed {
        for segment in segments.iter().filter(|segment| segment.start < at) {
            let doing = "making durable what was found";
            if segment.end() > durable {
                write_again(segment, durable.max(segment.start), at.min(segment.end()))?;
            } else if known_durable.is_none() {
                segment.file.fdatasync().map_err(Error::disk(doing))?;
            }
        }
        disk.fsync_dir(&layout.log)
            .map_err(Error::disk("making durable what was found"))?;
    }
    let spare = segments.pop_if(|last| last.start > at);
    indexed.index.raise_minimum(log_min)?;
    let report = Recovery {
        clean: !crashed && cut.is_none(),
        rebuilt: rebuilt || lost,
        replayed_from: LogOffset(indexed.from),
        replayed: indexed.replayed,
        end: LogOffset(at),
        cut,
    };
    Ok(Recovered {
        segments,
        spare,
        end: at,
        last_stored: indexed.last_stored,
        index: indexed.index,
        keys: indexed.keys,
        generation,
        guard: guard_from_now(settings, guard, at),
        report,
    })
}

/// Old records keep to what was asked of them; new ones to what the settings ask.
fn guard_from_now(settings: &Settings, before: Guard, end: u64) -> Guard {
    match settings.record_checksum {
        RecordChecksum::Record => Guard {
            from: before.from.min(LogOffset(end)),
        },
        RecordChecksum::Body => Guard::default(),
    }
}

/// The indexes, and how far the log they were built from is valid.
struct Indexed {
    index: Arc<QueueIndex>,
    keys: Arc<KeyIndex>,
    from: u64,
    end: LogEnd,
    last_stored: i64,
    replayed: u64,
}

/// Reads the log behind a checkpoint, all of it without one.
fn build(
    disk: &Arc<dyn Disk>,
    layout: &Layout,
    settings: &Settings,
    segments: &[Arc<Segment>],
    guard: Guard,
    saved: Option<Saved>,
) -> Result<Indexed, Error> {
    let log_min = segments.first().map_or(0, |segment| segment.start);
    let from = saved
        .as_ref()
        .map_or(log_min, |saved| saved.position.replay_from.max(log_min));
    let saved = saved.unwrap_or_default();
    let index_end = saved.position.index_end;
    let index_log = IndexLog::open(disk.clone(), layout.index_log.clone(), index_end)?;
    let index = Arc::new(QueueIndex::new(index_log, saved.heads));
    let keys = Arc::new(KeyIndex::default());
    let mut replay = replay::Replay::new(settings, &index, &keys, saved.position.last_stored);
    let end = scan(segments, guard, from, u64::MAX, |record| {
        replay.record(record)
    })?;
    let (last_stored, replayed) = (replay.last_stored, replay.records);
    Ok(Indexed {
        index,
        keys,
        from,
        end,
        last_stored,
        replayed,
    })
}

/// Where the last segment begins that holds anything: without a checkpoint, what lies before
/// it is taken for durable.
fn last_with_data(segments: &[Arc<Segment>]) -> Result<u64, Error> {
    for segment in segments.iter().rev() {
        if scan::last_written(segment, segment.start, u64::MAX)?.is_some() {
            return Ok(segment.start);
        }
    }
    Ok(0)
}

fn refuse_if_followed(
    layout: &Layout,
    segments: &[Arc<Segment>],
    guard: Guard,
    end: &LogEnd,
    durable: u64,
) -> Result<(), Error> {
    let Some(valid) = scan::find_valid(segments, guard, end.at + 1, durable)? else {
        return Ok(());
    };
    let file = segments.iter().find(|segment| segment.end() > end.at);
    let file = file
        .map(|segment| segment.path.display().to_string())
        .unwrap_or_default();
    let why = format!(
        "the record at {} in {file} is damaged ({}), but the log goes on at {valid}; restore the \
         file from a copy",
        end.at,
        end.why.as_deref().unwrap_or("nothing is written there"),
    );
    Err(files::refused(layout, why))
}

/// Makes durable what was found. Its bytes may have been in the kernel only, and if a flush had
/// failed, the kernel may take them for clean: so they are written once more.
fn write_again(segment: &Segment, from: u64, until: u64) -> Result<(), Error> {
    let doing = "making durable what was found";
    let mut at = from;
    let mut bytes = Vec::new();
    while at < until {
        bytes.resize((until - at).min(1 << 20) as usize, 0);
        segment
            .file
            .read_exact_at(&mut bytes, at - segment.start)
            .map_err(Error::disk(doing))?;
        segment
            .file
            .write_all_at(&bytes, at - segment.start)
            .map_err(Error::disk(doing))?;
        at += bytes.len() as u64;
    }
    segment.file.fdatasync().map_err(Error::disk(doing))
}

/// Makes everything behind the end as if it had never been written. Nothing was behind the
/// fence.
fn cut_behind(
    disk: &dyn Disk,
    layout: &Layout,
    segments: &mut Vec<Arc<Segment>>,
    end: &LogEnd,
    fence: u64,
    known_durable: Option<u64>,
) -> Result<Option<Cut>, Error> {
    let mut written_to = None;
    let in_use = segments.partition_point(|segment| segment.end() <= end.at);
    // From the back, so that being killed on the way leaves the same end to be found.
    while segments.len() > in_use + 1 {
        let last = segments.len() - 1;
        let written = scan::last_written(&segments[last], segments[last].start, fence)?;
        if written.is_none() && last == in_use + 1 {
            break;
        }
        written_to = written_to.max(written);
        disk.unlink(&segments[last].path)
            .map_err(Error::disk("cutting the log"))?;
        // One by one, so that no crash leaves a gap behind.
        disk.fsync_dir(&layout.log)
            .map_err(Error::disk("cutting the log"))?;
        segments.pop();
    }
    if let Some(active) = segments.get(in_use) {
        let written = scan::last_written(active, end.at, fence)?;
        written_to = written_to.max(written);
        if let Some(written) = written {
            zero(active, end.at, written)?;
        }
    }
    let was_durable = known_durable.is_some_and(|durable| durable > end.at);
    let bytes = written_to.map_or(0, |written| written - end.at);
    let why = end
        .why
        .clone()
        .unwrap_or_else(|| "nothing is written there".into());
    let lost = bytes > 0 || was_durable;
    Ok(lost.then_some(Cut {
        at: LogOffset(end.at),
        bytes,
        why,
        was_durable,
    }))
}

fn zero(segment: &Segment, from: u64, until: u64) -> Result<(), Error> {
    let zeros = vec![0; ((until - from) as usize).min(1 << 20)];
    let mut at = from;
    while at < until {
        let bytes = zeros.len().min((until - at) as usize);
        segment
            .file
            .write_all_at(&zeros[..bytes], at - segment.start)
            .map_err(Error::disk("cutting the log"))?;
        at += bytes as u64;
    }
    segment
        .file
        .fdatasync()
        .map_err(Error::disk("cutting the log"))
}
