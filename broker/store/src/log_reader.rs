//! Reads records by their place in the log: from memory, from the page cache, or from the disk.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use model::LogOffset;
use model::record::{Frame, RecordView, view};
use runtime::{Advice, Moment, Tasks};
use tokio::sync::Semaphore;

use crate::Error;
use crate::blocks::{BLOCK, Blocks, block_of};
use crate::catch_up::{Advised, CatchUp, THREADS};
use crate::damage::Damage;
use crate::guard::Guard;
use crate::hot_ring::HotRing;
use crate::losses::stands_for_lost;
use crate::publisher::Publisher;
use crate::segment::Segment;
use crate::segments::Segments;

/// Bytes that tell how long a record is.
const FRAME: usize = 8;
/// Bytes fetched with one read when neighbouring records are wanted.
const WINDOW: u64 = 128 << 10;
/// Bytes of others' records that are read along rather than left out.
const GAP: u64 = 4 << 10;

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
    pub(crate) fn given_up(&self, at: LogOffset, now: Moment, error: Error) -> Error {
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
            return self.verified(at, bytes, false);
        }
        let bytes = self.bytes(at.0, size as usize).await?;
        self.verified(at, bytes, true)
    }

    /// Several records in the order of the log; one that is damaged or cannot be read is an error
    /// in its own place.
    pub(crate) async fn several(
        &self,
        wanted: &[(LogOffset, u32)],
    ) -> Result<Vec<Result<Bytes, Error>>, Error> {
        let mut found = Vec::with_capacity(wanted.len());
        let mut rest = wanted;
        while let Some((&(at, size), _)) = rest.split_first() {
            if let Some(bytes) = self.ring.get(at.0, size as usize) {
                found.push(self.verified(at, bytes, false));
                rest = &rest[1..];
                continue;
            }
            let segment = self
                .segments
                .holding(at.0)
                .ok_or_else(|| self.nothing_at(at))?;
            let (count, window) = self.window(segment, rest).await;
            let (now, later) = rest.split_at(count);
            rest = later;
            match window {
                Ok((start, window)) => {
                    for (place, size) in now {
                        let from = (place.0 - start) as usize;
                        let bytes = window.slice(from..from + *size as usize);
                        found.push(self.verified(*place, bytes, true));
                    }
                }
                Err(Error::Disk { .. }) => {
                    // The others may lie on sound sectors.
                    for (place, size) in now {
                        found.push(self.sized(*place, *size).await);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
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
        self.verified(at, bytes, true)
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
    /// their block, or what they lie in if that is not worth it.
    async fn window(
        &self,
        segment: Arc<Segment>,
        wanted: &[(LogOffset, u32)],
    ) -> (usize, Result<(u64, Bytes), Error>) {
        let count = in_one_block(wanted, segment.end());
        let range = |count: usize| {
            let start = wanted[0].0.0;
            let (last, size) = wanted[count - 1];
            start..last.0 + u64::from(size)
        };
        if count > 0 {
            let number = wanted[0].0.0 / BLOCK;
            if let Some(found) = self.blocks.get(number, &range(count)) {
                return (count, Ok(found));
            }
            let bytes = wanted[..count].iter().map(|(_, size)| u64::from(*size));
            if self.blocks.missed(number, count, bytes.sum()) {
                return (count, self.block(segment, number).await);
            }
        }
        let count = together(wanted, segment.end());
        let range = range(count);
        let bytes = self.bytes(range.start, (range.end - range.start) as usize);
        (count, bytes.await.map(|bytes| (range.start, bytes)))
    }

    /// Reads what a segment has of a block, and keeps it.
    async fn block(&self, segment: Arc<Segment>, number: u64) -> Result<(u64, Bytes), Error> {
        let start = segment.start.max(number * BLOCK);
        // What lies behind that may still change.
        let visible = self.publisher.mark.visible();
        let end = segment.end().min(visible).min((number + 1) * BLOCK);
        let buffer = self.blocks.buffer(end.saturating_sub(start) as usize);
        let bytes = self.fetch(segment, start, buffer).await?;
        self.blocks.keep(number, start, bytes.clone());
        Ok((start, bytes))
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
        let parts = [
            (wanted, Advice::WillNeed),
            (left.start..left.end.min(hot), Advice::DontNeed),
        ];
        let segments = self.segments.all();
        drop(self.tasks.blocking("read ahead", move || {
            for (range, advice) in parts {
                for segment in segments.iter() {
                    let from = range.start.max(segment.start);
                    let to = range.end.min(segment.end());
                    if from < to {
                        let within = from - segment.start..to - segment.start;
                        // An advice that is not taken costs time and nothing else.
                        let _ = segment.file.advise(within, advice);
                    }
                }
            }
        }));
    }

    fn verified(&self, at: LogOffset, bytes: Bytes, cold: bool) -> Result<Bytes, Error> {
        if cold && let Err(error) = self.check(at, &bytes) {
            if let Some(segment) = self.segments.holding(at.0) {
                let position = at.0 - segment.start;
                self.damage.note(at.0, &segment.path, position, &error);
            }
            return Err(error);
        }
        Ok(bytes)
    }

    fn check(&self, at: LogOffset, bytes: &Bytes) -> Result<(), Error> {
        let record = self
            .guard
            .check(bytes, at.0)
            .map_err(|why| corrupt(at, why))?;
        same_place(at, &record)?;
        match record.bytes.len() == bytes.len() {
            true => Ok(()),
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
fn in_one_block(wanted: &[(LogOffset, u32)], segment_end: u64) -> usize {
    let block = |(at, size): &(LogOffset, u32)| {
        let end = at.0 + u64::from(*size);
        block_of(at.0, end).filter(|_| end <= segment_end)
    };
    let Some(first) = wanted.first().and_then(block) else {
        return 0;
    };
    let goes_on =
        |pair: &&[(LogOffset, u32)]| pair[0].0 < pair[1].0 && block(&pair[1]) == Some(first);
    1 + wanted.windows(2).take_while(goes_on).count()
}

/// How many of the records at the front are read with one call, given where their segment ends.
fn together(wanted: &[(LogOffset, u32)], segment_end: u64) -> usize {
    let Some(&(first, size)) = wanted.first() else {
        return 0;
    };
    let mut end = first.0 + u64::from(size);
    let mut count = 1;
    for (at, size) in &wanted[1..] {
        let next_end = at.0 + u64::from(*size);
        if at.0 < end || at.0 - end > GAP || next_end - first.0 > WINDOW || next_end > segment_end {
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
    use super::*;

    #[test]
    fn neighbours_are_read_together_and_distant_records_apart() {
        let at = |place: u64| (LogOffset(place), 100);
        let together = |wanted: &[_]| super::together(wanted, 1 << 20);
        assert_eq!(together(&[at(0), at(100), at(250)]), 3);
        assert_eq!(together(&[at(0), at(100 + GAP + 1)]), 1);
        assert_eq!(together(&[at(0), (LogOffset(100), WINDOW as u32)]), 1);
        assert_eq!(together(&[at(500), at(100)]), 1);
    }

    #[test]
    fn the_records_of_a_block_are_those_that_lie_in_it() {
        let at = |place: u64| (LogOffset(place), 100);
        let wanted = [at(10), at(BLOCK / 2), at(BLOCK - 100), at(BLOCK - 50)];
        assert_eq!(in_one_block(&wanted, 1 << 30), 3);
        assert_eq!(in_one_block(&wanted, BLOCK / 2 + 100), 2);
        assert_eq!(in_one_block(&wanted[3..], 1 << 30), 0);
        assert_eq!(in_one_block(&[at(500), at(100)], 1 << 30), 1);
    }

    #[test]
    fn no_read_goes_on_into_the_next_segment() {
        let wanted = [
            (LogOffset(800), 100),
            (LogOffset(900), 92),
            (LogOffset(1_000), 100),
        ];
        assert_eq!(together(&wanted, 1_000), 2);
    }
}
