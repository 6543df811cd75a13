//! Stretches of the log that were just read, kept for the readers of other queues.
//!
//! ```text
//!  the log   │1 2 3 4 1 2 3 4 1 2 3 4 │1 2 3 4 1 2 …   queues lie interleaved
//!            └──── one block ─────────┘
//! ```
//! Who reads one queue of many finds few of its own records in a block. Whoever reads the others
//! is mostly at the same place, so a block that is worth it is read whole, once for all of them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::sync::Mutex;

/// Bytes of a block. It begins at a multiple of them, if its segment has begun there.
pub(crate) const BLOCK: u64 = 64 << 10;
/// Blocks kept. The one that came first goes first: readers go forward.
const KEPT: usize = 256;
/// Records of a block that were missed, after which it is read whole: as many reads of their
/// own cost the same.
const RECORDS: usize = 4;
/// The same in bytes.
const BYTES: u64 = BLOCK / 8;
/// Blocks of which it is known how much was missed lately.
const REMEMBERED: usize = 64;
/// Buffers kept for the next reads.
const IDLE: usize = 4;

#[derive(Default)]
pub(crate) struct Blocks {
    state: Mutex<State>,
}

/// Guards the blocks by their numbers.
#[derive(Default)]
struct State {
    blocks: BTreeMap<u64, Block>,
    /// Oldest first.
    order: VecDeque<u64>,
    /// Numbers and missed records of blocks that are not kept, oldest first.
    missed: VecDeque<(u64, usize)>,
    idle: Vec<BytesMut>,
}

struct Block {
    start: u64,
    bytes: Bytes,
}

/// The block that holds all of `start..end`; `None` if they lie in several.
pub(crate) fn block_of(start: u64, end: u64) -> Option<u64> {
    let number = start / BLOCK;
    (end <= (number + 1) * BLOCK).then_some(number)
}

impl Blocks {
    /// What is kept of a block, and where that starts, if it has all of `wanted`: a small
    /// segment may end within a block, and the tail of the log may have ended there.
    pub(crate) fn get(&self, number: u64, wanted: &Range<u64>) -> Option<(u64, Bytes)> {
        let state = self.state.lock();
        let block = state.blocks.get(&number)?;
        let end = block.start + block.bytes.len() as u64;
        let has_all = block.start <= wanted.start && wanted.end <= end;
        has_all.then(|| (block.start, block.bytes.clone()))
    }

    /// Notes that so many records of so many bytes were wanted of a block that is not kept.
    /// True if that is reason to read it whole.
    pub(crate) fn missed(&self, number: u64, records: usize, bytes: u64) -> bool {
        if records >= RECORDS || bytes >= BYTES {
            return true;
        }
        let mut state = self.state.lock();
        let missed = &mut state.missed;
        let known = missed.iter().rposition(|(other, _)| *other == number);
        let before = known.and_then(|at| missed.remove(at));
        let all = before.map_or(0, |(_, before)| before) + records;
        if all >= RECORDS {
            return true;
        }
        if missed.len() == REMEMBERED {
            missed.pop_front();
        }
        missed.push_back((number, all));
        false
    }

    /// A buffer of `length` bytes to read into.
    pub(crate) fn buffer(&self, length: usize) -> BytesMut {
        let idle = self.state.lock().idle.pop();
        let mut buffer = idle.unwrap_or_default();
        buffer.resize(length, 0);
        buffer
    }

    /// Keeps the bytes of a block from `start` on; none of them may ever change.
    pub(crate) fn keep(&self, number: u64, start: u64, bytes: Bytes) {
        let mut state = self.state.lock();
        match state.blocks.insert(number, Block { start, bytes }) {
            Some(before) => state.retire(before.bytes),
            None => state.order.push_back(number),
        }
        if state.order.len() > KEPT
            && let Some(oldest) = state.order.pop_front()
            && let Some(block) = state.blocks.remove(&oldest)
        {
            state.retire(block.bytes);
        }
    }
}

impl State {
    /// Uses a buffer again if no reader holds a slice of it.
    fn retire(&mut self, bytes: Bytes) {
        if self.idle.len() < IDLE
            && let Ok(buffer) = bytes.try_into_mut()
        {
            self.idle.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize) -> Bytes {
        vec![7; length].into()
    }

    #[test]
    fn a_block_gives_what_it_has() {
        let blocks = Blocks::default();
        let wanted = |from, to| 2 * BLOCK + from..2 * BLOCK + to;
        assert_eq!(blocks.get(2, &wanted(50, 51)), None);
        blocks.keep(2, 2 * BLOCK + 50, bytes(100));
        let found = blocks.get(2, &wanted(50, 150));
        assert_eq!(found, Some((2 * BLOCK + 50, bytes(100))));
        assert_eq!(blocks.get(2, &wanted(49, 60)), None, "another segment's");
        assert_eq!(blocks.get(2, &wanted(60, 151)), None, "it was shorter then");
        blocks.keep(2, 2 * BLOCK + 50, bytes(200));
        assert!(blocks.get(2, &wanted(60, 151)).is_some());
    }

    #[test]
    fn what_lies_in_two_blocks_is_in_none() {
        assert_eq!(block_of(BLOCK - 1, BLOCK), Some(0));
        assert_eq!(block_of(BLOCK - 1, BLOCK + 1), None);
        assert_eq!(block_of(BLOCK, 2 * BLOCK), Some(1));
    }

    #[test]
    fn a_block_is_worth_it_for_one_that_wants_much_or_many_that_want_little() {
        let blocks = Blocks::default();
        assert!(blocks.missed(1, RECORDS, 100));
        assert!(blocks.missed(1, 1, BYTES));
        let wanted: Vec<bool> = (0..RECORDS).map(|_| blocks.missed(5, 1, 100)).collect();
        assert_eq!(wanted, [false, false, false, true]);
        assert!(!blocks.missed(5, 1, 100), "it was read meanwhile");
        for number in 0..REMEMBERED as u64 * 2 {
            assert!(!blocks.missed(100 + number, 1, 100));
        }
        assert_eq!(blocks.state.lock().missed.len(), REMEMBERED);
    }

    #[test]
    fn the_oldest_goes_first_and_its_buffer_is_used_again() {
        let blocks = Blocks::default();
        let first = bytes(10);
        let place = first.as_ptr();
        blocks.keep(0, 0, first);
        for number in 1..=KEPT as u64 {
            blocks.keep(number, number * BLOCK, bytes(10));
        }
        assert_eq!(blocks.get(0, &(0..1)), None);
        assert!(blocks.get(1, &(BLOCK..BLOCK + 1)).is_some());
        let buffer = blocks.buffer(8);
        assert_eq!((buffer.as_ptr(), buffer.len()), (place, 8));
    }
}
