//! What is in memory of one queue: where it begins and ends, and its newest entries.

use model::QueueId;
use runtime::Planted;

use super::block::{BLOCK_ENTRIES, Block, Link, Spine};
use super::entry::{IndexEntry, Run, Unit, Units};
use super::index_log::IndexLog;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Entries that stay in the head at a checkpoint; more go to a block of their own.
pub(crate) const INLINE_ENTRIES: usize = 16;
/// Missing offsets that a hole stands for; where more are missing a queue begins anew behind
/// them.
const HOLE: u64 = i32::MAX as u64;

pub(crate) struct Head {
    pub id: QueueId,
    /// Offset the next record gets. Only the append leader moves it.
    next: AtomicU64,
    /// The queue was deleted: whoever holds this head looks it up again.
    dead: AtomicBool,
    state: Mutex<State>,
}

/// Guards what readers see of the queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub min: u64,
    /// Log offset of the entry at `min`; meaningless while the queue is empty.
    pub min_at: u64,
    /// Offset after the last message.
    pub end: u64,
    pub tail: Run,
    pub tail_first_stored: i64,
    pub spine: Option<Box<Spine>>,
    /// One more than the log offset of the newest entry, 0 if there never was one.
    pub after: u64,
    /// Changed since the last checkpoint.
    pub changed: bool,
}

/// A new entry and where it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub queue_offset: u64,
    pub unit: Unit,
    pub stored: i64,
}

impl Head {
    pub(crate) fn new(id: QueueId, state: State) -> Self {
        Self {
            id,
            next: AtomicU64::new(next_after(&state)),
            dead: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// Begins again as `state`. Nobody else may have the head yet.
    pub(super) fn set(&self, state: State) {
        self.next.store(next_after(&state), Ordering::Release);
        *self.state.lock() = state;
    }

    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// Takes `count` offsets for a record. Only the append leader calls this.
    pub(crate) fn take(&self, count: u32) -> u64 {
        let taken = self.next();
        self.next.store(taken + u64::from(count), Ordering::Release);
        taken
    }

    /// Gives back offsets whose records were not written, and all that were taken after them.
    pub(crate) fn give_back(&self, next: u64) {
        self.next.fetch_min(next, Ordering::AcqRel);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::Release);
    }

    /// Makes an entry readable. Returns true if the head joins those that changed.
    pub(crate) fn put(&self, arrival: &Arrival, log: &IndexLog) -> bool {
        let mut state = self.state.lock();
        if self.is_dead() || !state.put(arrival) {
            return false;
        }
        if state.tail.units.len() >= BLOCK_ENTRIES {
            state.spill(log);
        }
        // While the log is read again nobody takes offsets: the head follows the entries.
        self.next.fetch_max(state.end, Ordering::AcqRel);
        !std::mem::replace(&mut state.changed, true)
    }

    /// Leaves all places below `to` empty that no entry has taken. Returns true if the head
    /// joins those that changed.
    pub(crate) fn skip(&self, to: u64, log_offset: u64, stored: i64) -> bool {
        let mut state = self.state.lock();
        if self.is_dead() || to <= state.end {
            return false;
        }
        state.skip_to(to, log_offset, stored);
        state.after = state.after.max(log_offset + 1);
        self.next.fetch_max(state.end, Ordering::AcqRel);
        !std::mem::replace(&mut state.changed, true)
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }
}

/// The offset that the next record of a queue gets.
fn next_after(state: &State) -> u64 {
    let again = u64::from(Planted::ReuseOffset.is_active() && !state.is_empty());
    state.end - again
}

impl State {
    pub(crate) fn is_empty(&self) -> bool {
        self.min == self.end
    }

    /// Adds an entry at the end; false if it is here already.
    fn put(&mut self, arrival: &Arrival) -> bool {
        let Arrival {
            queue_offset,
            unit,
            stored,
        } = *arrival;
        if unit.log_offset < self.after {
            return false;
        }
        if queue_offset < self.end {
            self.go_back_to(queue_offset);
        }
        self.skip_to(queue_offset, unit.log_offset, stored);
        if self.is_empty() {
            self.min_at = unit.log_offset;
        }
        self.push(unit, stored);
        self.after = unit.log_offset + 1;
        true
    }

    /// Puts a hole in front of `to`. A queue that never had a record begins there, and so does
    /// one that would have too large a hole.
    fn skip_to(&mut self, to: u64, log_offset: u64, stored: i64) {
        let missing = to - self.end;
        if self.after == 0 || missing > HOLE {
            self.begin_at(to);
        } else if missing > 0 {
            if self.is_empty() {
                self.min_at = log_offset;
            }
            self.push(Unit::hole(log_offset, missing as u32), stored);
        }
    }

    fn push(&mut self, unit: Unit, stored: i64) {
        if self.tail.units.is_empty() {
            self.tail_first_stored = stored;
        }
        self.end += u64::from(unit.count);
        let units = &mut self.tail.units;
        if units.len() == units.capacity() {
            // None should pay for many that holds few.
            units.reserve_exact((units.len() / 2).max(2));
        }
        units.push(unit);
    }

    /// The record is newer than an entry with its offset: the queue was begun anew, or its
    /// newest entries were lost with the log behind them. What comes later in the log counts.
    fn go_back_to(&mut self, queue_offset: u64) {
        if queue_offset <= self.min || queue_offset < self.tail.base {
            self.begin_at(queue_offset);
            return;
        }
        while self.end > queue_offset {
            let dropped = self
                .tail
                .units
                .pop()
                .map_or(0, |unit| u64::from(unit.count));
            self.end -= dropped;
        }
    }

    fn begin_at(&mut self, queue_offset: u64) {
        self.min = queue_offset;
        self.end = queue_offset;
        self.tail = Run {
            base: queue_offset,
            units: Units::new(),
        };
        self.spine = None;
    }

    /// Moves the tail into a block.
    pub(crate) fn spill(&mut self, log: &IndexLog) {
        if self.tail.units.is_empty() {
            return;
        }
        let end = self.end;
        let units = std::mem::take(&mut self.tail.units);
        let base = std::mem::replace(&mut self.tail.base, end);
        let spine = self.spine.get_or_insert_default();
        let block = Block {
            number: spine.blocks,
            first_stored: self.tail_first_stored,
            links: spine.links.clone(),
            run: Run { base, units },
        };
        let position = log.append(block, self.after);
        spine.push(Link {
            position,
            base,
            first_stored: self.tail_first_stored,
        });
    }

    /// Entries of the tail from `queue_offset` on; `None` if they begin before the tail.
    pub(crate) fn tail_from(&self, queue_offset: u64, limit: usize) -> Option<Vec<IndexEntry>> {
        (queue_offset >= self.tail.base).then(|| self.tail.from(queue_offset).take(limit).collect())
    }
}
