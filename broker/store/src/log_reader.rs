//! Reads records by their place in the log: from memory, from the page cache, or from the disk.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use model::LogOffset;
use model::record::{Frame, RecordView, view};
use runtime::{Advice, Clock, Moment, Tasks};
use tokio::sync::Semaphore;

use crate::Error;
use crate::blocks::{BLOCK, Blocks, block_of};
use crate::catch_up::{Advised, CatchUp, THREADS};
use crate::damage::Damage;
use crate::guard::Guard;
use crate::hot_ring::HotRing;
use crate::losses::stands_for_lost;
use crate::publisher::Publisher;
use crate::queue_index::IndexEntry;
use crate::segment::Segment;
use crate::segments::Segments;

/// Bytes that tell how long a record is.
const FRAME: usize = 8;
/// Bytes fetched with one read when neighbouring records are wanted.
const WINDOW: u64 = 128 << 10;
/// Bytes further on that are looked at, too, before a stretch counts as in memory: so far ahead
/// the kernel reads for nobody by itself.
const BEYOND: u64 = 32 << 20;
/// Most bytes of a record that is read alone rather than with what follows it.
const SMALL: u64 = BLOCK / 16;
/// Bytes of others' records that are read along rather than left out.
const GAP: u64 = 4 << 10;

/// A record as it was found, in a buffer that may hold others.
pub(crate) struct Stored<'a> {
    buffer: &'a Bytes,
    bytes: &'a [u8],
    /// Where it had to be read to be believed.
    view: Option<RecordView<'a>>,
}

impl<'a> Stored<'a> {
    /// One that was not looked at.
    fn unchecked(buffer: &'a Bytes, bytes: &'a [u8]) -> Self {
        Self {
            buffer,
            bytes,
            view: None,
        }
    }

    pub(crate) fn view(&self) -> Option<RecordView<'a>> {
        self.view.or_else(|| view(self.bytes).ok())
    }

    /// The record without a copy.
    pub(crate) fn to_bytes(&self) -> Bytes {
        self.buffer.slice_ref(self.bytes)
    }
}

/// Bytes of the log in one buffer.
struct Window {
    start: u64,
    bytes: Bytes,
}

impl Window {
    fn has(&self, entry: &IndexEntry) -> bool {
        let end = self.start + self.bytes.len() as u64;
        self.start <= entry.log_offset.0 && entry.log_end().0 <= end
    }

    /// Where an entry's record lies that the window has.
    fn part(&self, entry: &IndexEntry) -> Range<usize> {
        let from = (entry.log_offset.0 - self.start) as usize;
        from..from + entry.size as usize
    }

    fn unchecked(&self, entry: &IndexEntry) -> Stored<'_> {
        Stored::unchecked(&self.bytes, &self.bytes[self.part(entry)])
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct LogReader {
    segments: Arc<Segments>,
    ring: Arc<HotRing>,
    publisher: Arc<Publisher>,
    tasks: Tasks,
    guard: Guard,
    damage: Arc<Damage>,
    catch_up: Arc<CatchUp>,
    blocks: Arc<Blocks>,
    /// Taken while a thread waits for the disk.
    threads: Arc<Semaphore>,
}

impl LogReader {
    pub(crate) fn new(
        segments: Arc<Segments>,
        ring: Arc<HotRing>,
        publisher: Arc<Publisher>,
        tasks: Tasks,
        guard: Guard,
    ) -> Self {
        Self {
            segments,
            ring,
            publisher,
            tasks,
            guard,
            damage: Arc::default(),
            catch_up: Arc::default(),
            blocks: Arc::default(),
            threads: Arc::new(Semaphore::new(THREADS)),
        }
    }

    /// Records that somebody came across and that are not what was stored.
    pub(crate) fn damage(&self) -> &Damage {
        &self.damage
    }

    /// What to make of a read that failed: a record that the disk does not give in many tries
    /// counts as damaged.
    fn given_up(&self, at: LogOffset, now: Moment, error: Error) -> Error {
        if !matches!(error, Error::Disk { .. }) {
            return error;
        }
        let Some(damaged) = self.damage.failed(at.0, now, &error) else {
            return error;
        };
        if let Some(segment) = self.segments.holding(at.0) {
            let position = at.0 - segment.start;
            self.damage.note(at.0, &segment.path, position, &damaged);
        }
        damaged
    }

