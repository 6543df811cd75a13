//! Several records on their way to the log, behind each other in one buffer.
//!
//! What is slow comes first: encoding, and the checksums of what is large. Once the log's owner
//! knows where the records go, each gets its place where it lies, and the bytes are taken as
//! they are. Only the bodies of large records stay in the buffer they came in.

use std::net::SocketAddr;
use std::ops::Range;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use crc32fast::Hasher;

use super::checksum::{Rest, TAIL_BYTES, crc_of, tail_property};
use super::encode::{Shape, Unplaced, patch, without_checksum};
use super::layout::{CRC_MASK, LOG_OFFSET_AT, QUEUE_OFFSET_AT, stored_at};
use super::{Checksum, RecordError};
use crate::{LogOffset, MessageView, QueueOffset, Timestamp};

/// A record with more bytes keeps its body apart; of all others the body is copied.
const COPIED_BYTES: usize = 16 << 10;

/// Records that have no place yet, or have one and are not taken yet.
#[derive(Debug, Default)]
pub struct Run {
    buffer: BytesMut,
    /// Bytes that are no longer at the front of the buffer.
    taken: usize,
    records: Vec<Outline>,
}

/// A record in a run.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Where it begins, counted from the first byte the run ever had.
    pub start: usize,
    pub size: u32,
    pub head: u8,
    pub stored_at: u8,
    pub checksum: Checksum,
    pub large: Option<Box<Large>>,
}

/// What a record has that is too large to be looked at twice.
#[derive(Debug)]
pub(super) struct Large {
    /// The body, if it is not in the run's buffer.
    pub body: Option<Bytes>,
    pub rest: Rest,
}

/// Bytes of placed records, in the order of the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Whole records.
    Records(Bytes),
    /// A part of a large record.
    Large(Bytes),
}

impl Outline {
    /// Bytes in the run's buffer.
    fn buffered(&self) -> usize {
        self.size as usize - self.apart().map_or(0, Bytes::len)
    }

    fn apart(&self) -> Option<&Bytes> {
        self.large.as_ref().and_then(|large| large.body.as_ref())
    }
}

impl Run {
    /// An empty run with room for so many records of so many bytes in all.
    pub fn with_capacity(records: usize, bytes: usize) -> Self {
        Self {
            buffer: BytesMut::with_capacity(bytes),
            taken: 0,
            records: Vec::with_capacity(records),
        }
    }

    /// Encodes a message as the last record. On what [`Unplaced::encode`] says nothing changes.
    pub fn push(
        &mut self,
        message: &MessageView<'_>,
        store_host: SocketAddr,
        checksum: Checksum,
    ) -> Result<(), RecordError> {
        if let Some(own) = without_checksum(message) {
            return self.push(&own.view(), store_host, checksum);
        }
        let shape = Shape::of(message, store_host, checksum)?;
        if shape.size > COPIED_BYTES {
            self.push_record(Unplaced::encode_view(message, store_host, checksum)?);
            return Ok(());
        }
        let start = self.buffer.len();
        self.buffer.reserve(shape.size);
        shape.put_head(&mut self.buffer, message, store_host, crc_of(message.body));
        self.buffer.put_slice(message.body);
        shape.put_tail(&mut self.buffer, message);
        let mut outline = Outline {
            start: start + self.taken,
            size: shape.size as u32,
            head: shape.head as u8,
            stored_at: stored_at(message.born_host) as u8,
            checksum,
            large: None,
        };
        if Rest::is_long(shape.size - shape.head) {
            let mut crc = Hasher::new();
            crc.update(
                &self.buffer[start + shape.head..start + shape.size - checksum.tail_bytes()],
            );
            let rest = Rest::new(crc);
            outline.large = Some(Box::new(Large { body: None, rest }));
        }
        self.records.push(outline);
        Ok(())
    }

    /// Appends a record that is encoded already.
    pub fn push_record(&mut self, record: Unplaced) {
        let (outline, head_and_tail, body, rest) = record.into_parts();
        let mut outline = Outline {
            start: self.buffer.len() + self.taken,
            ..outline
        };
        let (head, tail) = head_and_tail.split_at(usize::from(outline.head));
        self.buffer.put_slice(head);
        let copied = outline.size as usize <= COPIED_BYTES;
        if copied {
            self.buffer.put_slice(&body);
        }
        self.buffer.put_slice(tail);
        if rest.is_combined() {
            let body = (!copied).then_some(body);
            outline.large = Some(Box::new(Large { body, rest }));
        }
        self.records.push(outline);
    }

    /// Records in it, those that are taken included.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of all records.
    pub fn bytes(&self) -> u64 {
        self.records.iter().map(|one| u64::from(one.size)).sum()
    }

    /// Bytes of a record.
    pub fn size(&self, record: usize) -> u32 {
        self.records[record].size
    }

    /// What guards a record.
    pub fn checksum(&self, record: usize) -> Checksum {
        self.records[record].checksum
    }

