//! Reads the log record by record and stops at the first thing that is not one.

use std::sync::Arc;

use model::record::{Frame, GroupRecord, RecordView, view};
use runtime::Planted;

use crate::Error;
use crate::guard::Guard;
use crate::segment::Segment;

/// Bytes read from a segment at a time.
const CHUNK: usize = 4 << 20;
/// Bytes of the smallest frame.
pub(super) const FRAME: u64 = 8;
/// Where the log offset lies in a record, and the bytes up to behind it.
const OFFSET_AT: usize = 28;
pub(super) const HEAD: usize = 36;

/// Where the valid records end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogEnd {
    pub at: u64,
    /// What is wrong there; `None` where nothing was written.
    pub why: Option<String>,
}

/// Calls `each` with every valid record from `from` on, which is where a record begins or the
/// log ends, up to the first that begins at or behind `until`. A group of which a part is
/// missing counts as invalid from its first byte on.
pub(crate) fn scan(
    segments: &[Arc<Segment>],
    guard: Guard,
    from: u64,
    until: u64,
    mut each: impl FnMut(&RecordView<'_>),
) -> Result<LogEnd, Error> {
    scan_while(segments, guard, from, until, |record| {
        each(record);
        true
    })
}

/// As [`scan`], but only for as long as `each` says yes.
pub(crate) fn scan_while(
    segments: &[Arc<Segment>],
    guard: Guard,
    from: u64,
    until: u64,
    mut each: impl FnMut(&RecordView<'_>) -> bool,
) -> Result<LogEnd, Error> {
    let mut at = from;
    let first = segments.partition_point(|segment| segment.end() <= from);
    let last = segments.last().map_or(0, |last| last.start);
    for segment in &segments[first..] {
        let mut window = Window::new(segment);
        while at < segment.end() {
            if at >= until {
                return Ok(LogEnd { at, why: None });
            }
            match step(&mut window, guard, at)? {
                Step::Record(size) => {
                    let bytes = window.bytes(at, size)?;
                    let record = match Planted::BelieveRecord.is_active() {
                        true => view(bytes),
                        false => guard.check(bytes, at),
                    };
                    let record = record.map_err(|why| corrupt(at, why))?;
                    let more = each(&record);
                    at += u64::from(size);
                    if !more {
                        return Ok(LogEnd { at, why: None });
                    }
                }
                Step::Blank => at = segment.end(),
                Step::Narrow if segment.start < last => at = segment.end(),
                Step::Narrow => {
                    let why = Some(NARROW.into());
                    return Ok(LogEnd { at, why });
                }
                Step::End => return Ok(LogEnd { at, why: None }),
                Step::Invalid(why) => return Ok(LogEnd { at, why: Some(why) }),
            }
        }
    }
    Ok(LogEnd { at, why: None })
}

/// The first valid record that begins in a range, wherever it may begin.
pub(crate) fn find_valid(
    segments: &[Arc<Segment>],
    guard: Guard,
    from: u64,
    until: u64,
) -> Result<Option<u64>, Error> {
    let overlapping = |segment: &&Arc<Segment>| segment.start < until && segment.end() > from;
    for segment in segments.iter().filter(overlapping) {
        let mut window = Window::new(segment);
        let mut at = from.max(segment.start);
        let end = until.min(segment.end());
        while at < end {
            let candidate = window.next_magic(at, end)?;
            let Some(candidate) = candidate else { break };
            if let Step::Record(_) = step(&mut window, guard, candidate)? {
                return Ok(Some(candidate));
            }
            at = candidate + 1;
        }
    }
    Ok(None)
}

/// Where the log goes on behind `at`, where no valid record lies: where the record there says
/// it ends, if one follows, else at the first valid one below `until`.
pub(crate) fn resume(
    segments: &[Arc<Segment>],
    guard: Guard,
    at: u64,
    until: u64,
) -> Result<Option<u64>, Error> {
    // What a body holds may look like a record, so it is not searched if that can be helped.
    if let Some(end) = stated_end(segments, at)?
        && end < until
        && goes_on(segments, guard, end)?
    {
        return Ok(Some(end));
    }
    find_valid(segments, guard, at + 1, until)
}

/// Where the record at `at` ends if its size is to be believed.
fn stated_end(segments: &[Arc<Segment>], at: u64) -> Result<Option<u64>, Error> {
    let holding = segments
        .iter()
        .find(|segment| (segment.start..segment.end()).contains(&at));
    let Some(segment) = holding.filter(|segment| segment.end() - at >= FRAME) else {
        return Ok(None);
    };
    let frame = Frame::peek(Window::new(segment).exactly(at, FRAME)?);
    Ok(match frame {
        Ok(Frame::Record { size, .. }) => Some(at + u64::from(size)),
        _ => None,
    })
}

/// True if a valid record begins at `at`, or the filler in front of the next segment's.
fn goes_on(segments: &[Arc<Segment>], guard: Guard, at: u64) -> Result<bool, Error> {
    let first = segments.partition_point(|segment| segment.end() <= at);
    let mut at = at;
    for segment in &segments[first..] {
        match step(&mut Window::new(segment), guard, at)? {
            Step::Record(_) => return Ok(true),
            Step::Blank | Step::Narrow => at = segment.end(),
            Step::End | Step::Invalid(_) => return Ok(false),
        }
    }
    Ok(false)
}

/// One more than the position of the last byte of the range that is not zero.
pub(crate) fn last_written(segment: &Segment, from: u64, until: u64) -> Result<Option<u64>, Error> {
    let mut window = Window::new(segment);
    let mut at = from.max(segment.start);
    let end = until.min(segment.end());
    let mut last = None;
    while at < end {
        let length = (CHUNK as u64).min(end - at);
        let bytes = window.bytes(at, length as u32)?;
        if let Some(place) = bytes.iter().rposition(|byte| *byte != 0) {
            last = Some(at + place as u64 + 1);
        }
        at += length;
    }
    Ok(last)
}

enum Step {
    Record(u32),
    Blank,
    /// Zeros, and fewer than anything has that is ever written. A repair leaves them where two
    /// files lie so close to each other.
    Narrow,
    End,
    Invalid(String),
}

const NARROW: &str = "a segment's end has no room for what ends it";

/// What lies at `at`. A group is looked at whole.
fn step(window: &mut Window<'_>, guard: Guard, at: u64) -> Result<Step, Error> {
    let left = window.segment.end() - at;
    if left < FRAME {
        let rest = window.bytes(at, left as u32)?;
        return Ok(match rest.iter().all(|byte| *byte == 0) {
            true => Step::Narrow,
            false => Step::Invalid(NARROW.into()),
        });
    }
    let frame = match Frame::peek(window.bytes(at, FRAME as u32)?) {
        Ok(frame) => frame,
        Err(why) => return Ok(Step::Invalid(why.to_string())),
    };
    let size = match frame {
        Frame::Record { size, .. } => size,
        Frame::Blank { size } if u64::from(size) == left => return Ok(Step::Blank),
        Frame::Blank { size } => {
            return Ok(Step::Invalid(format!(
                "a filler of {size} bytes where {left} are left"
            )));
        }
        Frame::End => {
            let zero = window
                .bytes(at, FRAME as u32)?
                .iter()
                .all(|byte| *byte == 0);
            let step = if zero {
                Step::End
            } else {
                Step::Invalid("no record begins here".into())
            };
            return Ok(step);
        }
    };
    if u64::from(size) > left {
        return Ok(Step::Invalid(format!(
            "a record of {size} bytes where {left} are left"
        )));
    }
    let group = {
        let bytes = window.bytes(at, size)?;
        // Before the checksum: a recycled segment is full of sound records of other places.
        let stated = stated_offset(bytes).unwrap_or_default();
        if stated != at && !Planted::BelieveOldRecord.is_active() {
            return Ok(Step::Invalid(format!("the record belongs to {stated}")));
        }
        let checked = match Planted::BelieveRecord.is_active() {
            true => view(bytes),
            false => guard.check(bytes, at),
        };
        let record = match checked {
            Ok(record) => record,
            Err(why) => return Ok(Step::Invalid(why.to_string())),
        };
        match GroupRecord::of(&record) {
            Ok(group) => group,
            Err(why) => return Ok(Step::Invalid(why.to_string())),
        }
    };
    if let Some(group) = group {
        if group.bytes > left - u64::from(size) {
            return Ok(Step::Invalid("a group is longer than its segment".into()));
        }
        let Ok(length) = u32::try_from(group.bytes) else {
            return Ok(Step::Invalid(
                "a group is longer than a segment may be".into(),
            ));
        };
        if !group.is_whole(window.bytes(at + u64::from(size), length)?) {
            return Ok(Step::Invalid("a part of a group is missing".into()));
        }
    }
    Ok(Step::Record(size))
}

/// Where the record at the front of `bytes` says it lies.
pub(crate) fn stated_offset(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.get(OFFSET_AT..HEAD)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// A stretch of a segment in memory.
pub(super) struct Window<'a> {
    segment: &'a Segment,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(super) fn new(segment: &'a Segment) -> Self {
        Self {
            segment,
            start: segment.start,
            bytes: Vec::new(),
        }
    }

    /// Exactly `length` bytes from `at` on, which the segment has.
    pub(super) fn bytes(&mut self, at: u64, length: u32) -> Result<&[u8], Error> {
        let length = u64::from(length);
        let held = self.start + self.bytes.len() as u64;
        if at < self.start || at + length > held {
            self.load(at, length)?;
        }
        let from = (at - self.start) as usize;
        Ok(&self.bytes[from..from + length as usize])
    }

    /// As `bytes`, but no more than that is read.
    fn exactly(&mut self, at: u64, length: u64) -> Result<&[u8], Error> {
        self.bytes.resize(length as usize, 0);
        self.start = at;
        let from = at - self.segment.start;
        let read = self.segment.file.read_exact_at(&mut self.bytes, from);
        read.map_err(Error::disk("reading the log"))?;
        Ok(&self.bytes)
    }

    fn load(&mut self, at: u64, length: u64) -> Result<(), Error> {
        let wanted = length.max(CHUNK as u64).min(self.segment.end() - at);
        self.bytes.resize(wanted as usize, 0);
        self.start = at;
        self.segment
            .file
            .read_exact_at(&mut self.bytes, at - self.segment.start)
            .map_err(Error::disk("reading the log"))
    }

    /// Where in `from..until` the magic of a record lies behind four bytes.
    pub(super) fn next_magic(&mut self, from: u64, until: u64) -> Result<Option<u64>, Error> {
        let mut at = from;
        while at < until && at + FRAME <= self.segment.end() {
            let length = (CHUNK as u64).min(self.segment.end() - at);
            let found = {
                let bytes = self.bytes(at, length as u32)?;
                bytes
                    .windows(FRAME as usize)
                    .position(|window| matches!(Frame::peek(window), Ok(Frame::Record { .. })))
            };
            if let Some(place) = found {
                let candidate = at + place as u64;
                return Ok((candidate < until).then_some(candidate));
            }
            at += length - (FRAME - 1);
        }
        Ok(None)
    }
}

fn corrupt(at: u64, why: impl ToString) -> Error {
    Error::Corrupt {
        at: model::LogOffset(at),
        why: why.to_string(),
    }
}