    /// The record that begins at `at`, checked unless it was written moments ago.
    pub(crate) async fn record(&self, at: LogOffset) -> Result<Bytes, Error> {
        let visible = self.publisher.mark.visible();
        if at.0 < self.segments.min() || at.0 + FRAME as u64 > visible {
            return Err(self.nothing_at(at));
        }
        let frame = self.bytes(at.0, FRAME).await?;
        match Frame::peek(&frame) {
            Ok(Frame::Record { size, .. }) if at.0 + u64::from(size) <= visible => {
                let record = self.sized(at, size).await?;
                match view(&record) {
                    Ok(lost) if stands_for_lost(&lost) => Err(self.nothing_at(at)),
                    _ => Ok(record),
                }
            }
            _ => Err(self.nothing_at(at)),
        }
    }

    /// The record at `at` of which the index knows the size.
    pub(crate) async fn sized(&self, at: LogOffset, size: u32) -> Result<Bytes, Error> {
        if let Some(bytes) = self.ring.get(at.0, size as usize) {
            return Ok(bytes);
        }
        let bytes = self.bytes(at.0, size as usize).await?;
        self.checked(at, &bytes, 0..bytes.len())?;
        Ok(bytes)
    }

    /// Gives the records of several entries of one queue to `each`, in their order, until it has
    /// enough. One that cannot be given is an error in its own place.
    pub(crate) async fn several(
        &self,
        wanted: &[IndexEntry],
        clock: &Clock,
        mut each: impl FnMut(&IndexEntry, Result<Stored<'_>, Error>) -> ControlFlow<()>,
    ) {
        let mut rest = wanted;
        while let Some(first) = rest.first() {
            let at = first.log_offset;
            if let Some((start, bytes)) = self.ring.piece(at.0, first.size as usize) {
                let piece = Window { start, bytes };
                let here = rest.iter().take_while(|entry| piece.has(entry)).count();
                let (now, later) = rest.split_at(here);
                rest = later;
                for entry in now {
                    if each(entry, Ok(piece.unchecked(entry))).is_break() {
                        return;
                    }
                }
                continue;
            }
            let Some(segment) = self.segments.holding(at.0) else {
                rest = &rest[1..];
                if each(first, Err(self.nothing_at(at))).is_break() {
                    return;
                }
                continue;
            };
            let (count, window) = self.window(segment, rest).await;
            let (now, later) = rest.split_at(count);
            rest = later;
            for entry in now {
                let at = entry.log_offset;
                let flow = match &window {
                    Ok(window) => each(entry, self.checked(at, &window.bytes, window.part(entry))),
                    // The others may lie on sound sectors.
                    Err(_) => match self.sized(at, entry.size).await {
                        Ok(bytes) => each(entry, Ok(Stored::unchecked(&bytes, &bytes))),
                        Err(error) => each(entry, Err(self.given_up(at, clock.now(), error))),
                    },
                };
                if flow.is_break() {
                    return;
                }
            }
        }
    }

    /// As [`LogReader::record`], on a thread that may wait for the disk.
    pub(crate) fn sized_waiting(&self, at: LogOffset, size: u32) -> Result<Bytes, Error> {
        let segment = self
            .segments
            .holding(at.0)
            .ok_or_else(|| self.nothing_at(at))?;
        let bytes = match self.ring.get(at.0, size as usize) {
            Some(bytes) => bytes,
            None => read_waiting(&segment, at.0, BytesMut::zeroed(size as usize))?,
        };
        self.checked(at, &bytes, 0..bytes.len())?;
        Ok(bytes)
    }

    async fn bytes(&self, at: u64, length: usize) -> Result<Bytes, Error> {
        if let Some(bytes) = self.ring.get(at, length) {
            return Ok(bytes);
        }
        let segment = self
            .segments
            .holding(at)
            .filter(|segment| at + length as u64 <= segment.end())
            .ok_or_else(|| self.nothing_at(LogOffset(at)))?;
        self.fetch(segment, at, BytesMut::zeroed(length)).await
    }

    /// Bytes of a segment that begin at a place and hold as many of the first records as said:
    /// their block, or what they lie in if that is not worth it. A small one that lies in two
    /// blocks comes alone, so that those behind it are read with the rest of theirs.
    async fn window(
        &self,
        segment: Arc<Segment>,
        wanted: &[IndexEntry],
    ) -> (usize, Result<Window, Error>) {
        let count = in_one_block(wanted, segment.end());
        let range = |count: usize| wanted[0].log_offset.0..wanted[count - 1].log_end().0;
        if count > 0 {
            let number = wanted[0].log_offset.0 / BLOCK;
            if let Some((start, bytes)) = self.blocks.get(number, &range(count)) {
                return (count, Ok(Window { start, bytes }));
            }
            let bytes = wanted[..count].iter().map(|entry| u64::from(entry.size));
            if self.blocks.missed(number, count, bytes.sum()) {
                return (count, self.block(segment, number).await);
            }
        }
        let count = match u64::from(wanted[0].size) {
            size if count == 0 && size <= SMALL => 1,
            _ => together(wanted, segment.end()),
        };
        let Range { start, end } = range(count);
        let bytes = self.bytes(start, (end - start) as usize).await;
        (count, bytes.map(|bytes| Window { start, bytes }))
    }

    /// Reads what a segment has of a block, and keeps it.
    async fn block(&self, segment: Arc<Segment>, number: u64) -> Result<Window, Error> {
        let start = segment.start.max(number * BLOCK);
        // What lies behind that may still change.
        let visible = self.publisher.mark.visible();
        let end = segment.end().min(visible).min((number + 1) * BLOCK);
        let buffer = self.blocks.buffer(end.saturating_sub(start) as usize);
        let bytes = self.fetch(segment, start, buffer).await?;
        self.blocks.keep(number, start, bytes.clone());
        Ok(Window { start, bytes })
    }

    /// Fills a buffer from a segment, from `at` bytes of the log on.
    async fn fetch(
        &self,
        segment: Arc<Segment>,
        at: u64,
        mut buffer: BytesMut,
    ) -> Result<Bytes, Error> {
        let length = buffer.len();
        let read = segment
            .file
            .pread_nowait(&mut buffer, at - segment.start)
            .map_err(Error::disk("reading the log"))?;
        let waits = read != Some(length);
        if let Some(advised) = self.catch_up.note(at..at + length as u64, waits) {
            self.advise(advised);
        }
        if !waits {
            return Ok(buffer.freeze());
        }
        // Whoever reads far behind queues here, and not for the threads that others need.
        let thread = self.threads.clone().acquire_owned().await;
        let read = move || {
            let read = read_waiting(&segment, at, buffer);
            drop(thread);
            read
        };
        self.tasks
            .blocking("read the log", read)
            .await
            .map_err(|_| Error::Closed)?
    }

    /// Tells the kernel, beside: even that may wait. What the ring has just let go stays, since
    /// others may be right behind.
    fn advise(&self, advised: Advised) {
        let hot = self.ring.start().unwrap_or(0);
        let Advised { wanted, left } = advised;
        let left = left.start..left.end.min(hot);
        let (segments, catch_up) = (self.segments.all(), self.catch_up.clone());
        drop(self.tasks.blocking("read ahead", move || {
            let parts = |range: Range<u64>| {
                segments.iter().filter_map(move |segment| {
                    let (from, to) = (range.start.max(segment.start), range.end.min(segment.end()));
                    (from < to).then(|| (segment, from - segment.start..to - segment.start))
                })
            };
            let beyond = wanted.start + BEYOND..(wanted.end + BEYOND).min(hot);
            let mut looked_at = parts(wanted.clone()).chain(parts(beyond));
            if looked_at.all(|(segment, part)| in_memory(segment, part)) {
                catch_up.was_there(wanted.end);
            } else {
                for (segment, part) in parts(wanted) {
                    advice(segment, part, Advice::WillNeed);
                }
            }
            for (segment, part) in parts(left) {
                advice(segment, part, Advice::DontNeed);
            }
        }));
    }

    /// Part of a buffer as the record that lies at `at`, if it is believed.
    fn checked<'a>(
        &self,
        at: LogOffset,
        buffer: &'a Bytes,
        part: Range<usize>,
    ) -> Result<Stored<'a>, Error> {
        let bytes = &buffer[part];
        match self.check(at, bytes) {
            Ok(view) => {
                self.damage.was_read(at.0);
                Ok(Stored {
                    buffer,
                    bytes,
                    view: Some(view),
                })
            }
            Err(error) => {
                if let Some(segment) = self.segments.holding(at.0) {
                    let position = at.0 - segment.start;
                    self.damage.note(at.0, &segment.path, position, &error);
                }
                Err(error)
            }
        }
    }

