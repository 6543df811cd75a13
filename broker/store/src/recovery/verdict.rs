//! What it means that the valid records end somewhere: one rule for starts, checks and repairs.

use std::sync::Arc;

use super::leftovers::last_own;
use super::scan::{LogEnd, resume, scan_while};
use crate::Error;
use crate::guard::Guard;
use crate::segment::Segment;
use model::record::RecordView;

/// What lies where the valid records end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The log ends: nothing behind it counts.
    End,
    /// Something is damaged in its midst: what was durable goes on behind it.
    Damage { resumes: u64 },
}

/// A part of the log that holds no valid record, with valid ones behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub from: u64,
    pub to: u64,
    pub why: String,
}

/// How far the log counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Durable {
    /// What lies in front of this was durable.
    pub until: u64,
    /// A valid record that begins in front of this shows that the log goes on.
    shown: u64,
}

impl Durable {
    pub(crate) fn up_to(until: u64) -> Self {
        Self {
            until,
            shown: until,
        }
    }

    /// Without a checkpoint that knows it, an orderly stop has made all of the log durable, and
    /// after a crash what lies in front of the last segment in use was: nothing of it may be
    /// missing, and what is in that segment shows where something is.
    ///
    /// `behind` is where a file begins that starts with a record of its own: after an orderly
    /// stop none may lie behind the end.
    pub(crate) fn of(
        segments: &[Arc<Segment>],
        known: Option<u64>,
        crashed: bool,
        behind: Option<u64>,
    ) -> Result<Self, Error> {
        let space = segments.last().map_or(0, |segment| segment.end());
        Ok(match known {
            Some(known) if crashed => Self::up_to(known),
            Some(known) => Self::up_to(behind.map_or(known, |start| known.max(start + 1))),
            None if crashed => Self {
                until: last_with_data(segments)?,
                shown: space,
            },
            None => Self::up_to(space),
        })
    }
}

pub(crate) fn judge(
    segments: &[Arc<Segment>],
    guard: Guard,
    end: u64,
    durable: Durable,
) -> Result<Verdict, Error> {
    if end >= durable.until {
        return Ok(Verdict::End);
    }
    let resumes = resume(segments, guard, end, durable.shown)?;
    Ok(resumes.map_or(Verdict::End, |resumes| Verdict::Damage { resumes }))
}

/// Where the last segment begins that holds anything.
fn last_with_data(segments: &[Arc<Segment>]) -> Result<u64, Error> {
    for segment in segments.iter().rev() {
        if last_own(segment, segment.start, u64::MAX)?.is_some() {
            return Ok(segment.start);
        }
    }
    Ok(0)
}

/// Reads the log past everything that is damaged, for as long as `each` says yes.
pub(crate) fn walk(
    segments: &[Arc<Segment>],
    guard: Guard,
    (from, durable): (u64, Durable),
    mut each: impl FnMut(&RecordView<'_>) -> bool,
    mut damaged: impl FnMut(Stretch) -> Result<(), Error>,
) -> Result<LogEnd, Error> {
    let mut from = from;
    let mut more = true;
    loop {
        let end = scan_while(segments, guard, from, u64::MAX, |record| {
            more = each(record);
            more
        })?;
        if !more {
            return Ok(end);
        }
        let Verdict::Damage { resumes } = judge(segments, guard, end.at, durable)? else {
            return Ok(end);
        };
        let why = end.why.unwrap_or_else(|| NOTHING.into());
        // A segment that is damaged to its end is closed by a filler of its own.
        let mut at = end.at;
        for segment in segments {
            if (at..resumes).contains(&segment.end()) && segment.end() > at {
                damaged(Stretch {
                    from: at,
                    to: segment.end(),
                    why: why.clone(),
                })?;
                at = segment.end();
            }
        }
        if at < resumes {
            damaged(Stretch {
                from: at,
                to: resumes,
                why,
            })?;
        }
        from = resumes;
    }
}

/// Said of a place where nothing is.
pub(crate) const NOTHING: &str = "nothing is written there";
