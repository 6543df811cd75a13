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

/// Reads every entry, or says what is wrong with the first that is not one. Bodies share the
/// given buffer. Magic and checksum, which clients leave 0, are not looked at.
pub fn decode(body: &Bytes) -> Result<Vec<Entry>, RecordError> {
    let mut rest = body.clone();
    let mut entries = Vec::new();
    while !rest.is_empty() {
        entries.push(next(&mut rest)?);
    }
    Ok(entries)
}

fn next(rest: &mut Bytes) -> Result<Entry, RecordError> {
    let available = rest.len();
    need(rest, FIXED_BYTES)?;
    let size = rest.get_u32();
    rest.advance(8);
    let flag = rest.get_i32();
    let body = length("body length", i64::from(rest.get_i32()))?;
    need(rest, body.saturating_add(2))?;
    let body = rest.split_to(body);
    let properties = length("properties length", i64::from(rest.get_i16()))?;
    need(rest, properties)?;
    let properties = Properties::parse(&rest.split_to(properties));
    let found = available - rest.len();
    if found != size as usize {
        return Err(RecordError::SizeMismatch {
            stated: size,
            found: found as u64,
        });
    }
    Ok(Entry {
        flag,
        properties,
        body,
    })
}

fn need(rest: &Bytes, needed: usize) -> Result<(), RecordError> {
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
