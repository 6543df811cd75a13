//! The JSON form of a header: a reader that works in place, and a writer.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use bytestring::ByteString;

use crate::digits::Digits;
use crate::encode::Head;
use crate::ext_fields::{FieldSink, Received, Span, WriteFields};
use crate::fields::Field;
use crate::json_text::{Specials, put_string, put_text, unescape};
use crate::{Error, Flag, Header, Language, Version};

/// Deepest nesting the reader follows in members it does not know.
const DEPTH_LIMIT: usize = 8;

/// Reads a header. Escaped strings are unescaped where they lie, so that every
/// field is a slice of the one buffer.
pub(crate) fn decode(mut text: BytesMut, header: &mut Header) -> Result<(), Error> {
    let Header {
        code,
        language,
        version,
        opaque,
        flag,
        remark,
        ext,
    } = header;
    let mut fields = ext.receive();
    let mut has_code = false;
    let mut reader = Reader {
        specials: Specials::new(&text),
        text: &mut text,
        at: 0,
    };
    reader.object(|reader, name| {
        match name.of(reader.text) {
            b"code" => {
                *code = reader.integer()?;
                has_code = true;
            }
            b"extFields" => reader.fields(&mut fields)?,
            b"flag" => *flag = Flag(reader.integer()?),
            b"language" => *language = reader.language()?,
            b"opaque" => *opaque = reader.integer()?,
            b"remark" => *remark = reader.remark()?,
            b"version" => *version = Version(reader.integer()?),
            _ => reader.skip(DEPTH_LIMIT)?,
        }
        Ok(())
    })?;
    reader.expect_end()?;
    if !has_code {
        return Err(Error::Frame {
            why: "the header has no code",
        });
    }
    // Checked once, for all fields.
    let text = ByteString::try_from(text.freeze()).map_err(|_| NO_TEXT)?;
    header.ext.receive_text(text);
    Ok(())
}

struct Reader<'t> {
    text: &'t mut [u8],
    at: usize,
    specials: Specials,
}

const NO_TEXT: Error = Error::Frame {
    why: "the header is not UTF-8",
};

const BROKEN: Error = Error::Frame {
    why: "the header is not the JSON it should be",
};

impl Reader<'_> {
    /// Calls `member` behind each `"name":` of the object that starts here.
    fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Span) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let name = self.string()?;
            self.expect(b':')?;
            member(self, name)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(BROKEN),
            }
        }
    }

    fn fields(&mut self, fields: &mut Received<'_>) -> Result<(), Error> {
        if self.peek() == Some(b'n') {
            return self.scalar().map(|_| ());
        }
        self.object(|reader, name| match reader.peek() {
            Some(b'"') => {
                let value = reader.string()?;
                fields.add(name, value)
            }
            // A field that is null is a field that is not there.
            Some(b'n') => reader.scalar().map(|_| ()),
            Some(b'{' | b'[') => Err(Error::Frame {
                why: "a custom field is not a scalar",
            }),
            _ => {
                let value = reader.scalar()?;
                fields.add(name, value)
            }
        })
    }

    fn language(&mut self) -> Result<Language, Error> {
        let span = self.string_or_scalar()?;
        let text = span.of(self.text);
        if text == b"JAVA" {
            return Ok(Language::Java);
        }
        Ok(match number(text) {
            Some(number) => u8::try_from(number).map_or(Language::Other, Language::from_number),
            None => std::str::from_utf8(text).map_or(Language::Other, Language::from_name),
        })
    }

    fn remark(&mut self) -> Result<Option<Cow<'static, str>>, Error> {
        if self.peek() != Some(b'"') {
            return self.scalar().map(|_| None);
        }
        let span = self.string()?;
        match std::str::from_utf8(span.of(self.text)) {
            Ok("") => Ok(Some(Cow::Borrowed(""))),
            Ok(remark) => Ok(Some(Cow::Owned(remark.to_owned()))),
            Err(_) => Err(NO_TEXT),
        }
    }

    fn integer(&mut self) -> Result<i32, Error> {
        if let Some(plain) = self.plain_integer() {
            return Ok(plain);
        }
        let span = self.string_or_scalar()?;
        number(span.of(self.text)).ok_or(Error::Frame {
            why: "a number of the header is not a 32-bit integer",
        })
    }

    /// An integer as nearly all are written: up to nine digits and the end of the member.
    fn plain_integer(&mut self) -> Option<i32> {
        let mut value = 0;
        for (length, byte) in self.text[self.at..].iter().take(10).enumerate() {
            match byte {
                b'0'..=b'9' if length < 9 => value = value * 10 + i32::from(byte - b'0'),
                b',' | b'}' if length > 0 => {
                    self.at += length;
                    return Some(value);
                }
                _ => return None,
            }
        }
        None
    }

    fn string_or_scalar(&mut self) -> Result<Span, Error> {
        if self.peek() == Some(b'"') {
            self.string()
        } else {
            self.scalar()
        }
    }

    #[inline(always)]
    fn string(&mut self) -> Result<Span, Error> {
        self.expect(b'"')?;
        let start = self.at;
        let stop = self.specials.from(self.text, start).ok_or(BROKEN)?;
        let (end, behind) = match self.text[stop] {
            b'"' => (stop, stop + 1),
            _ => self.escaped(stop)?,
        };
        self.at = behind;
        Ok(Span::new(start, end))
    }

    #[inline(never)]
    fn escaped(&mut self, first: usize) -> Result<(usize, usize), Error> {
        unescape(self.text, &mut self.specials, first).ok_or(BROKEN)
    }

    /// A number, `true`, `false` or `null`, as its text.
    fn scalar(&mut self) -> Result<Span, Error> {
        self.skip_blanks();
        let length = self.text[self.at..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            .count();
        if length == 0 {
            return Err(BROKEN);
        }
        let start = self.at;
        self.at += length;
        Ok(Span::new(start, self.at))
    }

    fn skip(&mut self, depth: usize) -> Result<(), Error> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{' | b'[') if depth == 0 => Err(Error::Frame {
                why: "the header is nested too deep",
            }),
            Some(b'{') => self.object(|reader, _| reader.skip(depth - 1)),
            Some(b'[') => self.skip_array(depth - 1),
            _ => self.scalar().map(|_| ()),
        }
    }

    fn skip_array(&mut self, depth: usize) -> Result<(), Error> {
        self.expect(b'[')?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip(depth)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(BROKEN),
            }
        }
    }

    #[inline(always)]
    fn peek(&mut self) -> Option<u8> {
        match self.text.get(self.at) {
            Some(byte) if *byte > b' ' => Some(*byte),
            _ => self.peek_behind_blanks(),
        }
    }

    #[cold]
    fn peek_behind_blanks(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.text.get(self.at).copied()
    }

    #[inline(always)]
    fn expect(&mut self, wanted: u8) -> Result<(), Error> {
        if self.peek() != Some(wanted) {
            return Err(BROKEN);
        }
        self.at += 1;
        Ok(())
    }

    fn expect_end(&mut self) -> Result<(), Error> {
        if self.peek().is_some() {
            Err(BROKEN)
        } else {
            Ok(())
        }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }
}

