//! The checks that have to wait for the end.

use crate::judge::History;
use crate::verdict::Verdict;

impl History {
    /// Judges what can only be judged at the end.
    pub fn finish(mut self) -> Verdict {
        self.nothing_lost();
        self.only_suffixes_lost();
        self.all_delivered();
        let never: Vec<u64> = self.never_came().collect();
        for message in never {
            self.breach("D12", format!("{message} was to come later and never came"));
        }
        self.verdict
    }

    fn nothing_lost(&mut self) {
        let mut breaches = Vec::new();
        for queue in self.queues.iter().filter(|queue| queue.ended) {
            let (name, min, max) = (&queue.name, queue.min, queue.max);
            if let Some(gap) = queue.first_gap(min, max) {
                breaches.push(("D5", format!("{name} holds {min}..{max} without {gap}")));
            }
            for (offset, held) in queue.held.range(min..) {
                let drained = queue.drained.get(offset);
                if drained != Some(&held.message) {
                    let how = if held.acknowledged {
                        "acknowledged"
                    } else {
                        "read"
                    };
                    breaches.push((
                        if held.acknowledged { "D1" } else { "D7" },
                        format!(
                            "{} was {how} at {name} {offset}, where {drained:?} is at the end",
                            held.message
                        ),
                    ));
                }
            }
        }
        for (promise, what) in breaches {
            self.breach(promise, what);
        }
    }

    fn only_suffixes_lost(&mut self) {
        for loss in std::mem::take(&mut self.losses) {
            if let (Some(gone), Some(kept)) = (loss.first_gone, loss.last_kept)
                && gone < kept
            {
                let what = format!("a loss of power took log position {gone} and left {kept}");
                self.breach("D1", what);
            }
        }
    }

    fn all_delivered(&mut self) {
        for (group, queue) in std::mem::take(&mut self.caught) {
            let state = self.groups.entry(group).or_default();
            let queue = &self.queues[queue.0 as usize];
            let missed = queue
                .held
                .range(queue.min..)
                .find(|(_, held)| state.lacks(held));
            if let Some((offset, held)) = missed {
                let what = format!(
                    "group {group} never got {} at {} {offset}",
                    held.message, queue.name
                );
                self.breach("D10", what);
            }
        }
    }
}
