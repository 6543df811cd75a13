//! From whatever a crash left behind to a log that may be continued.
//!
//! The files are checked, the newest checkpoint is taken, and the log behind it is read again.
//! Where the valid records end, the log is cut; but if the log was known to be durable there
//! and something valid follows, a person has to look first. Doing all this twice, or being
//! killed on the way, changes nothing.

mod end;
mod facts;
mod files;
mod leftovers;
mod replay;
mod scan;
mod verdict;

use std::collections::HashMap;
use std::sync::Arc;

use model::{LogOffset, QueueId, Topic};
use runtime::Disk;

use crate::checkpoint::{Position, Saved, begin_anew};
use crate::guard::Guard;
use crate::key_index::{KeyIndex, Stretch as Keyed};
use crate::layout::Layout;
use crate::losses::{self, Told};
use crate::queue_index::{IndexLog, QueueIndex};
use crate::segment::Segment;
use crate::{Error, RecordChecksum, Settings};

pub(crate) use end::zero;
pub(crate) use facts::Facts;
pub(crate) use files::{Fault, Laid, MOVED, Piece};
pub(crate) use leftovers::last_own;
pub(crate) use scan::{LogEnd, last_written, resume, scan};
pub(crate) use verdict::{Durable, NOTHING, Stretch, walk};
use verdict::{Verdict, judge};

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
    let mut facts = Facts::gather(disk, layout)?;
    if facts.unfinished.is_some() {
        let why = "a repair has begun and is not complete".into();
        return Err(files::refused(layout, why));
    }
    let laid = facts.lay_out()?;
    let mut segments = files::open_segments(&facts, laid)?;
    let log_min = segments.first().map_or(0, |segment| segment.start);
    let log_space = segments.last().map_or(log_min, |segment| segment.end());
    let saved = facts.saved.take().filter(|saved| {
        saved.is_from_the_start() || (log_min..=log_space).contains(&saved.position.replay_from)
    });
    let position = saved.as_ref().map(|saved| saved.position);
    let (guard, known_durable) = (
        position.map(|position| position.guard).unwrap_or_default(),
        position.map(|position| position.durable),
    );
    let saved = match position {
        Some(known) if !index_reaches(disk, layout, known.index_end)? => None,
        _ => saved,
    };
    let distrusted = position.is_some() && saved.is_none();
    let mut rebuilt = saved.as_ref().is_none_or(Saved::is_from_the_start);
    let mut indexed = build(disk, layout, settings, &segments, guard, saved)?;
    let mut at = indexed.end.at;
    let behind = facts.goes_on_behind(at);
    let durable = Durable::of(&segments, known_durable, facts.crashed, behind)?;
    refuse_damage(
        &facts,
        position.is_some(),
        &segments,
        guard,
        &indexed.end,
        durable,
    )?;

    let more_than_a_spare = segments.iter().filter(|segment| segment.start > at).count() > 1;
    let doubtful = facts.crashed
        || facts.generation == 0
        || indexed.end.why.is_some()
        || at < durable.until
        || more_than_a_spare;
    let cut = match doubtful {
        true => end::cut_behind(&facts, known_durable, &mut segments, &indexed.end)?,
        false => None,
    };
    losses::leave_room(&mut segments, at)?;
    // The heads may know records that are gone. No later start may believe them either.
    let cut_short = known_durable.is_some_and(|known| at < known);
    let told = !rebuilt && known_durable.is_some_and(|known| indexed.lost_before(known));
    let raised = indexed.index.raise_minimum(log_min);
    let broken = matches!(raised, Err(Error::Index { .. }));
    let mut generation = facts.generation;
    if distrusted || cut_short || told || broken {
        if !rebuilt {
            indexed = build(disk, layout, settings, &segments, guard, None)?;
        }
        let since = position.map_or(0, |position| position.replay_from);
        // Read once more, rather than kept at every start for this one.
        let again = match position {
            Some(_) => Saved::load(disk.as_ref(), &layout.checkpoints)?.0,
            None => None,
        };
        let ends = again.as_ref().map(ends_of).unwrap_or_default();
        let missing = Told {
            losses: losses::behind(&ends, &indexed.index, &indexed.buried, since),
            ..Told::default()
        };
        let stored = indexed.last_stored;
        let end = losses::append(disk.as_ref(), layout, &mut segments, at, &missing, stored)?;
        losses::note(&indexed.index, &missing.losses, at, stored);
        at = end;
        generation += 1;
        let position = Position {
            durable: at,
            guard,
            ..Position::default()
        };
        begin_anew(disk.as_ref(), &layout.checkpoints, generation, position)?;
        indexed.index.raise_minimum(log_min)?;
        rebuilt = true;
    } else {
        raised?;
    }
    if facts.crashed {
        end::keep(&facts, known_durable, &segments, durable.until, at)?;
    }
    // What is built anew may be another log.
    let known_keys = Keyed {
        from: log_min,
        to: if rebuilt { log_min } else { at },
    };
    indexed.keys.take_over(known_keys)?;
    let spare = segments.pop_if(|last| last.start > at);
    let report = Recovery {
        clean: !facts.crashed && cut.is_none(),
        rebuilt,
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

/// Where every queue ended, as a checkpoint has it.
pub(crate) fn ends_of(saved: &Saved) -> HashMap<QueueId, u64> {
    let heads = saved.heads.all();
    heads
        .map(|head| (head.id.clone(), head.with(|state| state.end)))
        .collect()
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
    /// Where the log first tells of losses.
    lost_at: Option<u64>,
    /// Topics that were deleted, and where the log says so.
    buried: HashMap<Topic, u64>,
}

impl Indexed {
    /// The log was cut below `durable`, and then told of what was lost.
    fn lost_before(&self, durable: u64) -> bool {
        self.lost_at.is_some_and(|at| at < durable)
    }
}

/// A part of the index log that was there may be missing.
fn index_reaches(disk: &Arc<dyn Disk>, layout: &Layout, end: u64) -> Result<bool, Error> {
    IndexLog::reaches(disk.as_ref(), &layout.index_log, end)
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
    let keys = Arc::new(KeyIndex::new(disk.clone(), layout.keys.clone(), from));
    let mut replay = replay::Replay::new(settings, &index, &keys, saved.position.last_stored);
    let end = scan(segments, guard, from, u64::MAX, |record| {
        replay.record(record)
    })?;
    let learnt = replay.finish();
    Ok(Indexed {
        index,
        keys,
        from,
        end,
        last_stored: learnt.last_stored,
        replayed: learnt.records,
        lost_at: learnt.lost_at,
        buried: learnt.buried,
    })
}

/// A person has to look first where durable records lie behind a damaged one.
fn refuse_damage(
    facts: &Facts<'_>,
    known: bool,
    segments: &[Arc<Segment>],
    guard: Guard,
    end: &LogEnd,
    durable: Durable,
) -> Result<(), Error> {
    if let Some(fault) = facts.strangers_behind(end.at, known).first() {
        return Err(files::refused(facts.layout, fault.to_string()));
    }
    let Verdict::Damage { resumes } = judge(segments, guard, end.at, durable)? else {
        return Ok(());
    };
    let file = segments.iter().find(|segment| segment.end() > end.at);
    let file = file
        .map(|segment| segment.path.display().to_string())
        .unwrap_or_default();
    let why = format!(
        "the record at {} in {file} is damaged ({}), but the log goes on at {resumes}",
        end.at,
        end.why.as_deref().unwrap_or(NOTHING),
    );
    Err(files::refused(facts.layout, why))
}
