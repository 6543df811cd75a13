//! Makes the end of the log fit to be continued.

use std::sync::Arc;

use model::LogOffset;
use runtime::{Disk, Planted};

use super::leftovers::{is_open, last_own};
use super::scan::{FRAME, LogEnd};
use super::verdict::NOTHING;
use super::{Cut, Facts};
use crate::Error;
use crate::segment::Segment;

/// Makes everything behind the end as if it had never been written. Nothing was written behind
/// the fence.
pub(super) fn cut_behind(
    facts: &Facts<'_>,
    known_durable: Option<u64>,
    segments: &mut Vec<Arc<Segment>>,
    end: &LogEnd,
) -> Result<Option<Cut>, Error> {
    let fence = facts.fence_behind(end.at);
    let mut written_to = None;
    let in_use = segments.partition_point(|segment| segment.end() <= end.at);
    // From the back, so that being killed on the way leaves the same end to be found.
    while segments.len() > in_use + 1 {
        let last = segments.len() - 1;
        let written = last_own(&segments[last], segments[last].start, fence)?;
        if written.is_none() && last == in_use + 1 {
            break;
        }
        written_to = written_to.max(written);
        unlink(facts.disk.as_ref(), facts, &segments[last])?;
        segments.pop();
    }
    if let Some(active) = segments.get(in_use) {
        let written = last_own(active, end.at, fence)?;
        written_to = written_to.max(written);
        // RocketMQ's scan takes any sound record for one of this place, unless a zero word stops
        // it.
        let word = match is_open(active, end.at)? {
            true => Some((end.at + FRAME).min(active.end())),
            false => None,
        };
        if let Some(written) = written.max(word) {
            let early = u64::from(Planted::TruncateOffByOne.is_active());
            zero(
                active,
                end.at.saturating_sub(early).max(active.start),
                written,
            )?;
        }
    }
    let was_durable = known_durable.is_some_and(|durable| durable > end.at);
    let bytes = written_to.map_or(0, |written| written - end.at);
    let why = end.why.clone().unwrap_or_else(|| NOTHING.into());
    let lost = bytes > 0 || was_durable;
    Ok(lost.then_some(Cut {
        at: LogOffset(end.at),
        bytes,
        why,
        was_durable,
    }))
}

fn unlink(disk: &dyn Disk, facts: &Facts<'_>, segment: &Segment) -> Result<(), Error> {
    disk.unlink(&segment.path)
        .map_err(Error::disk("cutting the log"))?;
    // One by one, so that no crash leaves a gap behind.
    disk.fsync_dir(&facts.layout.log)
        .map_err(Error::disk("cutting the log"))
}

/// Writes zeros over a part of a segment, durably.
pub(crate) fn zero(segment: &Segment, from: u64, until: u64) -> Result<(), Error> {
    let range = from - segment.start..until - segment.start;
    segment
        .file
        .write_zeros(range)
        .and_then(|()| segment.file.fdatasync())
        .map_err(Error::disk("cutting the log"))
}

/// Makes what was found durable from `durable` up to `at`.
pub(super) fn keep(
    facts: &Facts<'_>,
    known_durable: Option<u64>,
    segments: &[Arc<Segment>],
    durable: u64,
    at: u64,
) -> Result<(), Error> {
    let doing = "making durable what was found";
    for segment in segments.iter().filter(|segment| segment.start < at) {
        if segment.end() > durable {
            write_again(segment, durable.max(segment.start), at.min(segment.end()))?;
        } else if known_durable.is_none() {
            segment.file.fdatasync().map_err(Error::disk(doing))?;
        }
    }
    let directory = facts.disk.fsync_dir(&facts.layout.log);
    directory.map_err(Error::disk(doing))
}

/// Its bytes may have been in the kernel only, and if a flush had failed, the kernel may take
/// them for clean: so they are written once more.
fn write_again(segment: &Segment, from: u64, until: u64) -> Result<(), Error> {
    let doing = "making durable what was found";
    let mut at = from;
    let mut bytes = Vec::new();
    while at < until {
        bytes.resize((until - at).min(1 << 20) as usize, 0);
        segment
            .file
            .read_exact_at(&mut bytes, at - segment.start)
            .map_err(Error::disk(doing))?;
        segment
            .file
            .write_all_at(&bytes, at - segment.start)
            .map_err(Error::disk(doing))?;
        at += bytes.len() as u64;
    }
    segment.file.fdatasync().map_err(Error::disk(doing))
}