    fn check<'a>(&self, at: LogOffset, bytes: &'a [u8]) -> Result<RecordView<'a>, Error> {
        let record = self
            .guard
            .check(bytes, at.0)
            .map_err(|why| corrupt(at, why))?;
        same_place(at, &record)?;
        match record.bytes.len() == bytes.len() {
            true => Ok(record),
            false => Err(corrupt(at, "the index knows another size")),
        }
    }

    fn nothing_at(&self, at: LogOffset) -> Error {
        Error::NoSuchRecord {
            at,
            min: LogOffset(self.segments.min()),
            end: LogOffset(self.publisher.mark.visible()),
        }
    }
}

/// How many of the records at the front lie in the block of the first, and in its segment.
fn in_one_block(wanted: &[IndexEntry], segment_end: u64) -> usize {
    let block = |entry: &IndexEntry| {
        let end = entry.log_end().0;
        block_of(entry.log_offset.0, end).filter(|_| end <= segment_end)
    };
    let Some(first) = wanted.first().and_then(block) else {
        return 0;
    };
    let goes_on = |pair: &&[IndexEntry]| {
        pair[0].log_offset < pair[1].log_offset && block(&pair[1]) == Some(first)
    };
    1 + wanted.windows(2).take_while(goes_on).count()
}

/// How many of the records at the front are read with one call, given where their segment ends.
fn together(wanted: &[IndexEntry], segment_end: u64) -> usize {
    let Some(first) = wanted.first() else {
        return 0;
    };
    let mut end = first.log_end().0;
    let mut count = 1;
    for entry in &wanted[1..] {
        let (at, next_end) = (entry.log_offset.0, entry.log_end().0);
        let fits = |end: u64| end - first.log_offset.0 <= WINDOW && end <= segment_end;
        if at < end || at - end > GAP || !fits(next_end) {
            break;
        }
        end = next_end;
        count += 1;
    }
    count
}