fn number(text: &[u8]) -> Option<i32> {
    Field::read(std::str::from_utf8(text).ok()?)
}

/// Writes the members in RocketMQ's order: by name, without those that are null.
pub(crate) fn encode(out: &mut BytesMut, head: &Head<'_>, fields: &impl WriteFields) {
    out.put_slice(b"{\"code\":");
    out.put_slice(Digits::of(head.code).as_bytes());
    let mut members = Members { out, any: false };
    fields.write_fields(&mut members);
    let any = members.any;
    out.put_slice(if any { b"},\"flag\":" } else { b",\"flag\":" });
    out.put_slice(Digits::of(head.flag.0).as_bytes());
    out.put_slice(b",\"language\":\"");
    out.put_slice(head.language.name().as_bytes());
    out.put_slice(b"\",\"opaque\":");
    out.put_slice(Digits::of(head.opaque).as_bytes());
    if let Some(remark) = head.remark {
        out.put_slice(b",\"remark\":");
        put_string(out, remark);
    }
    out.put_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    out.put_slice(Digits::of(head.version.0).as_bytes());
    out.put_u8(b'}');
}

struct Members<'o> {
    out: &'o mut BytesMut,
    any: bool,
}

impl Members<'_> {
    /// Writes what stands between the member before, if there is one, and a name.
    fn begin(&mut self) {
        let between: &[u8] = if self.any {
            b",\""
        } else {
            b",\"extFields\":{\""
        };
        self.out.put_slice(between);
        self.any = true;
    }
}

impl FieldSink for Members<'_> {
    fn put(&mut self, name: &str, value: &str) {
        self.begin();
        put_text(self.out, name);
        self.out.put_slice(b"\":\"");
        put_text(self.out, value);
        self.out.put_u8(b'"');
    }

    fn put_ours(&mut self, name: &'static str, value: &str) {
        self.begin();
        self.out.put_slice(name.as_bytes());
        self.out.put_slice(b"\":\"");
        put_text(self.out, value);
        self.out.put_u8(b'"');
    }

    fn put_number(&mut self, name: &'static str, value: i64) {
        self.begin();
        self.out.put_slice(name.as_bytes());
        self.out.put_slice(b"\":\"");
        self.out.put_slice(Digits::of(value).as_bytes());
        self.out.put_u8(b'"');
    }
}
