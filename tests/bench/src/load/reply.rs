//! What a send reply says, found without reading all of it.

use bytes::BytesMut;
use memchr::memmem;
use protocol::Frame;

use anyhow::{Context, Result};

/// The part of a reply that a producer needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: i32,
    pub opaque: i32,
}

/// Reads a whole frame; one whose header is neither binary nor plain JSON is read in full.
pub fn read(frame: BytesMut) -> Result<Reply> {
    if let Some(reply) = scan(&frame) {
        return Ok(reply);
    }
    let mut frame = frame;
    let frame = Frame::decode(&mut frame)?.context("a frame was cut too short")?;
    Ok(Reply {
        code: frame.header.code,
        opaque: frame.header.opaque,
    })
}

/// A name in quotes cannot stand inside a JSON text unescaped, so the first one is the field.
fn scan(frame: &[u8]) -> Option<Reply> {
    let [form, high, middle, low] = *frame.get(4..)?.first_chunk()?;
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    let header = frame.get(8..8 + length)?;
    match form {
        0 => Some(Reply {
            code: number(header, b"\"code\":")?,
            opaque: number(header, b"\"opaque\":")?,
        }),
        1 => Some(Reply {
            code: i16::from_be_bytes(*header.first_chunk()?).into(),
            opaque: i32::from_be_bytes(*header.get(5..)?.first_chunk()?),
        }),
        _ => None,
    }
}

fn number(header: &[u8], name: &[u8]) -> Option<i32> {
    let rest = &header[memmem::find(header, name)? + name.len()..];
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::{ExtFields, RequestCode, Serialization};

    use super::*;

    fn check(serialization: Serialization) {
        let ext = ExtFields::from_iter([("msgId", "\"opaque\":5")]);
        let mut frame = Frame::request(RequestCode(0), ext, Bytes::new());
        frame.header.opaque = 100_000_003;
        frame.serialization = serialization;
        let mut out = BytesMut::new();
        frame.encode(&mut out);
        let expected = Reply {
            code: 0,
            opaque: 100_000_003,
        };
        assert_eq!(read(out).expect("it is a frame"), expected);
    }

    #[test]
    fn a_reply_is_read_in_both_serializations() {
        check(Serialization::Json);
        check(Serialization::Binary);
    }
}
