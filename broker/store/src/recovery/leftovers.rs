//! What lies behind the log's end: what this log wrote there and lost, and what was there before.
//!
//! A recycled segment is full of old records. They are sound by their checksums, but name other
//! places, so no start takes them for records of this log, and they may stay. What this log wrote
//! names the place where it lies: unless that is taken away, a later start could find it again
//! behind an end that has moved up to it.

use super::scan::{FRAME, HEAD, Window, last_written, stated_offset};
use crate::Error;
use crate::segment::Segment;
use model::record::Frame;

/// One more than the position of the last byte of the range that this log may have written.
///
/// That is the end of the last thing that looks like a record of this place, if something older
/// lies behind it; otherwise it is the last byte that is not zero. What is older in front of it
/// goes with it, and shows nothing of the rest any more.
pub(crate) fn last_own(segment: &Segment, from: u64, until: u64) -> Result<Option<u64>, Error> {
    let Some(written) = last_written(segment, from, until)? else {
        return Ok(None);
    };
    let mut window = Window::new(segment);
    let (mut own, mut old) = (None, false);
    let mut at = from.max(segment.start);
    while let Some(place) = window.next_magic(at, written)? {
        let left = segment.end() - place;
        let head = window.bytes(place, left.min(HEAD as u64) as u32)?;
        match (stated_offset(head), Frame::peek(head)) {
            (Some(stated), Ok(Frame::Record { size, .. })) if stated == place => {
                own = Some((place + u64::from(size)).min(written));
                old = false;
            }
            (Some(stated), _) => {
                old |= stated < segment.start && own.is_none_or(|own| place >= own)
            }
            (None, _) => {}
        }
        at = place + 1;
    }
    Ok(if old { own } else { Some(written) })
}

/// True unless the next writer finds zeros at `at`, or the segment's end.
pub(super) fn is_open(segment: &Segment, at: u64) -> Result<bool, Error> {
    let word = FRAME.min(segment.end() - at);
    let mut window = Window::new(segment);
    let bytes = window.bytes(at, word as u32)?;
    Ok(bytes.iter().any(|byte| *byte != 0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::record::Unplaced;
    use model::{Checksum, LogOffset, Message, QueueOffset, Timestamp, Topic};
    use runtime::{Open, Rng, SimDisk};

    use super::*;

    const START: u64 = 1 << 20;

    fn record(at: u64, body: &str) -> Vec<u8> {
        let message = Message::new(
            Topic::parse("t").expect("a topic"),
            0,
            body.as_bytes().to_vec(),
        );
        let host = "127.0.0.1:1".parse().expect("an address");
        let unplaced = Unplaced::encode(&message, host, Checksum::Record).expect("small");
        let placed = unplaced.place(QueueOffset(0), LogOffset(at), Timestamp(0));
        placed.to_bytes().to_vec()
    }

    fn segment(content: &[u8]) -> Segment {
        let disk = SimDisk::new(Rng::seeded(1)).mount();
        let file = disk.open("/s".as_ref(), Open::Create).expect("it opens");
        file.set_len(64 << 10).expect("it grows");
        file.write_all_at(content, 0).expect("it is written");
        Segment {
            start: START,
            len: 64 << 10,
            file: Arc::clone(&file),
            path: "/s".into(),
            recycled: false,
        }
    }

    #[test]
    fn in_a_fresh_file_everything_is_ours() {
        let segment = segment(b"torn");
        assert_eq!(
            last_own(&segment, START, u64::MAX).ok(),
            Some(Some(START + 4))
        );
        assert_eq!(last_own(&segment, START + 4, u64::MAX).ok(), Some(None));
    }

    #[test]
    fn old_records_are_not_ours_and_those_of_this_place_are() {
        let mut content = vec![0; 8];
        let ours = content.len() as u64 + 2 * record(0, "old").len() as u64;
        content.extend(record(8, "old"));
        content.extend(record(100, "old"));
        let old = segment(&content);
        assert_eq!(last_own(&old, START, u64::MAX).ok(), Some(None));
        content.extend(record(START + ours, "lost"));
        let end = START + content.len() as u64;
        content.extend(record(200, "old"));
        let mixed = segment(&content);
        assert_eq!(last_own(&mixed, START, u64::MAX).ok(), Some(Some(end)));
        assert_eq!(last_own(&mixed, START, START + ours).ok(), Some(None));
    }

    #[test]
    fn what_nothing_behind_ours_shows_to_be_old_is_ours() {
        let mut content = vec![0; 8];
        content.extend(record(8, "old"));
        let ours = START + content.len() as u64;
        content.extend(record(ours, "lost"));
        content.extend(b"a rest");
        let end = START + content.len() as u64;
        let segment = segment(&content);
        assert_eq!(last_own(&segment, START, u64::MAX).ok(), Some(Some(end)));
    }

    #[test]
    fn only_zeros_end_a_log() {
        let segment = segment(&[0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(is_open(&segment, START).ok(), Some(false));
        assert_eq!(is_open(&segment, START + 1).ok(), Some(true));
        assert_eq!(is_open(&segment, START + (64 << 10)).ok(), Some(false));
    }
}
