//! Keeps several records together: after a crash all of them are there or none.
//!
//! A group is a record of the internal topic [`crate::system_topics::GROUP`] and the members
//! right behind it. Its body names their number, their bytes and their CRC:
//! ```text
//! format 4 (1) | members 4 | bytes 8 | crc 4
//! ```

use std::net::SocketAddr;
use std::ops::Range;

use bytes::{BufMut, BytesMut};
use crc32fast::Hasher;

use super::encode::Unplaced;
use super::run::Run;
use super::view::{RecordView, view};
use super::{Checksum, RecordError};
use crate::{LogOffset, Message, QueueOffset, Timestamp, Topic, system_topics};

const FORMAT: u32 = 1;
const BODY_BYTES: usize = 20;

/// What a group record says about the records behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    pub members: u32,
    /// Bytes of all members, which begin right behind the group record.
    pub bytes: u64,
    pub crc: u32,
}

/// Makes the group record for members that are about to be written.
///
/// Its size is known before them and its content only after them, hence two steps:
/// place the members behind [`GroupSeal::len`] bytes, then [`GroupSeal::seal`] them.
#[derive(Clone, Debug)]
pub struct GroupSeal {
    store_host: SocketAddr,
    checksum: Checksum,
    len: usize,
}

impl GroupSeal {
    pub fn new(store_host: SocketAddr, checksum: Checksum) -> Self {
        let mut seal = Self {
            store_host,
            checksum,
            len: 0,
        };
        let nobody = GroupRecord {
            members: 0,
            bytes: 0,
            crc: 0,
        };
        seal.len = seal.record(nobody, Timestamp::default()).len();
        seal
    }

    /// Bytes of every group record made here.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never true: a group record is a record.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The group record to be written at `log_offset`, in front of exactly these members.
    pub fn seal(
        &self,
        run: &Run,
        members: Range<usize>,
        queue_offset: QueueOffset,
        log_offset: LogOffset,
        stored: Timestamp,
    ) -> Run {
        let mut crc = Hasher::new();
        run.continue_crc(members.clone(), &mut crc);
        let sizes = members.clone().map(|member| u64::from(run.size(member)));
        let group = GroupRecord {
            members: members.len() as u32,
            bytes: sizes.sum(),
            crc: crc.finalize(),
        };
        let mut seal = Run::from_iter([self.record(group, stored)]);
        seal.place(0, queue_offset, log_offset, stored);
        seal
    }

    fn record(&self, group: GroupRecord, born: Timestamp) -> Unplaced {
        let mut body = BytesMut::with_capacity(BODY_BYTES);
        body.put_u32(FORMAT);
        body.put_u32(group.members);
        body.put_u64(group.bytes);
        body.put_u32(group.crc);
        let mut message = Message::new(Topic::known(system_topics::GROUP), 0, body.freeze());
        message.born = born;
        message.born_host = self.store_host;
        Unplaced::encode(&message, self.store_host, self.checksum)
            .expect("a group record is far below every limit")
    }
}

impl GroupRecord {
    /// What this record says about its group; `None` when it is not a group record.
    pub fn of(record: &RecordView<'_>) -> Result<Option<Self>, RecordError> {
        if record.topic != system_topics::GROUP {
            return Ok(None);
        }
        let body: &[u8; BODY_BYTES] = record
            .body
            .try_into()
            .map_err(|_| damaged("it does not have 20 bytes"))?;
        let word =
            |at: usize| u32::from_be_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
        if word(0) != FORMAT {
            return Err(damaged("its format is unknown"));
        }
        Ok(Some(Self {
            members: word(4),
            bytes: u64::from(word(8)) << 32 | u64::from(word(12)),
            crc: word(16),
        }))
    }

    /// True if `behind`, the bytes behind the group record, begin with the whole group.
    ///
    /// The members' own checksums need not be looked at any more then.
    pub fn is_whole(&self, behind: &[u8]) -> bool {
        let members = usize::try_from(self.bytes)
            .ok()
            .and_then(|bytes| behind.get(..bytes));
        members.is_some_and(|members| {
            crc32fast::hash(members) == self.crc && count(members) == Some(self.members)
        })
    }
}

/// Records that fill `bytes` exactly.
fn count(mut bytes: &[u8]) -> Option<u32> {
    let mut records = 0;
    while !bytes.is_empty() {
        bytes = &bytes[view(bytes).ok()?.bytes.len()..];
        records += 1;
    }
    Some(records)
}

fn damaged(why: &'static str) -> RecordError {
    RecordError::Group { why }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn host() -> SocketAddr {
        "127.0.0.1:10911".parse().expect("an address")
    }

    fn members(checksum: Checksum, first: LogOffset) -> Run {
        let mut at = first;
        let mut members = Run::default();
        for number in 0..3u8 {
            let body = Bytes::from(vec![number; 40 * usize::from(number)]);
            let message = Message::new(Topic::known("T"), 0, body);
            let record = Unplaced::encode(&message, host(), checksum).expect("a small message");
            members.push_record(record);
            let last = usize::from(number);
            members.place(last, QueueOffset(number.into()), at, Timestamp(5));
            at = at.plus(members.size(last).into());
        }
        members
    }

    fn log(checksum: Checksum) -> Vec<u8> {
        let seal = GroupSeal::new(host(), checksum);
        let start = LogOffset(1000);
        let members = members(checksum, start.plus(seal.len() as u64));
        let group = seal.seal(&members, 0..3, QueueOffset(0), start, Timestamp(5));
        assert_eq!(group.size(0) as usize, seal.len());
        let members = (0..3).map(|member| members.to_bytes(member));
        let all: Vec<Bytes> = [group.to_bytes(0)].into_iter().chain(members).collect();
        all.concat()
    }

    #[test]
    fn a_whole_group_is_recognised() {
        for checksum in [Checksum::Record, Checksum::Body] {
            let log = log(checksum);
            let record = super::super::check(&log, checksum).expect("a group record");
            let group = GroupRecord::of(&record)
                .expect("its body")
                .expect("a group");
            assert_eq!(group.members, 3);
            let behind = &log[record.bytes.len()..];
            assert_eq!(group.bytes, behind.len() as u64);
            assert!(group.is_whole(behind));
            assert!(group.is_whole(&[behind, b"more"].concat()));
        }
    }

    #[test]
    fn a_torn_or_changed_group_is_not_whole() {
        let log = log(Checksum::Body);
        let record = super::super::check(&log, Checksum::Body).expect("a group record");
        let group = GroupRecord::of(&record)
            .expect("its body")
            .expect("a group");
        let behind = &log[record.bytes.len()..];
        for cut in 0..behind.len() {
            assert!(!group.is_whole(&behind[..cut]), "cut after {cut} bytes");
        }
        for at in 0..behind.len() {
            let mut changed = behind.to_vec();
            changed[at] ^= 1;
            assert!(!group.is_whole(&changed), "changed at {at}");
        }
    }

    #[test]
    fn other_records_are_not_groups_and_damaged_bodies_are_errors() {
        let other = members(Checksum::Record, LogOffset(0)).to_bytes(0);
        let other = view(&other).expect("a record");
        assert_eq!(GroupRecord::of(&other), Ok(None));
        for body in [&b"short"[..], &[0; 20], &[9; 21]] {
            let record = RecordView {
                topic: system_topics::GROUP,
                body,
                ..other
            };
            assert!(GroupRecord::of(&record).is_err());
        }
    }
}
