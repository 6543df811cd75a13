//! What can be known of records that are damaged.

use std::sync::Arc;

use model::record::{Frame, RecordView, view};
use model::{QueueId, Topic};

use crate::Error;
use crate::dispatch::{Dispatch, lite_offsets};
use crate::segment::Segment;

/// No record is longer.
const LONGEST: u32 = 256 << 20;

#[derive(Default)]
pub(super) struct Evidence {
    /// Where a queue ended, behind a damaged record whose fields can still be read.
    pub ends: Vec<End>,
    /// Stretches of which nothing can be read.
    pub unread: Vec<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub queue: QueueId,
    pub end: u64,
    /// The log offset at which this was so.
    pub at: u64,
}

impl Evidence {
    /// Looks at a stretch that holds no valid record, in one file after the other.
    pub(super) fn gather(
        &mut self,
        segments: &[Arc<Segment>],
        from: u64,
        to: u64,
    ) -> Result<(), Error> {
        let holding = |segment: &&Arc<Segment>| segment.start < to && segment.end() > from;
        for segment in segments.iter().filter(holding) {
            let within = (from.max(segment.start), to.min(segment.end()));
            self.gather_in(segment, within)?;
        }
        Ok(())
    }

    fn gather_in(&mut self, segment: &Segment, (from, to): (u64, u64)) -> Result<(), Error> {
        let mut at = from;
        while let Some(bytes) = readable(segment, at, to)? {
            let Ok(record) = view(&bytes) else { break };
            let sound_body = record.check_body().is_ok();
            if record.log_offset.0 != at && !sound_body {
                break;
            }
            self.note(&record, at);
            // With a sound body the damage is in what else it says.
            if sound_body {
                self.unread.push((at, at + bytes.len() as u64));
            }
            at += bytes.len() as u64;
        }
        if at < to {
            self.unread.push((at, to));
        }
        Ok(())
    }

    fn note(&mut self, record: &RecordView<'_>, at: u64) {
        let Ok(topic) = Topic::stored(record.topic) else {
            return;
        };
        let dispatch = Dispatch::of_stored(&topic, record);
        let own = dispatch.shown().cloned().into_iter().map(|queue| {
            let end = record.queue_offset.0.checked_add(dispatch.count.into());
            (queue, end)
        });
        let lite = dispatch
            .lite
            .into_iter()
            .zip(lite_offsets(record.properties));
        let lite = lite.map(|(queue, offset)| (queue, offset.checked_add(1)));
        let ends = own
            .chain(lite)
            .filter_map(|(queue, end)| Some((queue, end?)));
        self.ends
            .extend(ends.map(|(queue, end)| End { queue, end, at }));
    }
}

/// The bytes of the record at `at` if its fields fit together: as many as it says it has, or
/// all up to `to`, where the next one begins.
fn readable(segment: &Segment, at: u64, to: u64) -> Result<Option<Vec<u8>>, Error> {
    let doing = "reading the log";
    let file = &segment.file;
    let mut frame = [0; 8];
    if at + frame.len() as u64 > to {
        return Ok(None);
    }
    file.read_exact_at(&mut frame, at - segment.start)
        .map_err(Error::disk(doing))?;
    let stated = match Frame::peek(&frame) {
        Ok(Frame::Record { size, .. }) => Some(size),
        _ => None,
    };
    let all = u32::try_from(to - at).ok();
    let fits = |size: &u32| *size <= LONGEST && at + u64::from(*size) <= to;
    for size in [stated, all].into_iter().flatten().filter(fits) {
        let mut bytes = vec![0; size as usize];
        file.read_exact_at(&mut bytes, at - segment.start)
            .map_err(Error::disk(doing))?;
        bytes[..4].copy_from_slice(&size.to_be_bytes());
        if view(&bytes).is_ok() {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}
