//! Records on their way to the disk: placed, gathered, written with one call.

use std::io::{self, IoSlice};

use bytes::{Bytes, BytesMut};
use model::record::Placed;
use runtime::File;
use tokio::sync::oneshot;

use super::request::{Appended, Outcome, Request, Written};
use crate::Error;
use crate::hot_ring::HotRing;
use crate::publisher::StagedRecord;
use crate::segment::Segment;

/// Records up to this size are copied into the hot ring's buffers on their way. A larger body
/// is written from where the network put it.
const COPIED_BYTES: usize = 16 << 10;

/// What one write puts into the log.
#[derive(Default)]
pub(super) struct Batch {
    pieces: Vec<Piece>,
    /// Bytes of all records.
    pub bytes: u64,
    pub staged: Vec<StagedRecord>,
    /// The last one may be open: more of its records are to come.
    answers: Vec<Answer>,
}

enum Piece {
    Copied { bytes: Bytes, first: bool },
    Whole(Placed),
}

/// Who is to be told, and what.
pub(super) struct Answer {
    pub written: Written,
    /// `None`: the leader itself.
    pub reply: Option<oneshot::Sender<Outcome>>,
    /// Results that no write can change any more.
    settled: usize,
    /// Where the last placed record ends.
    placed: u64,
    open: bool,
}

impl Answer {
    /// An answer to a request of `records` records, none of which has a result yet.
    pub(super) fn to(request: &mut Request, records: usize) -> Self {
        Self {
            written: Written {
                results: Vec::with_capacity(records),
                end: 0,
                waits: request.waits,
            },
            reply: request.reply.take(),
            settled: 0,
            placed: 0,
            open: true,
        }
    }

    /// What was placed is written, or it is not.
    fn settle(&mut self, written: Result<&(), &Error>) {
        match written {
            Ok(()) => self.written.end = self.placed,
            Err(error) => {
                self.written.fail(self.settled, error);
                self.placed = self.written.end;
            }
        }
        self.settled = self.written.results.len();
    }
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

    /// The results that follow belong to this answer.
    pub(super) fn open(&mut self, answer: Answer) {
        self.answers.push(answer);
    }

    pub(super) fn answer(&mut self, added: Result<Appended, Error>) {
        let answer = self.answers.last_mut().expect("an answer is open");
        if let Ok(appended) = &added {
            answer.placed = appended.log_offset.0 + u64::from(appended.size);
        }
        answer.written.results.push(added);
    }

    pub(super) fn answer_group(&mut self, added: Result<Vec<Appended>, Error>) {
        match added {
            Ok(all) => all.into_iter().for_each(|one| self.answer(Ok(one))),
            Err(error) => self.answer(Err(error)),
        }
    }

    /// No result is missing any more.
    pub(super) fn close(&mut self) {
        self.answers.last_mut().expect("an answer is open").open = false;
    }

    /// Empties the batch after it was written or not. Returns the answers that are complete.
    pub(super) fn settle(&mut self, written: Result<&(), &Error>) -> Vec<Answer> {
        let mut batch = std::mem::take(self);
        for answer in &mut batch.answers {
            answer.settle(written);
        }
        self.answers
            .extend(batch.answers.pop_if(|answer| answer.open));
        batch.answers
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

    /// Writes all records one behind the other, the first at `at` bytes of the file.
    pub(super) fn write(&self, segment: &Segment, at: u64) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(self.pieces.len() + 1);
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
        // There is room: a segment always has some left for the blank that ends it.
        slices.push(IoSlice::new(segment.blank_behind(at + self.bytes)));
        write_all(segment.file.as_ref(), &mut slices, at)
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
        let entries = self.staged.iter().flat_map(|staged| &staged.entries);
        for (head, arrival) in entries.rev() {
            head.give_back(arrival.queue_offset);
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
