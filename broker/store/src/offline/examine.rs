//! Reads everything, and gathers what is wrong and what to do about it.

use std::cell::Cell;
use std::sync::Arc;

use model::LogOffset;
use model::record::RecordView;
use runtime::{Disk, Open};

use super::evidence::Evidence;
use super::file_findings;
use super::finding::{Check, Finding, Totals};
use super::index::{Mismatch, Sums};
use super::keys::KeySums;
use super::ledger::Ledger;
use super::log_findings;
use super::losses_to_tell;
use super::plan::{Plan, Step};
use super::view::View;
use crate::Error;
use crate::guard::Guard;
use crate::layout::Layout;
use crate::recovery::{Durable, Facts, Laid, LogEnd, Piece, Stretch, last_own, resume, walk};
use crate::segment::{Segment, file_name};

/// Bytes of the log between two words about how far it is.
const TOLD: u64 = 4 << 20;

/// The log as it was read.
pub(super) struct Log {
    pub segments: Vec<Arc<Segment>>,
    /// What is damaged, and when the record in front of it was stored.
    pub stretches: Vec<(Stretch, Option<i64>)>,
    pub end: LogEnd,
    /// One more than the position of the last byte behind the end that this log wrote.
    pub written: Option<u64>,
    /// The same within the segment that the end lies in.
    pub torn: Option<u64>,
    /// Where the first file begins that lies behind the end and is not empty.
    pub files_behind: Option<u64>,
    /// A valid record lies behind the end.
    pub followed: bool,
    pub ledger: Ledger,
    pub evidence: Evidence,
}

impl Log {
    /// True if records were lost that the end of the log once was behind.
    pub(super) fn has_lost_its_end(&self, facts: &Facts<'_>) -> bool {
        match facts.known_durable() {
            Some(known) => self.end.at < known,
            None => !facts.crashed && self.written.is_some(),
        }
    }
}

