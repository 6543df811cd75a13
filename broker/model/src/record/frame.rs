//! Tells what a commit log holds at a position, by the first eight bytes there.

use super::RecordError;
use super::layout::{BLANK_BYTES, BLANK_MAGIC, SMALLEST_RECORD, Version};

/// What begins here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A record of `size` bytes, of which nothing else is known yet.
    Record { size: u32, version: Version },
    /// Filler of `size` bytes, up to the end of the segment.
    Blank { size: u32 },
    /// Nothing was written here, or not enough to tell.
    End,
}

impl Frame {
    /// Looks at the start of `bytes`. Fewer than eight bytes, a zero word and an unknown magic
    /// all mean that the log ends here; a known magic with an impossible size is an error.
    pub fn peek(bytes: &[u8]) -> Result<Self, RecordError> {
        let Some((size, magic)) = first_words(bytes) else {
            return Ok(Self::End);
        };
        if magic == BLANK_MAGIC {
            return sane_size(size, BLANK_BYTES).map(|size| Self::Blank { size });
        }
        match Version::of_magic(magic) {
            Some(version) => {
                sane_size(size, SMALLEST_RECORD).map(|size| Self::Record { size, version })
            }
            None => Ok(Self::End),
        }
    }
}

/// The two words of a filler that takes up the last `remaining` bytes of a segment.
///
/// Fewer than eight remaining bytes leave no room for them: a writer must see to it.
pub fn write_blank(remaining: u32) -> [u8; BLANK_BYTES] {
    let mut blank = [0; BLANK_BYTES];
    blank[..4].copy_from_slice(&remaining.to_be_bytes());
    blank[4..].copy_from_slice(&BLANK_MAGIC.to_be_bytes());
    blank
}

fn first_words(bytes: &[u8]) -> Option<(u32, u32)> {
    let (size, rest) = bytes.split_first_chunk()?;
    let magic = rest.first_chunk()?;
    Some((u32::from_be_bytes(*size), u32::from_be_bytes(*magic)))
}

fn sane_size(size: u32, smallest: usize) -> Result<u32, RecordError> {
    if (smallest..=i32::MAX as usize).contains(&(size as usize)) {
        return Ok(size);
    }
    Err(RecordError::ImpossibleField {
        field: "size",
        value: i64::from(size as i32),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_is_recognised_by_its_magic() {
        assert_eq!(
            Frame::peek(&write_blank(436)),
            Ok(Frame::Blank { size: 436 })
        );
        assert!(Frame::peek(&write_blank(7)).is_err());
    }

    #[test]
    fn zeros_and_strange_bytes_end_the_log() {
        for bytes in [&[0; 100][..], b"", b"abc", b"not a record at all"] {
            assert_eq!(Frame::peek(bytes), Ok(Frame::End));
        }
    }

    #[test]
    fn a_record_needs_room_for_its_fixed_fields() {
        let mut bytes = 90u32.to_be_bytes().to_vec();
        bytes.extend(Version::V1.magic().to_be_bytes());
        assert!(Frame::peek(&bytes).is_err());
        bytes[..4].copy_from_slice(&91u32.to_be_bytes());
        let expected = Frame::Record {
            size: 91,
            version: Version::V1,
        };
        assert_eq!(Frame::peek(&bytes), Ok(expected));
    }
}
