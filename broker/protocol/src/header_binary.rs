//! The ROCKETMQ form of a header.

use std::borrow::Cow;

use bytes::{Buf, BufMut, BytesMut};
use bytestring::ByteString;

use crate::digits::Digits;
use crate::encode::Head;
use crate::ext_fields::{FieldSink, Span, WriteFields};
use crate::{Error, Flag, Header, Language, RequestCode, Version};

/// Bytes before the remark.
const FIXED: usize = 17;

/// Reads a header. What stands between its texts is blanked, so that the whole is text too.
pub(crate) fn decode(mut text: BytesMut, header: &mut Header) -> Result<(), Error> {
    let short = || Error::Frame {
        why: "the binary header is cut short",
    };
    if text.len() < FIXED {
        return Err(short());
    }
    let mut fixed = &text[..FIXED];
    let code = i32::from(fixed.get_i16());
    header.language = Language::from_number(fixed.get_u8());
    header.version = Version(i32::from(fixed.get_i16()));
    header.opaque = fixed.get_i32();
    header.flag = Flag(fixed.get_i32());
    header.code = if header.flag.is_response() {
        code
    } else {
        RequestCode(code).widened().0
    };
    text[..FIXED - 4].fill(b' ');
    let mut at = FIXED - 4;
    let remark = piece(&mut text, &mut at, 4).ok_or_else(short)?;
    let all = {
        let fields = text.get(at..at + 4).ok_or_else(short)?;
        let length = u32::from_be_bytes(fields.try_into().expect("it is four bytes")) as usize;
        let end = (at + 4).checked_add(length);
        end.filter(|&end| end <= text.len()).ok_or_else(short)?
    };
    text.truncate(all);
    text[at..at + 4].fill(b' ');
    at += 4;
    let mut received = header.ext.receive();
    while at < all {
        let name = piece(&mut text, &mut at, 2).ok_or_else(short)?;
        let value = piece(&mut text, &mut at, 4).ok_or_else(short)?;
        // This form cannot tell an empty value from none; RocketMQ reads both as none.
        if value.length() > 0 {
            received.add(name, value)?;
        }
    }
    let text = ByteString::try_from(text.freeze()).map_err(|_| Error::Frame {
        why: "the remark or a custom field is not UTF-8",
    })?;
    let remark = remark.of_text(&text);
    header.remark = (!remark.is_empty()).then(|| Cow::Owned(remark.to_owned()));
    header.ext.receive_text(text);
    Ok(())
}

/// Reads a length of `width` bytes, blanks it and steps over as many bytes behind it.
fn piece(text: &mut [u8], at: &mut usize, width: usize) -> Option<Span> {
    let start = *at + width;
    let prefix = text.get_mut(*at..start)?;
    let length = usize::try_from((&*prefix).get_uint(width)).ok()?;
    prefix.fill(b' ');
    let end = start.checked_add(length).filter(|&end| end <= text.len())?;
    *at = end;
    Some(Span::new(start, end))
}

pub(crate) fn encode(out: &mut BytesMut, head: &Head<'_>, fields: &impl WriteFields) {
    // The form has 16 bits for code and version. A POP code loses its upper part, as in RocketMQ.
    out.put_i16(head.code as i16);
    out.put_u8(head.language.number());
    out.put_i16(head.version.0 as i16);
    out.put_i32(head.opaque);
    out.put_i32(head.flag.0);
    let remark = head.remark.unwrap_or_default();
    out.put_u32(u32::try_from(remark.len()).expect("a remark is far below 4 GiB"));
    out.put_slice(remark.as_bytes());
    let length_at = out.len();
    out.put_u32(0);
    fields.write_fields(&mut Entries { out });
    let written = (out.len() - length_at - 4) as u32;
    out[length_at..length_at + 4].copy_from_slice(&written.to_be_bytes());
}

struct Entries<'o> {
    out: &'o mut BytesMut,
}

impl Entries<'_> {
    fn entry(&mut self, name: &str, value: &[u8]) {
        let length =
            u16::try_from(name.len()).expect("a field name is shorter than all fields may be");
        self.out.put_u16(length);
        self.out.put_slice(name.as_bytes());
        self.out
            .put_u32(u32::try_from(value.len()).expect("a value is far below 4 GiB"));
        self.out.put_slice(value);
    }
}

impl FieldSink for Entries<'_> {
    fn put(&mut self, name: &str, value: &str) {
        self.entry(name, value.as_bytes());
    }

    fn put_number(&mut self, name: &'static str, value: i64) {
        self.entry(name, Digits::of(value).as_bytes());
    }
}
