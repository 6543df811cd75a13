//! What is wrong with the files of the log, and with those around it.

use super::finding::{Check, Finding};
use super::plan::Step;
use crate::Error;
use crate::checkpoint::{Saved, generation_of};
use crate::queue_index::IndexLog;
use crate::recovery::{Facts, Fault, Laid, Piece};
use crate::segment::file_name;

/// Faults of the log's directory, and the steps that mend them.
pub(super) fn of_files(laid: &Laid, check: &mut Check) {
    for fault in &laid.faults {
        let (repair, step) = mended(laid, fault);
        let file = fault.file().map(str::to_owned);
        let file = file.or_else(|| fault.position().map(|at| holding(laid, at)));
        check.findings.push(Finding {
            file: format!("commitlog/{}", file.unwrap_or_default()),
            position: fault.position(),
            what: fault.to_string(),
            repair: repair.into(),
            harmless: false,
        });
        step.into_iter().for_each(|step| check.plan.add(step));
    }
    if let Some(name) = &laid.empty_last {
        check.findings.push(Finding {
            file: format!("commitlog/{name}"),
            position: None,
            what: "the last segment is empty: whoever made it was killed".into(),
            repair: "none is needed: the next start removes it".into(),
            harmless: true,
        });
    }
    for piece in &laid.pieces {
        let name = file_name(piece.start);
        if piece.len > piece.held {
            check.plan.add(Step::Extend {
                name,
                len: piece.len,
            });
        } else if piece.len < piece.held {
            check.plan.add(Step::Shorten {
                name,
                start: piece.start,
                len: piece.len,
            });
        }
    }
}

/// What becomes of a fault, and the step for it where the pieces of the log do not tell.
fn mended(laid: &Laid, fault: &Fault) -> (&'static str, Option<Step>) {
    let aside = |name: &String, why| {
        Some(Step::SetAside {
            name: name.clone(),
            why,
        })
    };
    match fault {
        Fault::Foreign { name } => (TO_LOST_FOUND, aside(name, "foreign")),
        Fault::Extra { name } => {
            let name = name.clone();
            let why = "extra";
            (TO_LOST_FOUND, Some(Step::TakeOut { name, why }))
        }
        Fault::Misnamed {
            name,
            holds,
            free: true,
        } => (
            "it gets its name back",
            Some(Step::Rename {
                from: name.clone(),
                to: file_name(*holds),
            }),
        ),
        Fault::Misnamed { name, .. } => (TO_LOST_FOUND, aside(name, "copy")),
        Fault::Empty { name } => {
            // Unless another file gets the name.
            let is_made = |piece: &Piece| piece.name.is_none() && file_name(piece.start) == *name;
            match laid.pieces.iter().any(is_made) {
                true => (FILLED, None),
                false => (TO_LOST_FOUND, aside(name, "empty")),
            }
        }
        Fault::Missing { .. } => (FILLED, None),
        Fault::Overlong { .. } => ("the rest of it goes to lost+found", None),
        Fault::FrontMissing { to, .. } => (
            "the log begins there from now on, as if its time had been over",
            Some(Step::Forget { end: *to }),
        ),
        // Where the log ends its records say: that may be far in front of where its files do.
        Fault::EndMissing { .. } => (
            "the log ends with its last record; the offsets behind it stay empty",
            None,
        ),
    }
}

const TO_LOST_FOUND: &str = "it goes to lost+found";
const FILLED: &str = "a filler stands for it; the offsets of its messages stay empty";

/// Name of the file in which a log offset lies.
fn holding(laid: &Laid, at: u64) -> String {
    let piece = laid.pieces.iter().find(|piece| piece.end() > at);
    piece
        .map(|piece| file_name(piece.start))
        .unwrap_or_default()
}

/// A repair that was killed.
pub(super) fn of_repair(facts: &Facts<'_>, check: &mut Check) {
    if facts.unfinished.is_none() {
        return;
    }
    check.findings.push(Finding {
        file: "millstream/repair".into(),
        position: None,
        what: "a repair has begun and is not complete".into(),
        repair: "it is completed".into(),
        harmless: false,
    });
    check.plan.add(Step::Complete);
}

/// Checkpoints, the index log as a whole, and the fence.
pub(super) fn of_checkpoints(facts: &Facts<'_>, check: &mut Check) -> Result<(), Error> {
    let disk = facts.disk.as_ref();
    for (name, number) in generations(facts)? {
        let read = disk.read(&facts.layout.checkpoints.join(&name));
        let bytes = read.map_err(Error::disk("reading a checkpoint"))?;
        let whole = Saved::parse(&bytes).map_or(0, |(_, whole)| whole);
        // A crash tears the frame that was being written.
        let torn = facts.crashed && number == facts.generation && whole > 0;
        if whole == bytes.len() || torn {
            continue;
        }
        check.findings.push(Finding {
            file: format!("millstream/heads/{name}"),
            position: Some(whole as u64),
            what: "the checkpoint is damaged".into(),
            repair: "it goes; the indexes are built anew from the log".into(),
            harmless: false,
        });
        check.plan.add(Step::Forget { end: 0 });
    }
    let index_end = facts.saved.as_ref().map(|saved| saved.position.index_end);
    if let Some(end) = index_end
        && !IndexLog::reaches(disk, &facts.layout.index_log, end)?
    {
        check.findings.push(Finding {
            file: "millstream/queues".into(),
            position: Some(end),
            what: "the end of the queue index is missing".into(),
            repair: "it is built anew from the log".into(),
            harmless: false,
        });
        check.plan.add(Step::Forget { end: 0 });
    }
    let fence = disk.exists(&facts.layout.fence);
    if fence.map_err(Error::disk("looking for the fence"))? && facts.fence.is_none() {
        check.findings.push(Finding {
            file: "millstream/fence".into(),
            position: None,
            what: "it cannot be read".into(),
            repair: "none is needed: the next start writes it anew".into(),
            harmless: true,
        });
    }
    Ok(())
}

fn generations(facts: &Facts<'_>) -> Result<Vec<(String, u64)>, Error> {
    let (disk, directory) = (facts.disk, &facts.layout.checkpoints);
    let doing = "listing the checkpoints";
    if !disk.exists(directory).map_err(Error::disk(doing))? {
        return Ok(Vec::new());
    }
    let names = disk.list(directory).map_err(Error::disk(doing))?;
    let numbered = names.into_iter().filter_map(|entry| {
        let number = generation_of(&entry.name)?;
        Some((entry.name, number))
    });
    Ok(numbered.collect())
}