    /// The bytes of a record, without the body if that lies apart.
    pub fn buffered(&self, record: usize) -> &[u8] {
        let outline = &self.records[record];
        let start = outline.start - self.taken;
        &self.buffer[start..start + outline.buffered()]
    }

    /// Gives a record its place, after which nothing in it changes any more.
    pub fn place(
        &mut self,
        record: usize,
        queue_offset: QueueOffset,
        log_offset: LogOffset,
        stored: Timestamp,
    ) {
        let outline = &self.records[record];
        let start = outline.start - self.taken;
        let bytes = &mut self.buffer[start..start + outline.buffered()];
        patch(bytes, QUEUE_OFFSET_AT, queue_offset.0);
        patch(bytes, LOG_OFFSET_AT, log_offset.0);
        patch(bytes, usize::from(outline.stored_at), stored.0 as u64);
        if outline.checksum == Checksum::Record {
            let (covered, tail) = bytes.split_at_mut(outline.buffered() - TAIL_BYTES);
            let crc = match &outline.large {
                None => crc_of(covered),
                Some(large) => {
                    let mut crc = Hasher::new();
                    let head = &covered[..usize::from(outline.head)];
                    large.rest.combine_behind(&mut crc, head);
                    crc.finalize() & CRC_MASK
                }
            };
            tail.copy_from_slice(&tail_property(crc));
        }
    }

    /// Continues a CRC over placed records.
    pub(super) fn continue_crc(&self, records: Range<usize>, crc: &mut Hasher) {
        let outlines = &self.records[records];
        // Neighbours in the buffer are read at one go.
        let mut open = 0..0;
        for outline in outlines {
            let start = outline.start - self.taken;
            let end = start + outline.buffered();
            if open.is_empty() {
                open.start = start;
            }
            open.end = end;
            if let Some(large) = &outline.large {
                crc.update(&self.buffer[open.start..start]);
                let head = &self.buffer[start..start + usize::from(outline.head)];
                large.rest.combine_behind(crc, head);
                crc.update(&self.buffer[end - outline.checksum.tail_bytes()..end]);
                open = 0..0;
            }
        }
        crc.update(&self.buffer[open]);
    }

    /// A placed record in one piece, copied.
    pub fn to_bytes(&self, record: usize) -> Bytes {
        let outline = &self.records[record];
        let bytes = self.buffered(record);
        let (head, tail) = bytes.split_at(usize::from(outline.head));
        let body = outline.apart().map_or(&[][..], |body| body);
        [head, body, tail].concat().into()
    }

    /// Puts another record in the place of one. Costs a copy of what lies behind it.
    pub fn replace(&mut self, record: usize, with: Unplaced) {
        let behind = self.records.split_off(record + 1);
        let Some(old) = self.records.pop() else {
            return;
        };
        let mut rest = self.buffer.split_off(old.start - self.taken);
        rest.advance(old.buffered());
        self.push_record(with);
        let end = self.buffer.len() + self.taken;
        self.buffer.unsplit(rest);
        let moved = old.start + old.buffered();
        self.records
            .extend(behind.into_iter().map(|outline| Outline {
                start: outline.start - moved + end,
                ..outline
            }));
    }

    /// Takes the bytes of these records out; those in front of them are left out.
    pub fn take(&mut self, records: Range<usize>, mut each: impl FnMut(Piece)) {
        let outlines = &self.records[records];
        let (Some(first), Some(last)) = (outlines.first(), outlines.last()) else {
            return;
        };
        self.buffer.advance(first.start - self.taken);
        self.taken = first.start;
        let end = last.start + last.buffered();
        let taken = &mut self.taken;
        let buffer = &mut self.buffer;
        let mut up_to = |until: usize| {
            let bytes = buffer.split_to(until - *taken);
            *taken = until;
            bytes.freeze()
        };
        let records = |bytes: Bytes, each: &mut dyn FnMut(Piece)| {
            if !bytes.is_empty() {
                each(Piece::Records(bytes));
            }
        };
        for outline in outlines {
            if let Some(body) = outline.apart() {
                records(up_to(outline.start), &mut each);
                each(Piece::Large(up_to(
                    outline.start + usize::from(outline.head),
                )));
                each(Piece::Large(body.clone()));
                each(Piece::Large(up_to(outline.start + outline.buffered())));
            }
        }
        records(up_to(end), &mut each);
    }
}

