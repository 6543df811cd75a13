//! Deletes the oldest segments: when their time is over, or when the disk fills up.

use model::record::{Frame, view};
use model::{LogOffset, Timestamp};
use runtime::Space;

use crate::Error;
use crate::segment::Segment;
use crate::store::Shared;

const HOUR_MS: i64 = 3_600_000;
/// Appends are taken again when the disk is this many percent below the limit.
const HYSTERESIS_PERCENT: u64 = 2;
/// Bytes that hold any record's head.
const HEAD: usize = 128;

impl Shared {
    /// Deletes what may go, and refuses or admits appends by what is left of the disk. What is
    /// merely old goes at the hours for that, or when the disk fills up, or if `now` is asked
    /// for. Waits for the disk.
    pub(crate) fn clean(&self, now: bool) -> Result<(), Error> {
        let space = self.space()?;
        let settings = &self.settings;
        let filling = used_percent(space) >= u64::from(settings.delete_percent);
        if now || filling || settings.delete_hours.contains(&hour_of(self.clock.wall())) {
            self.delete_expired()?;
        }
        let mut space = self.space()?;
        let clean = u64::from(self.settings.clean_percent);
        let nearly_full = |space| clean < 100 && used_percent(space) >= clean;
        if nearly_full(space) && self.segments.recycled() > 0 {
            self.segments.drop_recycled();
            space = self.space()?;
        }
        if nearly_full(space) {
            let segments = self.segments.all();
            if let [oldest, _, ..] = &segments[..]
                && self.is_shown(oldest)
                && !self.is_needed(oldest.end())
            {
                tracing::warn!(?space, segment = ?oldest.path, "the disk is nearly full");
                self.delete_below(oldest.end())?;
                self.segments.drop_recycled();
                space = self.space()?;
            }
        }
        self.health.set_nearly_full(nearly_full(space));
        let refuse = u64::from(self.settings.refuse_percent);
        let limit = match self.health.is_full() {
            true => refuse.saturating_sub(HYSTERESIS_PERCENT),
            false => refuse,
        };
        self.health
            .set_full((used_percent(space) >= limit).then_some(space));
        Ok(())
    }

    fn delete_expired(&self) -> Result<(), Error> {
        let kept_ms = HOUR_MS.saturating_mul(self.settings.retention_hours as i64);
        let kept_from = self.clock.wall().saturating_sub(kept_ms);
        while let Some(end) = self.oldest_ended_before(kept_from)? {
            if self.is_needed(end) {
                break;
            }
            self.delete_below(end)?;
        }
        Ok(())
    }

    fn space(&self) -> Result<Space, Error> {
        let space = self.disk.space(&self.layout.log);
        space.map_err(Error::disk("asking for space"))
    }

    /// Where the oldest segment ends, if another follows that began before `time`.
    fn oldest_ended_before(&self, time: i64) -> Result<Option<u64>, Error> {
        let segments = self.segments.all();
        let Some((oldest, others)) = segments.split_first() else {
            return Ok(None);
        };
        if !self.is_shown(oldest) {
            return Ok(None);
        }
        for next in others {
            // A segment whose first record is damaged is no older than the one behind it.
            if let Some(began) = first_stored(next)? {
                return Ok((began.0 < time).then(|| oldest.end()));
            }
        }
        Ok(None)
    }

    /// Whether readers may see all of a segment. Before, its records would enter their queues
    /// after it has gone, and the next start would miss it.
    fn is_shown(&self, segment: &Segment) -> bool {
        segment.end() <= self.publisher.mark.visible()
    }

    /// Whether somebody needs a record below `end`, where a segment ends. Until somebody can be
    /// asked, everything is needed that waits for its time.
    fn is_needed(&self, end: u64) -> bool {
        let asked = self.publisher.needs_below(LogOffset(end));
        let needed = asked.unwrap_or_else(|| self.index.is_delayed_below(end));
        if needed {
            tracing::info!(
                end,
                "the oldest segment stays until its delayed messages have moved"
            );
        }
        needed
    }

    /// Takes everything below `end`, where a segment begins, out of log and indexes.
    pub(crate) fn delete_below(&self, end: u64) -> Result<(), Error> {
        // First the queues, so that nobody is sent to a segment that is gone.
        self.index.raise_minimum(end)?;
        self.reserve.spend(|| self.checkpoints.save())?;
        let dropped = self.segments.drop_below(end)?;
        self.keys.drop_below(self.segments.min());
        for segment in dropped {
            tracing::info!(segment = ?segment.path, "deleted");
        }
        Ok(())
    }
}

/// Hour of the day, in UTC.
fn hour_of(wall_ms: i64) -> u8 {
    wall_ms.div_euclid(HOUR_MS).rem_euclid(24) as u8
}

fn used_percent(space: Space) -> u64 {
    let used = space.total.saturating_sub(space.available);
    (u128::from(used) * 100 / u128::from(space.total.max(1))) as u64
}

/// When the first record of a segment was stored; `None` if it holds none.
pub(crate) fn first_stored(segment: &Segment) -> Result<Option<Timestamp>, Error> {
    let doing = "reading the beginning of a segment";
    let mut head = vec![0; HEAD.min(segment.len as usize)];
    segment
        .file
        .read_exact_at(&mut head, 0)
        .map_err(Error::disk(doing))?;
    let Ok(Frame::Record { size, .. }) = Frame::peek(&head) else {
        return Ok(None);
    };
    if u64::from(size) > segment.len {
        return Ok(None);
    }
    let mut record = vec![0; size as usize];
    segment
        .file
        .read_exact_at(&mut record, 0)
        .map_err(Error::disk(doing))?;
    let record = view(&record).ok();
    // A recycled file begins with a record of another place until it is used.
    let here = record.filter(|record| record.log_offset.0 == segment.start);
    Ok(here.map(|record| record.stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_those_of_the_day() {
        assert_eq!(hour_of(1_700_000_000_000), 22);
        assert_eq!(hour_of(-1), 23);
    }

    #[test]
    fn a_disk_without_a_size_is_not_full() {
        let space = |total, available| used_percent(Space { total, available });
        assert_eq!((space(0, 0), space(200, 20), space(10, 20)), (0, 90, 0));
    }
}
