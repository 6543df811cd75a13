//! What is wrong with the records, and what the queues have lost by it.

use super::examine::Log;
use super::finding::{Check, Finding};
use super::ledger::Gap;
use super::plan::Step;
use crate::recovery::{Facts, Fault, Laid, NOTHING};
use crate::segment::{file_name, file_start};

/// Damage in the midst of the log, and what its queues have lost.
pub(super) fn of_records(facts: &Facts<'_>, laid: &Laid, log: &Log, check: &mut Check) {
    for (stretch, stored) in &log.stretches {
        let (from, to) = (stretch.from, stretch.to);
        // In front of the first record of all nothing was stored before.
        let stored = stored.unwrap_or(log.ledger.first_stored.unwrap_or_default());
        check.plan.add(Step::Fill { from, to, stored });
        check.plan.add(Step::Forget { end: log.end.at });
        if is_missing(laid, from, to) {
            continue;
        }
        check.findings.push(Finding {
            file: file_of(log, from),
            position: Some(from),
            what: format!("{} bytes are damaged: {}", to - from, stretch.why),
            repair: "they go to lost+found, a filler takes their place".into(),
            harmless: false,
        });
    }
    if log.has_lost_its_end(facts) {
        check.plan.add(Step::Forget { end: log.end.at });
    }
    of_queues(log, check);
}

/// A part of the log of which it was said already that no file holds it.
fn is_missing(laid: &Laid, from: u64, to: u64) -> bool {
    laid.faults.iter().any(|fault| match fault {
        Fault::Missing {
            from: first,
            to: last,
        } => from >= *first && to <= *last,
        _ => false,
    })
}

fn file_of(log: &Log, at: u64) -> String {
    let holding = log
        .segments
        .iter()
        .rev()
        .find(|segment| segment.start <= at);
    holding
        .map(|segment| format!("commitlog/{}", file_name(segment.start)))
        .unwrap_or_default()
}

/// What lies behind the log's end. It is known by now whether there will be a checkpoint, beside
/// which a start refuses more.
pub(super) fn of_end(facts: &Facts<'_>, laid: &Laid, log: &Log, check: &mut Check) {
    let (at, lost) = (log.end.at, log.has_lost_its_end(facts));
    let known = facts.saved.is_some() || check.plan.forgets();
    let strangers = facts.strangers_behind(at, known);
    // Those that are full of old records look empty to the log.
    let strange = strangers.iter().filter_map(Fault::file);
    let strange = strange.filter_map(file_start);
    if let Some(start) = strange.chain(log.files_behind).min() {
        set_aside_from(start, facts, laid, check);
    }
    check.findings.extend(strangers.iter().map(|fault| Finding {
        file: format!("commitlog/{}", fault.file().unwrap_or_default()),
        position: fault.position(),
        what: fault.to_string(),
        repair: "it goes to lost+found".into(),
        harmless: false,
    }));
    if let Some(until) = log.torn {
        check.plan.add(Step::Cut { at, until });
    }
    let mut faults = laid.faults.iter();
    let stated = faults.any(|fault| matches!(fault, Fault::EndMissing { .. }));
    let told = !strangers.is_empty() && log.torn.is_none();
    if (lost && !stated) || log.written.is_some() && !told {
        let why = log.end.why.as_deref().unwrap_or(NOTHING);
        let written = log.written.map_or(0, |written| written - at);
        let what = match (lost, log.followed) {
            (true, _) => format!("the log ends here, and did not: {why}; {written} bytes follow"),
            (false, true) => format!(
                "the log ends here: {why}; records follow, but a crash came before they were \
                 known to be durable"
            ),
            (false, false) => {
                format!("{written} bytes behind the log's end are no records: {why}")
            }
        };
        check.findings.push(Finding {
            file: file_of(log, at),
            position: Some(at),
            what,
            repair: "they go to lost+found, the log ends here".into(),
            harmless: !lost && !log.followed,
        });
    }
}

/// Files behind the log's end go under the names they have, whatever would have been mended of
/// them; empty ones behind those too, since nothing joins them to the log any more.
fn set_aside_from(start: u64, facts: &Facts<'_>, laid: &Laid, check: &mut Check) {
    for piece in laid.pieces.iter().filter(|piece| piece.start >= start) {
        let place = file_name(piece.start);
        let name = piece.name.as_ref().unwrap_or(&place);
        check.plan.steps.retain(|step| !step.mends(&place));
        // A file of that name may be another part of the log, which gets its name back.
        let mut steps = check.plan.steps.iter();
        let moves = steps.any(|step| matches!(step, Step::Rename { from, .. } if from == name));
        let mut found = facts.survey.found.iter();
        if !moves && found.any(|found| found.name == *name) {
            check.plan.add(Step::TakeOut {
                name: name.clone(),
                why: "behind-the-end",
            });
        }
        let files = [&place, name].map(|name| format!("commitlog/{name}"));
        let told = check.findings.iter_mut();
        for finding in told.filter(|finding| files.contains(&finding.file)) {
            finding.repair = "the log ends in front of it: what there is goes to lost+found".into();
        }
    }
}

/// Gaps that no damage explains, and offsets that two records have.
fn of_queues(log: &Log, check: &mut Check) {
    let explained = |gap: &Gap| {
        let within = |from: u64| (gap.after..gap.at).contains(&from);
        let mut stretches = log.stretches.iter();
        stretches.any(|(stretch, _)| within(stretch.from))
    };
    let mut queues: Vec<_> = log.ledger.queues.iter().collect();
    queues.sort_by_key(|(queue, _)| *queue);
    for (queue, line) in queues {
        for gap in line.gaps.iter().filter(|gap| !explained(gap)) {
            check.findings.push(Finding {
                file: file_of(log, gap.at),
                position: Some(gap.at),
                what: format!(
                    "{queue} goes on at offset {}, but the log has nothing from {} on",
                    gap.to, gap.from
                ),
                repair: "a record names the lost offsets; they stay empty".into(),
                harmless: false,
            });
        }
        for reused in &line.reused {
            check.findings.push(Finding {
                file: file_of(log, reused.at),
                position: Some(reused.at),
                what: format!(
                    "an earlier record of {queue} has offset {} too",
                    reused.offset
                ),
                repair: "none: the later record counts".into(),
                harmless: false,
            });
        }
    }
}
