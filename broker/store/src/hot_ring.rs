//! The bytes appended last, kept in memory for readers at the tail.
//!
//! Records lie in buffers of their own on their way to the disk: many that came together in one
//! that was made for them, few in one of a megabyte that they share. So what the ring holds is
//! what it counts: a slice given to a reader keeps such a buffer alive, never a connection's.
//! Large records are not kept; the page cache serves them as well.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::sync::RwLock;

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

    /// Keeps bytes of the log that begin at `start`, behind all that are here.
    pub(crate) fn push(&self, start: u64, bytes: Bytes) {
        let mut state = self.state.write();
        state.bytes += bytes.len();
        state.pieces.push_back(Piece { start, bytes });
        while state.bytes > self.limit {
            state.evict();
        }
    }

    /// The bytes from `start` to `start + length`, if all are here in one piece.
    pub(crate) fn get(&self, start: u64, length: usize) -> Option<Bytes> {
        let (begins, bytes) = self.piece(start, length)?;
        let at = (start - begins) as usize;
        Some(bytes.slice(at..at + length))
    }

    /// The piece that holds these bytes, and where it begins.
    pub(crate) fn piece(&self, start: u64, length: usize) -> Option<(u64, Bytes)> {
        let state = self.state.read();
        let behind = state.pieces.partition_point(|piece| piece.start <= start);
        let piece = state.pieces.get(behind.checked_sub(1)?)?;
        let at = usize::try_from(start - piece.start).ok()?;
        let end = at.checked_add(length)?;
        (end <= piece.bytes.len()).then(|| (piece.start, piece.bytes.clone()))
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
    /// Drops the oldest piece. With the last one of it goes a buffer, which may be used again
    /// if no reader holds a slice of it.
    fn evict(&mut self) {
        let Some(oldest) = self.pieces.pop_front() else {
            return;
        };
        self.bytes -= oldest.bytes.len();
        if self.idle.len() < IDLE_BUFFERS
            && let Ok(mut buffer) = oldest.bytes.try_into_mut()
        {
            buffer.clear();
            if buffer.try_reclaim(BUFFER_BYTES) {
                self.idle.push(buffer);
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
        ring.push(100, Bytes::from_static(b"abcd"));
        ring.push(104, Bytes::from_static(b"efgh"));
        assert_eq!(ring.get(101, 2).as_deref(), Some(&b"bc"[..]));
        assert_eq!(ring.get(104, 4).as_deref(), Some(&b"efgh"[..]));
        assert_eq!(ring.get(102, 4), None, "it spans two pieces");
        assert_eq!(ring.get(99, 2), None);
        assert_eq!(ring.get(107, 2), None);
    }

    #[test]
    fn the_oldest_pieces_go_when_there_are_too_many_bytes() {
        let ring = HotRing::new(8);
        ring.push(0, Bytes::from_static(b"abcd"));
        ring.push(4, Bytes::from_static(b"ef"));
        ring.push(6, Bytes::from_static(b"ghij"));
        assert_eq!(ring.get(0, 1), None);
        assert_eq!(ring.get(4, 2).as_deref(), Some(&b"ef"[..]));
        assert_eq!(ring.start(), Some(4));
        assert_eq!(ring.bytes(), 6);
    }

    #[test]
    fn a_buffer_is_used_again_once_no_piece_and_no_reader_holds_it() {
        for held in [false, true] {
            let ring = HotRing::new(4);
            let mut buffer = ring.buffer(1);
            let place = buffer.as_ptr();
            let mut reader = None;
            for (at, bytes) in [(0, b"ab"), (2, b"cd")] {
                buffer.extend_from_slice(bytes);
                ring.push(at, buffer.split().freeze());
            }
            drop(buffer);
            if held {
                reader = ring.get(0, 2);
            }
            ring.push(4, Bytes::from_static(b"efgh"));
            assert_eq!(ring.buffer(1).as_ptr() == place, !held);
            drop(reader);
        }
    }
}
