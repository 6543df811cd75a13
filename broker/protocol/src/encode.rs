//! Writes the head of a frame: lengths and header. The body may follow in the same buffer or by itself.

use bytes::{BufMut, BytesMut};

use crate::ext_fields::WriteFields;
use crate::{Flag, Language, Serialization, Version, header_binary, header_json};

/// The fixed part of a header about to be written.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub code: i32,
    pub language: Language,
    pub version: Version,
    pub opaque: i32,
    pub flag: Flag,
    pub remark: Option<&'a str>,
}

/// Appends lengths and header of a frame whose body of `body_length` bytes the caller sends right behind.
pub fn encode_head(
    out: &mut BytesMut,
    serialization: Serialization,
    head: &Head<'_>,
    fields: &impl WriteFields,
    body_length: usize,
) {
    let start = out.len();
    out.reserve(512);
    out.put_u64(0);
    let mark = match serialization {
        Serialization::Json => {
            header_json::encode(out, head, fields);
            0
        }
        Serialization::Binary => {
            header_binary::encode(out, head, fields);
            1
        }
    };
    let header = u32::try_from(out.len() - start - 8).expect("our headers are far below 16 MiB");
    let total = u32::try_from(body_length).expect("bodies are far below 4 GiB") + header + 4;
    out[start..start + 4].copy_from_slice(&total.to_be_bytes());
    out[start + 4..start + 8].copy_from_slice(&(mark << 24 | header).to_be_bytes());
}
