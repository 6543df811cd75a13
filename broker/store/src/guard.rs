//! From where on every record carries a checksum of all of itself.
//!
//! In a torn record the checksum itself may be what is missing, and the one of the body says
//! nothing about the properties. So what was written by us is believed only with it, and only
//! what RocketMQ wrote before us is believed without.

use model::properties::CRC;
use model::record::{RecordView, Run, check};
use model::{Checksum, LogOffset, RecordError};

/// Bytes of the property that holds the checksum, at the end of a record: its name, 1, ten
/// digits with the least significant first, 2.
const PROPERTY_BYTES: usize = CRC.len() + 12;
/// Bits that may be wrong in the name of the property and the bytes around its digits.
const WRONG_BITS: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guard {
    /// Records before this one may lack it.
    pub from: LogOffset,
}

impl Default for Guard {
    /// Asks no record for it.
    fn default() -> Self {
        Self {
            from: LogOffset(u64::MAX),
        }
    }
}

impl Guard {
    /// What a record that lies at `at` must carry.
    pub(crate) fn required(self, at: u64) -> Checksum {
        if at >= self.from.0 {
            Checksum::Record
        } else {
            Checksum::Body
        }
    }

    /// Reads the record at the start of `bytes`, which lie at `at`, and believes it only with the
    /// checksum it must carry. One that has carried it, and has lost its name, is not believed
    /// by its body either.
    #[inline]
    pub(crate) fn check(self, bytes: &[u8], at: u64) -> Result<RecordView<'_>, RecordError> {
        let record = check(bytes, self.required(at))?;
        match record.record_crc.is_none() && has_lost_its_name(record.bytes) {
            true => Err(RecordError::Unguarded),
            false => Ok(record),
        }
    }

    /// Refuses a new record that would not be believed when it is read again.
    pub(crate) fn admit(self, run: &Run, record: usize, at: u64) -> Result<(), RecordError> {
        if run.checksum(record) == Checksum::Record {
            return Ok(());
        }
        let bytes = run.buffered(record);
        let property = bytes.len().checked_sub(PROPERTY_BYTES);
        let misread = property.and_then(|from| wrong_bits(&bytes[from..]));
        match self.required(at) {
            Checksum::Record => Err(RecordError::Unguarded),
            Checksum::Body if misread.is_some() => Err(RecordError::Unguarded),
            Checksum::Body => Ok(()),
        }
    }
}

/// In how many bits a property of the right length differs from one that holds a checksum, its
/// digits aside; `None` if these are too many for it to have been one.
fn wrong_bits(property: &[u8]) -> Option<u32> {
    let mut whole = [2; PROPERTY_BYTES];
    whole[..CRC.len()].copy_from_slice(CRC.as_bytes());
    whole[CRC.len()] = 1;
    let fixed = (0..=CRC.len()).chain([PROPERTY_BYTES - 1]);
    let wrong = fixed
        .map(|at| (property[at] ^ whole[at]).count_ones())
        .sum();
    (wrong <= WRONG_BITS).then_some(wrong)
}

/// True if the record ends with what was the property that holds its checksum: all of that but
/// its digits, or nearly, and then digits that are right. No other property has them.
fn has_lost_its_name(record: &[u8]) -> bool {
    let Some(from) = record.len().checked_sub(PROPERTY_BYTES) else {
        return false;
    };
    let (covered, property) = record.split_at(from);
    match wrong_bits(property) {
        None => false,
        Some(0) => true,
        Some(_) => {
            let digits = &property[CRC.len() + 1..PROPERTY_BYTES - 1];
            let stated = digits.iter().rev().try_fold(0u64, |crc, digit| {
                let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
                Some(crc * 10 + digit)
            });
            let found = crc32fast::hash(covered) & 0x7FFF_FFFF;
            stated == Some(u64::from(found))
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use model::record::Unplaced;
    use model::{Message, QueueOffset, Timestamp, Topic};

    use super::*;

    fn run(checksum: Checksum, properties: &[(&str, &str)]) -> Run {
        let mut message = Message::new(Topic::parse("t").expect("a topic"), 0, "body");
        for (name, value) in properties {
            message.properties.set(name, value);
        }
        let host = "127.0.0.1:1".parse().expect("an address");
        let record = Unplaced::encode(&message, host, checksum);
        let mut run = Run::from_iter([record.expect("a small message")]);
        run.place(0, QueueOffset(0), LogOffset(7), Timestamp(0));
        run
    }

    fn bytes(checksum: Checksum, properties: &[(&str, &str)]) -> Bytes {
        run(checksum, properties).to_bytes(0)
    }

    #[test]
    fn no_flipped_bit_makes_a_record_believed_without_its_checksum() {
        let record = bytes(Checksum::Record, &[("a", "b")]);
        let guard = Guard::default();
        assert!(guard.check(&record, 7).is_ok());
        for bit in 0..record.len() * 8 {
            let mut damaged = record.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(guard.check(&damaged, 7).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_property_that_only_looks_like_the_checksum_is_none() {
        for name in ["__CRC32!", "CRC-32##", "a"] {
            let record = bytes(Checksum::Body, &[(name, "0780607090")]);
            assert!(Guard::default().check(&record, 7).is_ok(), "{name}");
        }
        // It would be one bit away from being taken for a checksum.
        let close = run(Checksum::Body, &[("__CRC32!", "0780607090")]);
        assert_eq!(
            Guard::default().admit(&close, 0, 7),
            Err(RecordError::Unguarded)
        );
    }

    #[test]
    fn a_new_record_without_the_checksum_is_refused() {
        let guard = Guard {
            from: LogOffset(100),
        };
        let with = run(Checksum::Record, &[]);
        let without = run(Checksum::Body, &[]);
        assert_eq!(guard.admit(&with, 0, 100), Ok(()));
        assert_eq!(guard.admit(&without, 0, 100), Err(RecordError::Unguarded));
        assert_eq!(guard.admit(&without, 0, 99), Ok(()));
    }
}