pub(super) fn examine(
    disk: &Arc<dyn Disk>,
    layout: &Layout,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Check, Error> {
    let facts = Facts::gather(disk, layout)?;
    let laid = facts.lay_out()?;
    let mut check = Check {
        crashed: facts.crashed,
        plan: Plan {
            generation: facts.generation,
            guard: facts.guard(),
            hopeless: hopeless(&laid),
            ..Plan::default()
        },
        ..Check::default()
    };
    file_findings::of_files(&laid, &mut check);
    file_findings::of_checkpoints(&facts, &mut check)?;
    file_findings::of_repair(&facts, &mut check);
    if check.plan.hopeless.is_some() {
        return Ok(check);
    }
    let segments = views(disk.as_ref(), layout, &laid.pieces)?;
    let log = read(&facts, segments, progress)?;
    log_findings::of_records(&facts, &laid, &log, &mut check);
    of_index(&facts, &log, &mut check)?;
    if facts.saved.is_none() && facts.generation > 0 {
        let begin = laid.pieces.first().map_or(0, |piece| piece.start);
        // Records were written with a checksum of all of them, from where the log shows it.
        check.plan.guard = Guard {
            from: LogOffset(log.ledger.unguarded_to.max(begin)),
        };
    }
    losses_to_tell::add(&facts, &log, &mut check);
    log_findings::of_end(&facts, &laid, &log, &mut check);
    set_old_aside(&facts, &mut check)?;
    // Where the indexes are built anew, so are these.
    if facts.saved.is_some() && !check.plan.forgets() {
        let begin = log.segments.first().map_or(log.end.at, |first| first.start);
        let keys = &log.ledger.keys;
        keys.compare(&facts, (begin, log.end.at), &mut check)?;
    }
    check.plan.last_stored = log.ledger.last_stored;
    check.plan.arrange();
    check.totals = Totals {
        segments: laid.pieces.len() as u64,
        records: log.ledger.records,
        queues: log.ledger.visible_queues(),
        bytes: log.end.at - log.segments.first().map_or(log.end.at, |first| first.start),
    };
    Ok(check)
}

/// Why the files cannot be made into a log.
fn hopeless(laid: &Laid) -> Option<String> {
    if laid.torn_apart {
        return Some("the files are parts of logs that have nothing to do with each other".into());
    }
    (laid.pieces.is_empty() && !laid.faults.is_empty()).then(|| "no file of the log is left".into())
}

/// The log as it will be once its files are mended.
pub(super) fn views(
    disk: &dyn Disk,
    layout: &Layout,
    pieces: &[Piece],
) -> Result<Vec<Arc<Segment>>, Error> {
    let view = |piece: &Piece| {
        let file = match &piece.name {
            Some(name) => Some(
                disk.open(&layout.log.join(name), Open::Read)
                    .map_err(Error::disk("opening the log"))?,
            ),
            None => None,
        };
        Ok(Arc::new(Segment {
            start: piece.start,
            len: piece.len,
            file: Arc::new(View {
                file,
                held: piece.held,
                len: piece.len,
            }),
            path: layout.log.join(file_name(piece.start)),
            recycled: false,
        }))
    };
    pieces.iter().map(view).collect()
}

fn read(
    facts: &Facts<'_>,
    segments: Vec<Arc<Segment>>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Log, Error> {
    let (begin, space) = bounds(&segments);
    let sums = facts.saved.as_ref().map(Sums::of).unwrap_or_default();
    let mut ledger = Ledger::with(sums, KeySums::of_files(facts)?);
    let mut evidence = Evidence::default();
    let mut stretches = Vec::new();
    let stored = Cell::new(None);
    let mut told = begin;
    progress(0, space - begin);
    let end = walk_all(
        facts,
        &segments,
        begin,
        |record| {
            ledger.record(record);
            stored.set(Some(record.stored.0));
            if record.log_offset.0 >= told + TOLD {
                told = record.log_offset.0;
                progress(told - begin, space - begin);
            }
            true
        },
        |stretch| {
            evidence.gather(&segments, stretch.from, stretch.to)?;
            stretches.push((stretch, stored.get()));
            Ok(())
        },
    )?;
    let mut written = None;
    let (mut torn, mut files_behind) = (None, None);
    for segment in segments.iter().filter(|segment| segment.end() > end.at) {
        let here = last_own(segment, end.at, u64::MAX)?;
        if segment.start <= end.at {
            torn = here;
        } else if here.is_some() {
            files_behind.get_or_insert(segment.start);
        }
        written = written.max(here);
    }
    let followed = match written {
        Some(written) => resume(&segments, facts.guard(), end.at, written)?.is_some(),
        None => false,
    };
    progress(space - begin, space - begin);
    let mut log = Log {
        segments,
        stretches,
        end,
        written,
        torn,
        files_behind,
        followed,
        ledger,
        evidence,
    };
    // What is left behind the end of what a repair has told before it was killed.
    let told = facts.unfinished.is_some() && log.ledger.ends_with_told;
    if let Some(written) = log.written.filter(|_| log.has_lost_its_end(facts) && !told) {
        log.evidence.gather(&log.segments, log.end.at, written)?;
    }
    Ok(log)
}

fn bounds(segments: &[Arc<Segment>]) -> (u64, u64) {
    let begin = segments.first().map_or(0, |segment| segment.start);
    (begin, segments.last().map_or(begin, |last| last.end()))
}

/// Reads the log past all damage, up to where a start would end it.
pub(super) fn walk_all(
    facts: &Facts<'_>,
    segments: &[Arc<Segment>],
    from: u64,
    mut each: impl FnMut(&RecordView<'_>) -> bool,
    mut damaged: impl FnMut(Stretch) -> Result<(), Error>,
) -> Result<LogEnd, Error> {
    let (guard, known) = (facts.guard(), facts.known_durable());
    let more = Cell::new(true);
    let mut each = |record: &RecordView<'_>| {
        more.set(each(record));
        more.get()
    };
    let durable = Durable::of(segments, known, facts.crashed, None)?;
    let end = walk(segments, guard, (from, durable), &mut each, &mut damaged)?;
    let behind = facts.goes_on_behind(end.at);
    let further = Durable::of(segments, known, facts.crashed, behind)?;
    if further.until <= durable.until || !more.get() {
        return Ok(end);
    }
    walk(segments, guard, (end.at, further), each, damaged)
}

/// What RocketMQ knows of a record would lead its readers to the filler in its place.
fn set_old_aside(facts: &Facts<'_>, check: &mut Check) -> Result<(), Error> {
    let mut steps = check.plan.steps.iter();
    if !steps.any(|step| matches!(step, Step::Fill { .. })) {
        return Ok(());
    }
    for folder in ["consumequeue", "batchconsumequeue", "index"] {
        let exists = facts.disk.exists(&facts.layout.root.join(folder));
        if exists.map_err(Error::disk("looking for RocketMQ's files"))? {
            check.plan.add(Step::SetAsideOld { folder });
        }
    }
    Ok(())
}

fn of_index(facts: &Facts<'_>, log: &Log, check: &mut Check) -> Result<(), Error> {
    let Some(saved) = facts.saved.as_ref() else {
        return Ok(());
    };
    // Where records are missing the index is built anew in any case.
    if check.plan.forgets() {
        return Ok(());
    }
    let wrong = log
        .ledger
        .sums
        .compare(facts.disk.as_ref(), facts.layout, saved)?;
    for Mismatch { queue, block } in wrong {
        let what = match block {
            Some(_) => format!("a block of the index of {queue} is damaged or missing"),
            None => format!("the index of {queue} is not what the log says"),
        };
        check.findings.push(Finding {
            file: "millstream/queues".into(),
            position: block,
            what,
            repair: "it is built anew from the log".into(),
            harmless: false,
        });
        check.plan.add(Step::Forget { end: log.end.at });
    }
    Ok(())
}
