//! Writes records that stand for lost ones.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use model::record::{Unplaced, write_blank};
use model::{Checksum, LogOffset, Message, QueueOffset, SysFlag, Timestamp, Topic};
use runtime::{Disk, Open};

use super::{HIDDEN, LOST, Loss, SHORT, Told, encode};
use crate::Error;
use crate::layout::Layout;
use crate::queue_index::QueueIndex;
use crate::segment::{END, Segment, file_name};
use crate::segments::UNREADY;

/// Losses in one record.
const TOGETHER: usize = 64;
/// Bytes that must be left behind a record for the filler that ends a segment.
const BLANK: u64 = 8;
/// Bytes of one filler; a longer stretch gets several.
const FILLER: usize = 1 << 20;
/// Bytes that are too few for a filler of their own.
const REST: usize = 256;

/// Appends records that tell this, the stretches last, and makes them durable. Returns where
/// the log ends then. Losses are known to an index only after [`note`].
pub(crate) fn append(
    disk: &dyn Disk,
    layout: &Layout,
    segments: &mut Vec<Arc<Segment>>,
    end: u64,
    told: &Told,
    stored: i64,
) -> Result<u64, Error> {
    let doing = "telling of what was lost";
    leave_room(segments, end)?;
    let mut at = end;
    for told in told.in_parts() {
        let unplaced = unplaced(LOST, encode(&told), Checksum::Record, stored)?;
        let length = unplaced.len() as u64;
        at = make_room(disk, layout, segments, at, length).map_err(Error::disk(doing))?;
        let place = (QueueOffset(0), LogOffset(at), Timestamp(stored));
        let mut record = unplaced
            .place(place.0, place.1, place.2)
            .to_bytes()
            .to_vec();
        record.extend_from_slice(&END);
        let holding = segments.iter().find(|segment| segment.end() > at);
        let segment = holding.expect("room was made in a segment");
        let file = &segment.file;
        file.write_all_at(&record, at - segment.start)
            .and_then(|()| file.fdatasync())
            .map_err(Error::disk(doing))?;
        at += length;
    }
    Ok(at)
}

impl Told {
    /// As much as goes into one record, and so on.
    fn in_parts(&self) -> impl Iterator<Item = Told> {
        let losses = self.losses.chunks(TOGETHER).map(|losses| Told {
            losses: losses.to_vec(),
            ..Told::default()
        });
        let stretches = self.stretches.chunks(TOGETHER).map(|stretches| Told {
            stretches: stretches.to_vec(),
            ..Told::default()
        });
        losses.chain(stretches)
    }
}

/// Leaves the places empty in the index as a record at `at` would.
pub(crate) fn note(index: &QueueIndex, losses: &[Loss], at: u64, stored: i64) {
    for loss in losses {
        index.skip(&loss.queue, loss.to, at, stored);
    }
}

/// Where a record of `length` bytes may begin at or behind `at`.
fn make_room(
    disk: &dyn Disk,
    layout: &Layout,
    segments: &mut Vec<Arc<Segment>>,
    at: u64,
    length: u64,
) -> std::io::Result<u64> {
    let place = segments.iter().position(|segment| segment.end() > at);
    if let Some(place) = place
        && segments[place].end() - at >= length + BLANK
    {
        return Ok(at);
    }
    let full = match place {
        Some(place) => segments[place].clone(),
        None => segments
            .last()
            .cloned()
            .ok_or(std::io::ErrorKind::NotFound)?,
    };
    if segments.last().is_some_and(|last| last.start == full.start) {
        let bytes = largest(segments).max(length + BLANK);
        segments.push(Arc::new(make_segment(
            disk,
            &layout.log,
            full.end(),
            bytes,
        )?));
    }
    let left = full.end() - at;
    if left > 0 {
        full.file
            .write_all_at(&write_blank(left as u32), at - full.start)?;
        full.file.fdatasync()?;
    }
    Ok(full.end())
}

