//! Reads records by their place in the log: from memory, from the page cache, or from the disk.

use std::sync::Arc;

use bytes::Bytes;
use model::LogOffset;
use model::record::{Frame, RecordView, view};
use runtime::{Advice, Moment, Tasks};
use tokio::sync::Semaphore;

use crate::Error;
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
            let count = together(rest, segment.end());
            let (now, later) = rest.split_at(count);
            rest = later;
            let end = now
                .last()
                .map_or(at.0, |(at, size)| at.0 + u64::from(*size));
            let window = match self.bytes(at.0, (end - at.0) as usize).await {
                Ok(window) => window,
                Err(Error::Disk { .. }) => {
                    // The others may lie on sound sectors.
                    for (place, size) in now {
                        found.push(self.sized(*place, *size).await);
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (place, size) in now {
                let from = (place.0 - at.0) as usize;
                let bytes = window.slice(from..from + *size as usize);
                found.push(self.verified(*place, bytes, true));
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
            None => read_waiting(&segment, at.0, size as usize)?,
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
        let mut bytes = vec![0; length];
        let read = segment
            .file
            .pread_nowait(&mut bytes, at - segment.start)
            .map_err(Error::disk("reading the log"))?;
        let waits = read != Some(length);
        if let Some(advised) = self.catch_up.note(at..at + length as u64, waits) {
            self.advise(advised);
        }
        if !waits {
            return Ok(bytes.into());
        }
        // Whoever reads far behind queues here, and not for the threads that others need.
        let thread = self.threads.clone().acquire_owned().await;
        let read = move || {
            let read = read_waiting(&segment, at, length);
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

fn read_waiting(segment: &Segment, at: u64, length: usize) -> Result<Bytes, Error> {
    let mut bytes = vec![0; length];
    segment
        .file
        .read_exact_at(&mut bytes, at - segment.start)
        .map_err(Error::disk("reading the log"))?;
    Ok(bytes.into())
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
    fn no_read_goes_on_into_the_next_segment() {
        let wanted = [
            (LogOffset(800), 100),
            (LogOffset(900), 92),
            (LogOffset(1_000), 100),
        ];
        assert_eq!(together(&wanted, 1_000), 2);
    }
}
