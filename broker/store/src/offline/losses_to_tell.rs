//! Which offsets the log has to name as lost, so that none of them is given out again.

use std::collections::BTreeMap;

use model::QueueId;
use model::record::SMALLEST_RECORD;

use super::evidence::End;
use super::examine::Log;
use super::finding::Check;
use super::ledger::Line;
use super::plan::Step;
use crate::losses::{Loss, Told};
use crate::recovery::Facts;

/// Adds what has to be told to the plan.
pub(super) fn add(facts: &Facts<'_>, log: &Log, check: &mut Check) {
    let end = log.end.at;
    let mut losses = losses(facts, log, check.plan.forgets());
    let damaged = log.stretches.iter();
    let mut stretches: Vec<_> = damaged
        .map(|(stretch, _)| (stretch.from, stretch.to))
        .collect();
    stretches.retain(|stretch| !is_told(log, *stretch));
    if losses.is_empty() && stretches.is_empty() {
        return;
    }
    check.plan.add(Step::Forget { end });
    losses.extend(self::losses(facts, log, true));
    losses.sort();
    losses.dedup();
    let told = Told { losses, stretches };
    check.plan.add(Step::Tell { told, end });
}

/// `all` if the heads of the checkpoint go: what only they know has to be told then.
fn losses(facts: &Facts<'_>, log: &Log, all: bool) -> Vec<Loss> {
    let mut losses = Vec::new();
    for (queue, line) in &log.ledger.queues {
        losses.extend(line.gaps.iter().map(|gap| Loss {
            queue: queue.clone(),
            from: gap.from,
            to: gap.to,
        }));
    }
    let mut ends = BTreeMap::new();
    let known = facts.saved.as_ref().filter(|saved| !saved.heads.is_empty());
    let known_to = known.map_or(0, |saved| saved.position.replay_from);
    for head in known.into_iter().flat_map(|saved| saved.heads.all()) {
        let (queue, state) = (&head.id, head.with(|state| state.clone()));
        let known = End {
            queue: queue.clone(),
            end: state.end,
            at: known_to,
        };
        if (all || !state.is_empty()) && is_lost(log, &known) {
            let min = state.min.min(state.end);
            ends.insert(queue.clone(), (min, state.end));
        }
    }
    let told = log.evidence.ends.iter();
    let told = told.filter(|end| end.at >= known_to && !is_told(log, (end.at, end.at + 1)));
    for end in told.filter(|end| is_lost(log, end) && is_likely(log, end)) {
        raise(&mut ends, &end.queue, end.end);
    }
    for (queue, line) in &log.ledger.queues {
        let may_be = line.next + may_have_lost(log, line, known_to);
        if may_be > line.next {
            raise(&mut ends, queue, may_be);
        }
    }
    let begun = facts.unfinished.iter().flat_map(|told| &told.losses);
    for loss in begun.filter(|loss| !is_passed(log, loss)) {
        let (_, to) = ends
            .entry(loss.queue.clone())
            .or_insert((loss.from, loss.to));
        *to = loss.to.max(*to);
    }
    losses.extend(ends.into_iter().map(|(queue, (min, to))| {
        let next = log.ledger.queues.get(&queue).map_or(0, |line| line.next);
        let from = next.max(min).min(to);
        Loss { queue, from, to }
    }));
    losses
}

fn raise(ends: &mut BTreeMap<QueueId, (u64, u64)>, queue: &QueueId, to: u64) {
    let (_, known) = ends.entry(queue.clone()).or_insert((0, to));
    *known = (*known).max(to);
}

/// The queue once ended further on than the log says, and its topic was not deleted since.
fn is_lost(log: &Log, known: &End) -> bool {
    let line = log.ledger.queues.get(&known.queue);
    let buried = log.ledger.buried.get(&known.queue.topic);
    line.map_or(known.end > 0, |line| {
        line.next < known.end && line.last_at < known.at
    }) && buried.is_none_or(|buried| *buried < known.at)
}

/// A repair that was killed was going to tell this, and has.
fn is_passed(log: &Log, loss: &Loss) -> bool {
    let line = log.ledger.queues.get(&loss.queue);
    line.is_some_and(|line| line.next >= loss.to)
}

/// A repair that was killed has told already what this part of the log held.
fn is_told(log: &Log, (from, to): (u64, u64)) -> bool {
    let mut told = log.ledger.told_stretches.iter();
    told.any(|(first, last)| from >= *first && to <= *last)
}

/// A damaged record may say anything: more than the lost bytes can have held is not believed.
fn is_likely(log: &Log, end: &End) -> bool {
    let line = log.ledger.queues.get(&end.queue);
    let stretches = log.stretches.iter();
    let bytes: u64 = stretches
        .map(|(stretch, _)| stretch.to - stretch.from)
        .sum();
    let tail = log.written.map_or(0, |written| written - log.end.at);
    let most = (bytes + tail) / SMALLEST_RECORD as u64 + 1;
    end.end - line.map_or(0, |line| line.next) <= most
}

/// How many records of a queue can have lain behind its last one in what cannot be read and
/// was in no checkpoint. So many of its offsets are left empty, since nobody can say more.
fn may_have_lost(log: &Log, line: &Line, known_to: u64) -> u64 {
    let unread = log.evidence.unread.iter();
    let behind = unread.filter(|(from, to)| {
        *from > line.last_at && *from >= known_to && !is_told(log, (*from, *to))
    });
    let bytes: u64 = behind.map(|(from, to)| to - from).sum();
    bytes / SMALLEST_RECORD as u64
}
