//! What is known of one queue.

use std::collections::BTreeMap;

/// A message that was acknowledged or read at an offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) message: u64,
    pub(crate) log: Option<u64>,
    pub(crate) acknowledged: bool,
    /// When it was first heard of, in milliseconds.
    pub(crate) since: u64,
    /// The loss of power that may have taken it, by its number from 1; 0 for none, and the
    /// largest number where it is not known which.
    pub(crate) doubt: u32,
    /// It lies where a loss of power took another message from: whoever was further on passes it.
    pub(crate) reused: bool,
}

#[derive(Debug)]
pub(crate) struct QueueState {
    pub(crate) name: String,
    pub(crate) held: BTreeMap<u64, Held>,
    pub(crate) min: u64,
    pub(crate) max: u64,
    /// Found at the end.
    pub(crate) drained: BTreeMap<u64, u64>,
    pub(crate) ended: bool,
}

impl QueueState {
    pub(crate) fn new(name: &str) -> QueueState {
        QueueState {
            name: name.to_owned(),
            held: BTreeMap::new(),
            min: 0,
            max: 0,
            drained: BTreeMap::new(),
            ended: false,
        }
    }

    /// Offsets of `from..to` that were never drained.
    pub(crate) fn first_gap(&self, from: u64, to: u64) -> Option<u64> {
        let mut next = from;
        for offset in self.drained.range(from..to).map(|(offset, _)| *offset) {
            if offset != next {
                return Some(next);
            }
            next += 1;
        }
        (next < to).then_some(next)
    }
}

/// What a loss of power took and what it left, of what it might have taken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Suffix {
    /// The first log position that is gone.
    pub(crate) first_gone: Option<u64>,
    /// The last one that is still there.
    pub(crate) last_kept: Option<u64>,
}
