//! Records on their way to the disk: placed, gathered, written with one call.

use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use model::record::Placed;
use runtime::File;
use smallvec::SmallVec;

use super::request::{Appended, Reply};
use crate::hot_ring::HotRing;
use crate::publisher::Staged;
use crate::queue_index::Head;

/// Records up to this size are copied into the hot ring's buffers on their way. A larger body
/// is written from where the network put it.
const COPIED_BYTES: usize = 16 << 10;

/// What one write puts into the log.
#[derive(Default)]
pub(super) struct Batch {
    pieces: Vec<Piece>,
    /// Bytes of all records.
    pub bytes: u64,
    pub staged: Vec<Staged>,
    pub answers: Vec<Answer>,
    /// Queues and what they gave out before, in the order in which they did.
    pub taken: Vec<(Arc<Head>, u64)>,
}

enum Piece {
    Copied { bytes: Bytes, first: bool },
    Whole(Placed),
}

/// Who is to be told.
pub(super) struct Answer {
    pub appended: SmallVec<[Appended; 1]>,
    pub end: u64,
    pub waits: bool,
    pub reply: Reply,
}

/// The buffer that small records are copied to.
#[derive(Default)]
pub(super) struct CopyBuffer {
    bytes: BytesMut,
    /// Nothing of this buffer has been handed out yet.
    first: bool,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(super) fn add(&mut self, record: Placed, buffer: &mut CopyBuffer, ring: &HotRing) {
        self.bytes += record.len() as u64;
        if record.len() > COPIED_BYTES {
            self.end_run(buffer);
            self.pieces.push(Piece::Whole(record));
            return;
        }
        if buffer.bytes.capacity() - buffer.bytes.len() < record.len() {
            self.end_run(buffer);
            buffer.bytes = ring.buffer(record.len());
            buffer.first = true;
        }
        for slice in record.slices() {
            buffer.bytes.extend_from_slice(slice);
        }
    }

    /// Ends a run of copied records.
    pub(super) fn end_run(&mut self, buffer: &mut CopyBuffer) {
        if !buffer.bytes.is_empty() {
            let bytes = buffer.bytes.split().freeze();
            let first = std::mem::take(&mut buffer.first);
            self.pieces.push(Piece::Copied { bytes, first });
        }
    }

    pub(super) fn write(&self, file: &dyn File, at: u64) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            match piece {
                Piece::Copied { bytes, .. } => slices.push(IoSlice::new(bytes)),
                Piece::Whole(record) => slices.extend(
                    record
                        .slices()
                        .into_iter()
                        .filter(|slice| !slice.is_empty())
                        .map(IoSlice::new),
                ),
            }
        }
        write_all(file, &mut slices, at)
    }

    /// Hands what was written at `start` to the readers at the tail.
    pub(super) fn keep_hot(&mut self, start: u64, ring: &HotRing) {
        let mut at = start;
        for piece in self.pieces.drain(..) {
            match piece {
                Piece::Copied { bytes, first } => {
                    let length = bytes.len() as u64;
                    ring.push(at, bytes, first);
                    at += length;
                }
                Piece::Whole(record) => at += record.len() as u64,
            }
        }
    }

    /// Gives all offsets back that were taken for records that were not written.
    pub(super) fn undo(&mut self) {
        for (head, next) in self.taken.drain(..).rev() {
            head.give_back(next);
        }
    }
}

/// Writes all slices, in as many calls as it takes: only a short write is repeated.
fn write_all(file: &dyn File, mut slices: &mut [IoSlice<'_>], mut at: u64) -> io::Result<()> {
    while !slices.is_empty() {
        let taken = file.pwritev(slices, at)?;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        at += taken as u64;
        IoSlice::advance_slices(&mut slices, taken);
    }
    Ok(())
}
