//! The record that queues point at where their message is lost.
//!
//! It is a batch of no messages: readers open it and find nothing, so a consumer goes past the
//! place. It carries the rolled-back flag besides, so no queue and no index shows the record
//! itself, and lies behind the log, where every queue may point at it.

use bytes::Bytes;
use model::record::{Unplaced, write_blank};
use model::{Checksum, LogOffset, Message, QueueOffset, SysFlag, Timestamp, Topic};

use crate::Error;
use crate::losses::LOST;

/// Nothing, in zlib's form: a body that has bytes until it is opened.
const NOTHING: [u8; 8] = [0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01];
/// Bytes that must be left behind a record for the filler that ends a segment.
const BLANK: u64 = 8;

pub(super) struct Placeholder {
    pub at: u64,
    pub stored: i64,
    pub bytes: Vec<u8>,
}

impl Placeholder {
    /// The record as it lies in a log that ends at `end`, or at the beginning of the next
    /// segment where there is no room.
    pub(super) fn behind(end: u64, segment_bytes: u64, stored: i64) -> Result<Self, Error> {
        let mut message = Message::new(
            Topic::stored(LOST).expect("our own name keeps the rule"),
            0,
            Bytes::from_static(&NOTHING),
        );
        message.sys_flag = SysFlag(
            SysFlag::TRANSACTION_ROLLED_BACK
                | SysFlag::COMPRESSED
                | SysFlag::NEED_UNWRAP
                | SysFlag::INNER_BATCH,
        );
        message.born = Timestamp(stored);
        let record = Unplaced::encode(&message, message.born_host, Checksum::Body)?;
        let left = segment_bytes - end % segment_bytes;
        let at = match left < record.len() as u64 + BLANK {
            true => end + left,
            false => end,
        };
        let place = (QueueOffset(0), LogOffset(at), Timestamp(stored));
        let bytes = record.place(place.0, place.1, place.2).to_bytes().to_vec();
        Ok(Self { at, stored, bytes })
    }

    /// Where it lies, and how long it is.
    pub(super) fn place(&self) -> (u64, u32) {
        (self.at, self.bytes.len() as u32)
    }

    /// What fills the segment in front of it.
    pub(super) fn blank(&self, end: u64) -> Option<[u8; BLANK as usize]> {
        let left = u32::try_from(self.at - end).ok();
        left.filter(|left| *left > 0).map(write_blank)
    }
}