fn read_waiting(segment: &Segment, at: u64, mut buffer: BytesMut) -> Result<Bytes, Error> {
    segment
        .file
        .read_exact_at(&mut buffer, at - segment.start)
        .map_err(Error::disk("reading the log"))?;
    Ok(buffer.freeze())
}

/// Whether the kernel has a part of a segment at hand, as far as it tells.
fn in_memory(segment: &Segment, part: Range<u64>) -> bool {
    let bytes = part.end - part.start;
    segment.file.resident(part) >= Some(bytes)
}

/// Advice that is not taken costs time and nothing else.
fn advice(segment: &Segment, part: Range<u64>, advice: Advice) {
    let _ = segment.file.advise(part, advice);
}

fn same_place(at: LogOffset, record: &RecordView<'_>) -> Result<(), Error> {
    if record.log_offset == at {
        return Ok(());
    }
    Err(corrupt(
        at,
        format_args!("it belongs to {}", record.log_offset),
    ))
}

fn corrupt(at: LogOffset, why: impl ToString) -> Error {
    Error::Corrupt {
        at,
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use model::QueueOffset;

    use super::*;

    fn entry(at: u64, size: u64) -> IndexEntry {
        IndexEntry {
            queue_offset: QueueOffset(0),
            count: 1,
            log_offset: LogOffset(at),
            size: size as u32,
            tags_code: 0,
        }
    }

    #[test]
    fn neighbours_are_read_together_and_distant_records_apart() {
        let at = |place| entry(place, 100);
        let together = |wanted: &[_]| super::together(wanted, 1 << 20);
        assert_eq!(together(&[at(0), at(100), at(250)]), 3);
        assert_eq!(together(&[at(0), at(100 + GAP + 1)]), 1);
        assert_eq!(together(&[at(0), entry(100, WINDOW)]), 1);
        assert_eq!(together(&[at(500), at(100)]), 1);
    }

    #[test]
    fn the_records_of_a_block_are_those_that_lie_in_it() {
        let at = |place| entry(place, 100);
        let wanted = [at(10), at(BLOCK / 2), at(BLOCK - 100), at(BLOCK - 50)];
        assert_eq!(in_one_block(&wanted, 1 << 30), 3);
        assert_eq!(in_one_block(&wanted, BLOCK / 2 + 100), 2);
        assert_eq!(in_one_block(&wanted[3..], 1 << 30), 0);
        assert_eq!(in_one_block(&[at(500), at(100)], 1 << 30), 1);
    }

    #[test]
    fn no_read_goes_on_into_the_next_segment() {
        let wanted = [entry(800, 100), entry(900, 92), entry(1_000, 100)];
        assert_eq!(together(&wanted, 1_000), 2);
    }
}
