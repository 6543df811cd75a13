//! How far groups have come, and whether their messages were finished.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::event::Queue;
use crate::queue::Held;

#[derive(Debug, Default)]
pub(crate) struct GroupState {
    pub(crate) finished: HashSet<u64>,
    pub(crate) postponed: HashSet<u64>,
    /// Messages given back whose copies a loss of power may have taken.
    excused: HashSet<u64>,
    queues: HashMap<Queue, Progress>,
}

/// What a group's committed offset in one queue has to stay above.
#[derive(Debug, Default)]
struct Progress {
    /// The last the broker said, and when.
    last: Option<(u64, u64)>,
    /// Of what was said before, the furthest that must outlive a crash.
    kept: u64,
    /// Every message below this offset was seen to be finished or postponed.
    cleared: u64,
}

impl GroupState {
    /// The first message held below `offset` that the group neither finished nor gave back.
    pub(crate) fn passed_over(
        &mut self,
        queue: Queue,
        held: &BTreeMap<u64, Held>,
        offset: u64,
    ) -> Option<(u64, u64)> {
        let progress = self.queues.entry(queue).or_default();
        let from = progress.cleared.min(offset);
        let open = held.range(from..offset).find(|(_, held)| {
            held.doubt == 0
                && !held.reused
                && !self.finished.contains(&held.message)
                && !self.postponed.contains(&held.message)
        });
        progress.cleared = open.map_or(progress.cleared.max(offset), |(at, _)| *at);
        open.map(|(at, held)| (*at, held.message))
    }

    /// Takes in what the broker says; an offset it must not have gone back behind is returned.
    pub(crate) fn committed(&mut self, at: u64, queue: Queue, offset: u64) -> Option<u64> {
        let progress = self.queues.entry(queue).or_default();
        let floor = match progress.last {
            Some((last, _)) => last,
            None => progress.kept,
        };
        progress.last = Some((offset, at));
        (offset < floor).then_some(floor)
    }

    /// The broker ended: what it said longer than `interval` ago it must still know.
    pub(crate) fn ended(&mut self, now: u64, interval: u64) {
        for progress in self.queues.values_mut() {
            if let Some((offset, at)) = progress.last.take()
                && at + interval <= now
            {
                progress.kept = progress.kept.max(offset);
            }
        }
    }

    /// Whether the group still has to get a message.
    pub(crate) fn lacks(&self, held: &Held) -> bool {
        !held.reused
            && !self.finished.contains(&held.message)
            && !self.excused.contains(&held.message)
    }

    /// A loss of power may take messages, and offsets behind the queue's end go with them.
    pub(crate) fn forgive(&mut self) {
        let open = self.postponed.difference(&self.finished).copied();
        self.excused.extend(open.collect::<Vec<_>>());
        for progress in self.queues.values_mut() {
            progress.kept = 0;
            progress.cleared = 0;
        }
    }
}
