//! The checksum of a whole record, kept as its last property.
//!
//! RocketMQ's body checksum covers the body alone: a torn property or a flipped queue offset
//! would pass. The tail property covers every byte in front of it. Since CRC is linear, all of
//! it except the head is computed before the record knows its place.

use crc32fast::Hasher;

use super::layout::CRC_MASK;
use crate::properties::{CRC, NAME_END, VALUE_END};

const DIGITS: usize = 10;
/// Bytes of the tail property: name, 0x01, ten digits, 0x02.
pub(super) const TAIL_BYTES: usize = CRC.len() + 1 + DIGITS + 1;

/// Up to here it takes less time to read the bytes once more than to fold their checksum in.
const READ_AGAIN_BYTES: u64 = 2_048;

/// What guards a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// A checksum of the body and one of the whole record.
    #[default]
    Record,
    /// A checksum of the body alone: RocketMQ's plain form.
    Body,
}

impl Checksum {
    pub(super) fn tail_bytes(self) -> usize {
        match self {
            Self::Record => TAIL_BYTES,
            Self::Body => 0,
        }
    }
}

/// The checksum as RocketMQ stores it, in 31 bits; 0 for no bytes.
pub(super) fn crc_of(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes) & CRC_MASK
}

/// The CRC of what follows the head, ready to be folded behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest(Hasher);

impl Rest {
    pub(super) fn new(body_and_tail: Hasher) -> Self {
        Self(body_and_tail)
    }

    /// Whether so many bytes behind a head are not read again.
    pub(super) fn is_long(bytes: usize) -> bool {
        bytes as u64 > READ_AGAIN_BYTES
    }

    pub(super) fn is_combined(&self) -> bool {
        self.0.total_len() > READ_AGAIN_BYTES
    }

    /// Continues `crc` over the head and all that this stands for: the bytes of `rest`.
    pub(super) fn behind(&self, crc: &mut Hasher, head: &[u8], rest: [&[u8]; 2]) {
        if self.is_combined() {
            self.combine_behind(crc, head);
        } else {
            crc.update(head);
            rest.iter().for_each(|part| crc.update(part));
        }
    }

    /// The same without looking at those bytes.
    pub(super) fn combine_behind(&self, crc: &mut Hasher, head: &[u8]) {
        crc.update(head);
        crc.combine(&self.0);
    }
}

/// The tail property for a checksum: its digits stand least significant first.
pub(super) fn tail_property(crc: u32) -> [u8; TAIL_BYTES] {
    let mut property = [VALUE_END; TAIL_BYTES];
    property[..CRC.len()].copy_from_slice(CRC.as_bytes());
    property[CRC.len()] = NAME_END;
    let mut rest = crc & CRC_MASK;
    for digit in &mut property[CRC.len() + 1..CRC.len() + 1 + DIGITS] {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    property
}

/// Splits a record's properties into those of the message and the checksum behind them.
pub(super) fn split_tail(properties: &[u8]) -> (&[u8], Option<u32>) {
    let Some(at) = properties.len().checked_sub(TAIL_BYTES) else {
        return (properties, None);
    };
    let (front, tail) = properties.split_at(at);
    match stated(tail) {
        Some(crc) => (front, Some(crc)),
        None => (properties, None),
    }
}

fn stated(tail: &[u8]) -> Option<u32> {
    let digits = tail
        .strip_prefix(CRC.as_bytes())?
        .strip_prefix(&[NAME_END])?
        .strip_suffix(&[VALUE_END])?;
    digits.iter().rev().try_fold(0u32, |crc, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        crc.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_property_has_its_digits_reversed() {
        assert_eq!(&tail_property(907_060_870), b"__CRC32#\x010780607090\x02");
        assert_eq!(&tail_property(0), b"__CRC32#\x010000000000\x02");
        assert_eq!(
            split_tail(&tail_property(u32::MAX)),
            (&b""[..], Some(CRC_MASK))
        );
    }

    #[test]
    fn only_a_whole_tail_property_is_split_off() {
        let text = b"a\x01b\x02__CRC32#\x010780607090\x02";
        assert_eq!(split_tail(text), (&b"a\x01b\x02"[..], Some(907_060_870)));
        for other in [
            &b"__CRC32#\x010780607090"[..],
            b"__CRC32#\x01078060709x\x02",
            b"__CRC32#\x019999999999\x02",
            b"",
        ] {
            assert_eq!(split_tail(other), (other, None));
        }
    }

    #[test]
    fn a_head_folded_in_later_gives_the_checksum_of_the_whole() {
        for bytes in [1, 100, READ_AGAIN_BYTES as usize, 70_000] {
            let whole = [&b"head that changes"[..], &vec![b'x'; bytes]].concat();
            let (head, rest) = whole.split_at(17);
            let mut later = Hasher::new();
            later.update(rest);
            let mut crc = Hasher::new();
            let (body, tail) = rest.split_at(bytes / 2);
            Rest::new(later).behind(&mut crc, head, [body, tail]);
            assert_eq!(crc.finalize(), crc32fast::hash(&whole), "{bytes}");
        }
    }
}
