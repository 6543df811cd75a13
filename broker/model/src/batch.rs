//! The body of a batch send: several messages of one topic behind each other.
//!
//! ```text
//! size 4 | magic 4 (0) | body crc 4 (0) | flag 4 | body length 4 | body
//!        | properties length 2 | properties
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::properties::TEXT_LIMIT;
use crate::{Properties, RecordError};

/// Bytes of an entry without body and properties.
const FIXED_BYTES: usize = 22;

/// One message of a batch. Topic, queue, host and times come with the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub flag: i32,
    pub properties: Properties,
    pub body: Bytes,
}

/// Writes entries as the body of one send.
pub fn encode<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<Bytes, RecordError> {
    let mut buffer = BytesMut::new();
    for entry in entries {
        let properties = entry.properties.as_text();
        limit("properties", properties.len(), TEXT_LIMIT)?;
        let size = FIXED_BYTES + entry.body.len() + properties.len();
        limit("batch", buffer.len() + size, i32::MAX as usize)?;
        buffer.reserve(size);
        buffer.put_u32(size as u32);
        buffer.put_u32(0);
        buffer.put_u32(0);
        buffer.put_i32(entry.flag);
        buffer.put_u32(entry.body.len() as u32);
        buffer.put_slice(&entry.body);
        buffer.put_u16(properties.len() as u16);
        buffer.put_slice(properties.as_bytes());
    }
    Ok(buffer.freeze())
}

/// One message of a batch where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryView<'a> {
    pub flag: i32,
    pub properties: &'a [u8],
    pub body: &'a [u8],
}

/// The entries of a batch, up to the first that is none. Magic and checksum, which clients leave
/// 0, are not looked at.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

/// Reads entries where they lie.
pub fn entries(body: &[u8]) -> Entries<'_> {
    Entries { rest: body }
}

/// Reads every entry, or says what is wrong with the first that is not one. Bodies share the
/// given buffer.
pub fn decode(body: &Bytes) -> Result<Vec<Entry>, RecordError> {
    let entry = |entry: EntryView<'_>| Entry {
        flag: entry.flag,
        properties: Properties::parse(entry.properties),
        body: body.slice_ref(entry.body),
    };
    entries(body).map(|read| read.map(entry)).collect()
}

impl Entries<'_> {
    /// How many there are if all are as long as the first.
    pub fn expected(&self) -> usize {
        let size = self
            .rest
            .first_chunk()
            .map_or(0, |size| u32::from_be_bytes(*size));
        self.rest.len() / (size as usize).max(FIXED_BYTES)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<EntryView<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = next(&mut self.rest);
        if entry.is_err() {
            self.rest = &[];
        }
        Some(entry)
    }
}

fn next<'a>(rest: &mut &'a [u8]) -> Result<EntryView<'a>, RecordError> {
    let available = rest.len();
    need(rest, FIXED_BYTES)?;
    let size = rest.get_u32();
    rest.advance(8);
    let flag = rest.get_i32();
    let body = length("body length", i64::from(rest.get_i32()))?;
    need(rest, body.saturating_add(2))?;
    let body = split_to(rest, body);
    let properties = length("properties length", i64::from(rest.get_i16()))?;
    need(rest, properties)?;
    let properties = split_to(rest, properties);
    let found = available - rest.len();
    if found != size as usize {
        return Err(RecordError::SizeMismatch {
            stated: size,
            found: found as u64,
        });
    }
    Ok(EntryView {
        flag,
        properties,
        body,
    })
}

fn split_to<'a>(rest: &mut &'a [u8], bytes: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(bytes);
    *rest = left;
    taken
}

fn need(rest: &[u8], needed: usize) -> Result<(), RecordError> {
    if needed <= rest.len() {
        return Ok(());
    }
    Err(RecordError::Truncated {
        needed: needed as u64,
        available: rest.len() as u64,
    })
}

fn length(field: &'static str, value: i64) -> Result<usize, RecordError> {
    usize::try_from(value).map_err(|_| RecordError::ImpossibleField { field, value })
}

fn limit(part: &'static str, bytes: usize, limit: usize) -> Result<(), RecordError> {
    if bytes <= limit {
        return Ok(());
    }
    Err(RecordError::TooLarge {
        part,
        bytes: bytes as u64,
        limit: limit as u64,
    })
}