impl FromIterator<Unplaced> for Run {
    fn from_iter<I: IntoIterator<Item = Unplaced>>(records: I) -> Self {
        let mut run = Self::default();
        records
            .into_iter()
            .for_each(|record| run.push_record(record));
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::{CRC, KEYS};
    use crate::{Message, Topic};

    const PLACE: (QueueOffset, Timestamp) = (QueueOffset(7), Timestamp(5));

    fn host() -> SocketAddr {
        "127.0.0.1:10911".parse().expect("an address")
    }

    /// Bodies that are read again, that are folded in, and that stay apart.
    fn messages() -> Vec<Message> {
        [0, 100, 3_000, COPIED_BYTES, 40, 70_000, 1]
            .map(|bytes| {
                let mut message = Message::new(Topic::known("T"), 3, vec![bytes as u8; bytes]);
                message.properties.set(KEYS, bytes);
                message
            })
            .into()
    }

    /// The messages in a run, and as records of their own; all placed.
    fn placed(messages: &[Message], checksum: Checksum) -> (Run, Vec<Bytes>) {
        let mut run = Run::default();
        let mut alone = Vec::new();
        let mut at = LogOffset(1_000);
        for (number, message) in messages.iter().enumerate() {
            run.push(&message.view(), host(), checksum)
                .expect("it fits");
            let record = Unplaced::encode(message, host(), checksum).expect("it fits");
            run.place(number, PLACE.0, at, PLACE.1);
            alone.push(record.place(PLACE.0, at, PLACE.1).to_bytes());
            at = at.plus(run.size(number).into());
        }
        (run, alone)
    }

    fn taken(run: &mut Run, records: Range<usize>) -> Vec<u8> {
        let mut bytes = Vec::new();
        run.take(records, |piece| match piece {
            Piece::Records(part) | Piece::Large(part) => bytes.extend_from_slice(&part),
        });
        bytes
    }

    #[test]
    fn records_in_a_run_are_as_they_would_be_alone() {
        for checksum in [Checksum::Record, Checksum::Body] {
            let (mut run, alone) = placed(&messages(), checksum);
            for (number, record) in alone.iter().enumerate() {
                assert_eq!(run.to_bytes(number), record, "record {number}");
                super::super::check(record, checksum).expect("a record");
            }
            let mut crc = Hasher::new();
            run.continue_crc(1..6, &mut crc);
            assert_eq!(crc.finalize(), crc32fast::hash(&alone[1..6].concat()));
            assert_eq!(run.bytes(), alone.concat().len() as u64);
            assert_eq!(taken(&mut run, 0..alone.len()), alone.concat());
        }
    }

    #[test]
    fn records_are_taken_bit_by_bit_and_some_are_left_out() {
        let (mut run, alone) = placed(&messages(), Checksum::Record);
        assert_eq!(taken(&mut run, 0..2), alone[0..2].concat());
        assert_eq!(taken(&mut run, 2..2), b"");
        assert_eq!(taken(&mut run, 3..5), alone[3..5].concat());
        assert_eq!(taken(&mut run, 5..7), alone[5..7].concat());
    }

    #[test]
    fn a_large_body_is_not_copied() {
        let message = Message::new(Topic::known("T"), 0, vec![1; 70_000]);
        let (mut run, _) = placed(std::slice::from_ref(&message), Checksum::Record);
        let mut found = Vec::new();
        run.take(0..1, |piece| {
            if let Piece::Large(part) = piece {
                found.push(part.as_ptr());
            }
        });
        assert!(found.contains(&message.body.as_ptr()));
    }

    #[test]
    fn a_record_is_replaced_by_one_of_another_length() {
        for number in 0..messages().len() {
            let mut messages = messages();
            let mut run = Run::default();
            for message in &messages {
                run.push(&message.view(), host(), Checksum::Record)
                    .expect("it fits");
            }
            messages[number].properties.set("more", "of it");
            let with = Unplaced::encode(&messages[number], host(), Checksum::Record);
            run.replace(number, with.expect("it fits"));
            let (_, alone) = placed(&messages, Checksum::Record);
            let mut at = LogOffset(1_000);
            for record in 0..messages.len() {
                run.place(record, PLACE.0, at, PLACE.1);
                at = at.plus(run.size(record).into());
            }
            assert_eq!(
                taken(&mut run, 0..messages.len()),
                alone.concat(),
                "{number}"
            );
        }
    }

    #[test]
    fn added_properties_stand_behind_the_given_ones_and_a_foreign_checksum_is_left_out() {
        let mut given = Message::new(Topic::known("T"), 0, "body");
        for (text, added) in [
            ("a\x01b", "c\x01d\x02"),
            ("a\x01b\x02", "c\x01d"),
            ("", "c\x01d"),
        ] {
            let mut view = given.view();
            view.properties = [text, added];
            let mut whole = given.clone();
            whole.properties = text.into();
            whole.properties.append_text(&added.into());
            let (_, alone) = placed(&[whole], Checksum::Record);
            let mut run = Run::default();
            run.push(&view, host(), Checksum::Record).expect("it fits");
            run.place(0, PLACE.0, LogOffset(1_000), PLACE.1);
            assert_eq!(run.to_bytes(0), alone[0]);
        }
        given.properties = format!("{CRC}\x010780607090\x02a\x01b\x02").as_str().into();
        let (run, alone) = placed(&[given], Checksum::Record);
        assert_eq!(run.to_bytes(0), alone[0]);
        assert_eq!(memchr::memmem::find_iter(&alone[0], CRC).count(), 1);
    }
}
