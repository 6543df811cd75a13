//! Records on their way to the disk: placed, gathered, written with one call.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use model::record::{self, Run};
use runtime::File;

use super::Writer;
use super::combiner::Reply;
use super::request::{Appended, Request, Written};
use crate::Error;
use crate::hot_ring::HotRing;
use crate::publisher::StagedRecord;
use crate::segment::Segment;

/// Records that came together and have fewer bytes are copied into a buffer that they share with
/// others: a piece of its own for each of them would cost more. The rest is written from where
/// it was encoded.
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
    /// The records of the open answer.
    run: Run,
    /// Those of them that are placed and not among the pieces yet.
    placed: Range<usize>,
    /// The open request is written though the disk is too full for others.
    pub though_full: bool,
}

enum Piece {
    /// Kept for readers at the tail.
    Hot(Bytes),
    Cold(Bytes),
}

impl Piece {
    fn bytes(&self) -> &Bytes {
        match self {
            Self::Hot(bytes) | Self::Cold(bytes) => bytes,
        }
    }
}

/// Who is to be told, and what.
pub(super) struct Answer {
    pub written: Written,
    /// `None`: the leader itself.
    pub reply: Option<Reply<Writer>>,
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

/// Where few records are copied to.
pub(super) struct CopyBuffer {
    bytes: BytesMut,
    ring: Arc<HotRing>,
}

impl CopyBuffer {
    pub(super) fn new(ring: Arc<HotRing>) -> Self {
        Self {
            bytes: BytesMut::new(),
            ring,
        }
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The results that follow belong to this answer, and are those of these records.
    pub(super) fn open(&mut self, answer: Answer, run: Run) {
        self.answers.push(answer);
        self.run = run;
        self.placed = 0..0;
    }

    /// The records of the open answer.
    pub(super) fn run(&mut self) -> &mut Run {
        &mut self.run
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
    pub(super) fn close(&mut self, buffer: &mut CopyBuffer) {
        self.take_placed(buffer);
        self.answers.last_mut().expect("an answer is open").open = false;
    }

    /// Empties the batch after it was written or not. Returns the answers that are complete.
    pub(super) fn settle(&mut self, written: Result<&(), &Error>) -> Vec<Answer> {
        let mut batch = std::mem::take(self);
        for answer in &mut batch.answers {
            answer.settle(written);
        }
        if let Some(open) = batch.answers.pop_if(|answer| answer.open) {
            self.answers.push(open);
            self.run = batch.run;
            self.placed = batch.placed;
        }
        batch.answers
    }

    /// These records of the run have their places, right behind what is there.
    pub(super) fn add(&mut self, records: Range<usize>, buffer: &mut CopyBuffer) {
        let sizes = records
            .clone()
            .map(|record| u64::from(self.run.size(record)));
        self.bytes += sizes.sum::<u64>();
        // What lies between was refused.
        if records.start != self.placed.end {
            self.take_placed(buffer);
            self.placed = records;
        } else {
            self.placed.end = records.end;
        }
    }

    /// A record that stands in front of those of the open answer.
    pub(super) fn add_in_front(&mut self, mut record: Run, buffer: &mut CopyBuffer) {
        self.bytes += record.bytes();
        let pieces = &mut self.pieces;
        record.take(0..record.len(), |piece| add_piece(pieces, piece, buffer));
    }

    /// Nothing is added to the pieces any more before they are written.
    pub(super) fn end(&mut self, buffer: &mut CopyBuffer) {
        self.take_placed(buffer);
        end_copies(&mut self.pieces, buffer);
    }

    fn take_placed(&mut self, buffer: &mut CopyBuffer) {
        let end = self.placed.end;
        let placed = std::mem::replace(&mut self.placed, end..end);
        let pieces = &mut self.pieces;
        self.run
            .take(placed, |piece| add_piece(pieces, piece, buffer));
    }

    /// Writes all records one behind the other, the first at `at` bytes of the file, and zeros
    /// behind them, at least as many as are wanted.
    pub(super) fn write(&self, segment: &Segment, at: u64, zeros: u64) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(self.pieces.len() + 1);
        slices.extend(self.pieces.iter().map(|piece| IoSlice::new(piece.bytes())));
        // There is room: a segment always has some left for the blank that ends it.
        for zeros in segment.blank_behind(at + self.bytes, zeros) {
            slices.push(IoSlice::new(zeros));
        }
        write_all(segment.file.as_ref(), &mut slices, at)
    }

    /// Hands what was written at `start` to the readers at the tail.
    pub(super) fn keep_hot(&mut self, start: u64, ring: &HotRing) {
        let mut at = start;
        for piece in self.pieces.drain(..) {
            let length = piece.bytes().len() as u64;
            if let Piece::Hot(bytes) = piece {
                ring.push(at, bytes);
            }
            at += length;
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

fn add_piece(pieces: &mut Vec<Piece>, piece: record::Piece, buffer: &mut CopyBuffer) {
    let bytes = match piece {
        record::Piece::Large(bytes) => {
            end_copies(pieces, buffer);
            pieces.push(Piece::Cold(bytes));
            return;
        }
        record::Piece::Records(bytes) => bytes,
    };
    if bytes.len() >= COPIED_BYTES {
        end_copies(pieces, buffer);
        pieces.push(Piece::Hot(bytes));
        return;
    }
    if buffer.bytes.capacity() - buffer.bytes.len() < bytes.len() {
        end_copies(pieces, buffer);
        buffer.bytes = buffer.ring.buffer(bytes.len());
    }
    buffer.bytes.extend_from_slice(&bytes);
}

fn end_copies(pieces: &mut Vec<Piece>, buffer: &mut CopyBuffer) {
    if !buffer.bytes.is_empty() {
        pieces.push(Piece::Hot(buffer.bytes.split().freeze()));
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
