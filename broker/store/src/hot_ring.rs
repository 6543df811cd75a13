//! The bytes appended last, kept in memory for readers at the tail.
//!
//! Small records are copied into buffers of a megabyte on their way to the disk, so what the
//! ring holds is exactly what it counts: a slice given to a reader keeps one such buffer alive,
//! never a connection's. Large records are not kept; the page cache serves them as well.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use parking_lot::RwLock;

/// Bytes in one buffer.
const BUFFER_BYTES: usize = 1 << 20;
/// Buffers kept for the next writes after their bytes left the ring.
const IDLE_BUFFERS: usize = 4;

pub(crate) struct HotRing {
    limit: usize,
    state: RwLock<State>,
}

/// Guards the pieces, oldest first, without overlaps.
#[derive(Default)]
struct State {
    pieces: VecDeque<Piece>,
    bytes: usize,
    idle: Vec<BytesMut>,
}

struct Piece {
    start: u64,
    bytes: Bytes,
    /// The first piece of its buffer: when it goes, the buffer may be used again.
    first: bool,
}

impl HotRing {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: RwLock::default(),
        }
    }

    /// A buffer to write into, with room for at least `bytes`.
    pub(crate) fn buffer(&self, bytes: usize) -> BytesMut {
        let idle = if bytes <= BUFFER_BYTES {
            self.state.write().idle.pop()
        } else {
            None
        };
        idle.unwrap_or_else(|| BytesMut::with_capacity(bytes.max(BUFFER_BYTES)))
    }

    /// Keeps bytes of the log that begin at `start`, behind all that are here. `first` tells
    /// that they begin a buffer.
    pub(crate) fn push(&self, start: u64, bytes: Bytes, first: bool) {
        let mut state = self.state.write();
        state.bytes += bytes.len();
        state.pieces.push_back(Piece {
            start,
            bytes,
            first,
        });
        while state.bytes > self.limit {
            state.evict();
        }
    }

    /// The bytes from `start` to `start + length`, if all are here in one piece.
    pub(crate) fn get(&self, start: u64, length: usize) -> Option<Bytes> {
        let state = self.state.read();
        let behind = state.pieces.partition_point(|piece| piece.start <= start);
        let piece = state.pieces.get(behind.checked_sub(1)?)?;
        let at = usize::try_from(start - piece.start).ok()?;
        let end = at.checked_add(length)?;
        (end <= piece.bytes.len()).then(|| piece.bytes.slice(at..end))
    }

    /// The first byte of the log that is still here; `None` if nothing is.
    pub(crate) fn start(&self) -> Option<u64> {
        self.state.read().pieces.front().map(|piece| piece.start)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.state.read().bytes
    }
}

impl State {
    /// Drops the pieces of the oldest buffer.
    fn evict(&mut self) {
        let Some(oldest) = self.pieces.pop_front() else {
            return;
        };
        self.bytes -= oldest.bytes.len();
        while let Some(piece) = self.pieces.pop_front_if(|piece| !piece.first) {
            self.bytes -= piece.bytes.len();
        }
        if self.idle.len() < IDLE_BUFFERS {
            // Only if no reader holds a slice of it.
            if let Ok(mut buffer) = oldest.bytes.try_into_mut() {
                buffer.clear();
                if buffer.capacity() >= BUFFER_BYTES {
                    self.idle.push(buffer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_last_is_found() {
        let ring = HotRing::new(8);
        ring.push(100, Bytes::from_static(b"abcd"), true);
        ring.push(104, Bytes::from_static(b"efgh"), false);
        assert_eq!(ring.get(101, 2).as_deref(), Some(&b"bc"[..]));
        assert_eq!(ring.get(104, 4).as_deref(), Some(&b"efgh"[..]));
        assert_eq!(ring.get(102, 4), None, "it spans two pieces");
        assert_eq!(ring.get(99, 2), None);
        assert_eq!(ring.get(107, 2), None);
    }

    #[test]
    fn the_oldest_buffer_goes_when_there_are_too_many_bytes() {
        let ring = HotRing::new(8);
        ring.push(0, Bytes::from_static(b"abcd"), true);
        ring.push(4, Bytes::from_static(b"ef"), false);
        ring.push(6, Bytes::from_static(b"ghij"), true);
        assert_eq!(ring.get(0, 1), None);
        assert_eq!(ring.get(4, 1), None, "it was in the same buffer");
        assert_eq!(ring.start(), Some(6));
        assert_eq!(ring.bytes(), 4);
    }

    #[test]
    fn a_buffer_is_used_again_once_no_reader_holds_it() {
        for held in [false, true] {
            let ring = HotRing::new(4);
            let mut buffer = ring.buffer(1);
            let place = buffer.as_ptr();
            buffer.extend_from_slice(b"abcd");
            ring.push(0, buffer.split().freeze(), true);
            drop(buffer);
            let reader = held.then(|| ring.get(0, 2));
            ring.push(4, Bytes::from_static(b"efgh"), true);
            assert_eq!(ring.buffer(1).as_ptr() == place, !held);
            drop(reader);
        }
    }
}