/// Sees to it that a filler fits behind the log's end: where less is left of the last segment,
/// which somebody has cut, that is made longer.
pub(crate) fn leave_room(segments: &mut [Arc<Segment>], end: u64) -> Result<(), Error> {
    let largest = largest(segments);
    let Some(last) = segments.last_mut() else {
        return Ok(());
    };
    let used = end.saturating_sub(last.start);
    if used >= last.len || used + BLANK <= last.len {
        return Ok(());
    }
    let longer = Segment {
        start: last.start,
        len: largest.max(used + BLANK),
        file: last.file.clone(),
        path: last.path.clone(),
        recycled: last.recycled,
    };
    let grown = longer.file.set_len(longer.len);
    grown
        .and_then(|()| longer.file.fdatasync())
        .map_err(Error::disk("making the last segment longer"))?;
    *last = Arc::new(longer);
    Ok(())
}

fn largest(segments: &[Arc<Segment>]) -> u64 {
    let lengths = segments.iter().map(|segment| segment.len);
    lengths.max().unwrap_or_default()
}

fn make_segment(
    disk: &dyn Disk,
    directory: &Path,
    start: u64,
    len: u64,
) -> std::io::Result<Segment> {
    let path = directory.join(file_name(start));
    let unready = directory.join(file_name(start) + UNREADY);
    let file = disk.open(&unready, Open::Create)?;
    file.set_len(0)?;
    file.allocate(len)?;
    file.fdatasync()?;
    disk.rename(&unready, &path)?;
    disk.fsync_dir(directory)?;
    Ok(Segment {
        start,
        len,
        file,
        path,
        recycled: false,
    })
}

/// Records of exactly `length` bytes for `at`, which no queue and no index shows. `None` if
/// so few bytes have no room for one.
pub(crate) fn filler(
    at: u64,
    length: usize,
    required: Checksum,
    stored: i64,
) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let left = length - bytes.len();
        let size = if left > FILLER + REST { FILLER } else { left };
        let Some(record) = one_filler(size, required, stored)? else {
            return Ok(None);
        };
        let place = (
            QueueOffset(0),
            LogOffset(at + bytes.len() as u64),
            Timestamp(stored),
        );
        bytes.extend_from_slice(&record.place(place.0, place.1, place.2).to_bytes());
    }
    Ok(Some(bytes))
}

/// The topic and the second checksum are left out where there is no room for them.
fn one_filler(size: usize, required: Checksum, stored: i64) -> Result<Option<Unplaced>, Error> {
    let forms = [
        (LOST, Checksum::Record),
        (SHORT, Checksum::Record),
        (SHORT, required),
    ];
    for (topic, checksum) in forms {
        let head = unplaced(topic, Vec::new(), checksum, stored)?.len();
        if let Some(body) = size.checked_sub(head) {
            return unplaced(topic, vec![0; body], checksum, stored).map(Some);
        }
    }
    Ok(None)
}

fn unplaced(
    topic: &str,
    body: Vec<u8>,
    checksum: Checksum,
    stored: i64,
) -> Result<Unplaced, Error> {
    let topic = Topic::stored(topic).expect("our own name keeps the rule");
    let mut message = Message::new(topic, 0, Bytes::from(body));
    message.sys_flag = SysFlag(HIDDEN);
    message.born = Timestamp(stored);
    Ok(Unplaced::encode(&message, message.born_host, checksum)?)
}

#[cfg(test)]
mod tests {
    use model::record::check;

    use super::*;

    fn valid(at: u64, bytes: &[u8], required: Checksum) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let place = at + (bytes.len() - rest.len()) as u64;
            let record = check(rest, required).expect("a record");
            assert_eq!(record.log_offset.0, place);
            rest = &rest[record.bytes.len()..];
        }
    }

    #[test]
    fn a_filler_has_any_length_a_record_may_have() {
        for (required, least) in [(Checksum::Body, 92), (Checksum::Record, 112)] {
            assert_eq!(
                filler(5, least - 1, required, 7).expect("it is encoded"),
                None
            );
            let lengths = (least..500).chain([FILLER + REST, FILLER + REST + 1, 3 * FILLER + 7]);
            for length in lengths {
                let bytes = filler(5, length, required, 7).expect("it is encoded");
                let bytes = bytes.expect("there is room");
                assert_eq!(bytes.len(), length);
                valid(5, &bytes, required);
            }
        }
    }
}
