//! The custom fields of a header: names and values, in the order they arrived.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;

use crate::Error;
use crate::digits::Digits;

/// Most fields one header may carry.
pub const FIELDS_LIMIT: usize = 256;
/// Most bytes the names and values of one header may take together.
pub const FIELDS_BYTES_LIMIT: usize = 64 * 1024;

/// Where the fields of a header go to be encoded or kept.
pub trait FieldSink {
    /// Adds one field.
    fn put(&mut self, name: &str, value: &str);

    /// Adds one field whose name is ours: no byte of it needs an escape.
    fn put_ours(&mut self, name: &'static str, value: &str) {
        self.put(name, value);
    }

    /// Adds one field of ours that is a number.
    fn put_number(&mut self, name: &'static str, value: i64) {
        self.put(name, Digits::of(value).as_str());
    }
}

/// Something that can be written as custom fields.
pub trait WriteFields {
    /// Hands every field to `sink`, in wire order.
    fn write_fields(&self, sink: &mut impl FieldSink);
}

impl WriteFields for () {
    fn write_fields(&self, _: &mut impl FieldSink) {}
}

impl<A: WriteFields, B: WriteFields> WriteFields for (A, B) {
    fn write_fields(&self, sink: &mut impl FieldSink) {
        self.0.write_fields(sink);
        self.1.write_fields(sink);
    }
}

impl<T: WriteFields> WriteFields for &T {
    fn write_fields(&self, sink: &mut impl FieldSink) {
        (**self).write_fields(sink);
    }
}

/// The custom fields of one header.
///
/// Decoded fields lie in the buffer they arrived in; nothing is copied per field.
/// A name that occurs twice counts with its last value, as in RocketMQ.
#[derive(Clone, Default)]
pub struct ExtFields {
    text: Text,
    entries: SmallVec<[Entry; 16]>,
}

#[derive(Clone)]
enum Text {
    Received(ByteString),
    Built(String),
}

#[derive(Clone, Copy)]
struct Entry {
    name: Span,
    value: Span,
}

/// A piece of the text that holds the fields. Always whole UTF-8.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    /// The header that holds both places is shorter than its limit.
    #[inline]
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span {
            start: start as u32,
            length: (end - start) as u32,
        }
    }

    pub(crate) fn length(self) -> usize {
        self.length as usize
    }

    pub(crate) fn of(self, text: &[u8]) -> &[u8] {
        let start = self.start as usize;
        &text[start..start + self.length as usize]
    }

    #[inline]
    pub(crate) fn of_text(self, text: &str) -> &str {
        let start = self.start as usize;
        &text[start..start + self.length as usize]
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::Built(String::new())
    }
}

impl Text {
    fn whole(&self) -> &str {
        match self {
            Text::Received(text) => text,
            Text::Built(text) => text,
        }
    }
}

impl ExtFields {
    pub fn new() -> ExtFields {
        ExtFields::default()
    }

    /// The fields of a typed header.
    pub fn of(header: &impl WriteFields) -> ExtFields {
        let mut fields = ExtFields::new();
        header.write_fields(&mut fields);
        fields
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let entry = self
            .entries
            .iter()
            .rev()
            .find(|entry| self.part(entry.name) == name)?;
        Some(self.part(entry.value))
    }

    /// Names and values in wire order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self.text.whole();
        let fields = self.entries.iter();
        fields.map(move |entry| (entry.name.of_text(text), entry.value.of_text(text)))
    }

    /// Adds a field behind the others.
    pub fn push(&mut self, name: &str, value: &str) {
        let mut text = match std::mem::take(&mut self.text) {
            Text::Received(text) => text.to_string(),
            Text::Built(text) => text,
        };
        if text.capacity() == 0 {
            // Room for the fields of most replies at once.
            text.reserve(256);
        }
        let start = text.len();
        text.push_str(name);
        let middle = text.len();
        text.push_str(value);
        self.entries.push(Entry {
            name: Span::new(start, middle),
            value: Span::new(middle, text.len()),
        });
        self.text = Text::Built(text);
    }

    /// A value of these fields as bytes of its own, without a copy where the fields were received.
    pub fn share(&self, value: &str) -> Bytes {
        if let Text::Received(text) = &self.text {
            let text = text.as_bytes();
            let outer = text.as_ptr_range();
            let inner = value.as_bytes().as_ptr_range();
            if outer.start <= inner.start && inner.end <= outer.end {
                return text.slice_ref(value.as_bytes());
            }
        }
        Bytes::copy_from_slice(value.as_bytes())
    }

    /// Starts to fill a header about to be decoded, in place; [`receive_text`](Self::receive_text) ends it.
    pub(crate) fn receive(&mut self) -> Received<'_> {
        Received {
            entries: &mut self.entries,
            bytes: 0,
        }
    }

    pub(crate) fn receive_text(&mut self, text: ByteString) {
        self.text = Text::Received(text);
    }

    fn part(&self, span: Span) -> &str {
        span.of_text(self.text.whole())
    }
}

impl FieldSink for ExtFields {
    fn put(&mut self, name: &str, value: &str) {
        self.push(name, value);
    }
}

impl WriteFields for ExtFields {
    fn write_fields(&self, sink: &mut impl FieldSink) {
        for (name, value) in self.iter() {
            sink.put(name, value);
        }
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for ExtFields {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(fields: T) -> Self {
        let mut all = ExtFields::new();
        for (name, value) in fields {
            all.push(name, value);
        }
        all
    }
}

impl PartialEq for ExtFields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ExtFields {}

impl fmt::Debug for ExtFields {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.iter()).finish()
    }
}

/// Adds received fields and holds them to the limits.
pub(crate) struct Received<'f> {
    entries: &'f mut SmallVec<[Entry; 16]>,
    bytes: usize,
}

impl Received<'_> {
    /// The caller has checked that the spans are UTF-8, and tells at the end what they point into.
    #[inline]
    pub(crate) fn add(&mut self, name: Span, value: Span) -> Result<(), Error> {
        self.bytes += name.length() + value.length();
        if self.bytes > FIELDS_BYTES_LIMIT {
            return Err(Error::TooLarge {
                what: "the custom fields",
                length: self.bytes,
                limit: FIELDS_BYTES_LIMIT,
            });
        }
        if self.entries.len() == FIELDS_LIMIT {
            return Err(Error::Frame {
                why: "more than 256 custom fields",
            });
        }
        self.entries.push(Entry { name, value });
        Ok(())
    }
}
