//! The frames of one checkpoint, in one buffer: that of a million queues is large enough once.

use std::sync::Arc;

use super::{KIND_PART, KIND_WHOLE, MAGIC, PREFIX, Position, heads};
use crate::queue_index::{Head, IndexLog};

/// Heads in one frame of a large checkpoint.
const HEADS_PER_FRAME: usize = 16_384;
/// Bytes of a head with two entries and a short name; most have no more.
const LIKELY_HEAD_BYTES: usize = 128;

/// Frames that lack what they say about the log.
#[derive(Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Frames {
    /// Moves long tails to the index log and writes all heads down.
    pub(super) fn of(heads: &[Arc<Head>], log: &IndexLog) -> Self {
        let mut frames = Self::default();
        frames.bytes.reserve_exact(heads.len() * LIKELY_HEAD_BYTES);
        for heads in heads.chunks(HEADS_PER_FRAME) {
            frames.begin();
            heads::encode_all(heads, log, &mut frames.bytes);
        }
        frames
    }

    fn begin(&mut self) {
        let start = self.bytes.len();
        self.starts.push(start);
        self.bytes.resize(start + PREFIX + heads::POSITION, 0);
    }

    /// The frames as they lie in a file, the last of which closes the checkpoint.
    pub(super) fn seal(mut self, position: Position) -> Vec<u8> {
        if self.starts.is_empty() {
            self.begin();
            self.bytes.extend_from_slice(&0u32.to_be_bytes());
        }
        let mut rest = &mut self.bytes[..];
        let mut kind = KIND_WHOLE;
        for start in self.starts.into_iter().rev() {
            let (before, frame) = rest.split_at_mut(start);
            seal_frame(frame, kind, position);
            rest = before;
            kind = KIND_PART;
        }
        self.bytes
    }
}

fn seal_frame(frame: &mut [u8], kind: u8, position: Position) {
    let length = frame.len() as u32;
    let (prefix, content) = frame.split_at_mut(PREFIX);
    content[..heads::POSITION].copy_from_slice(&heads::position(kind, position));
    prefix[..4].copy_from_slice(&MAGIC.to_be_bytes());
    prefix[4..8].copy_from_slice(&length.to_be_bytes());
    prefix[8..].copy_from_slice(&crc32fast::hash(content).to_be_bytes());
}
