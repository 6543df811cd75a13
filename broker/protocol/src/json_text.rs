//! Strings inside JSON text: escaping on the way out, unescaping in place on the way in.

use bytes::BufMut;
use wide::u8x16;

/// Writes a quoted string, escaped as RocketMQ's JSON writer does it.
pub(crate) fn put_string(out: &mut impl BufMut, text: &str) {
    out.put_u8(b'"');
    put_text(out, text);
    out.put_u8(b'"');
}

/// The same without the quotes.
pub(crate) fn put_text(out: &mut impl BufMut, text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let plain = safe_length(rest);
        out.put_slice(&rest[..plain]);
        let Some(&special) = rest.get(plain) else {
            return;
        };
        put_escape(out, special);
        rest = &rest[plain + 1..];
    }
}

fn put_escape(out: &mut impl BufMut, byte: u8) {
    match byte {
        b'"' => out.put_slice(b"\\\""),
        b'\\' => out.put_slice(b"\\\\"),
        0x08 => out.put_slice(b"\\b"),
        0x0c => out.put_slice(b"\\f"),
        b'\n' => out.put_slice(b"\\n"),
        b'\r' => out.put_slice(b"\\r"),
        b'\t' => out.put_slice(b"\\t"),
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.put_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    }
}

/// Finds the quotes and backslashes of a text, from the front to the back.
///
/// The strings of a header are short: a search that begins anew for each of them costs more
/// than one look at all bytes, a block at a time.
pub(crate) struct Specials {
    /// Bit by bit, which bytes of the block are quotes or backslashes.
    marks: u64,
    /// Where the block begins.
    block: usize,
}

impl Specials {
    /// As many bytes as a word has bits.
    const BLOCK: usize = u64::BITS as usize;

    pub(crate) fn new(text: &[u8]) -> Specials {
        Specials {
            marks: marks_at(text, 0),
            block: 0,
        }
    }

    /// The first at or behind `from`, which may only grow. What lies before `from` may have
    /// changed meanwhile, what lies behind it may not.
    #[inline(always)]
    pub(crate) fn from(&mut self, text: &[u8], from: usize) -> Option<usize> {
        let within = from - self.block;
        if within < Specials::BLOCK {
            let marks = self.marks >> within;
            if marks != 0 {
                return Some(from + marks.trailing_zeros() as usize);
            }
        }
        self.look_on(text, from)
    }

    /// Moves on to the block that has the first at or behind `from`.
    fn look_on(&mut self, text: &[u8], from: usize) -> Option<usize> {
        self.block = from.max(self.block + Specials::BLOCK);
        while self.block < text.len() {
            self.marks = marks_at(text, self.block);
            if self.marks != 0 {
                return Some(self.block + self.marks.trailing_zeros() as usize);
            }
            self.block += Specials::BLOCK;
        }
        self.marks = 0;
        None
    }
}

/// Which bytes of the block at `at` are quotes or backslashes, the first in the lowest bit.
fn marks_at(text: &[u8], at: usize) -> u64 {
    let rest = &text[at..];
    match rest.first_chunk() {
        Some(block) => marks(block),
        None => {
            let mut block = [0; Specials::BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            marks(&block)
        }
    }
}

/// Which bytes are quotes or backslashes, the first in the lowest bit.
#[inline(always)]
fn marks(block: &[u8; Specials::BLOCK]) -> u64 {
    let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
    let (sixteens, _) = block.as_chunks::<16>();
    let mut marks = 0;
    for (index, bytes) in sixteens.iter().enumerate() {
        let bytes = u8x16::new(*bytes);
        let found = bytes.simd_eq(quote) | bytes.simd_eq(backslash);
        marks |= u64::from(found.to_bitmask()) << (index * 16);
    }
    marks
}

/// Bytes before the first that must be escaped.
#[inline]
fn safe_length(text: &[u8]) -> usize {
    let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
    let last_control = u8x16::splat(0x1f);
    let special = |bytes: [u8; 16]| {
        let bytes = u8x16::new(bytes);
        let control = bytes.min(last_control).simd_eq(bytes);
        (bytes.simd_eq(quote) | bytes.simd_eq(backslash) | control).to_bitmask()
    };
    let (sixteens, rest) = text.as_chunks::<16>();
    for (index, bytes) in sixteens.iter().enumerate() {
        let found = special(*bytes);
        if found != 0 {
            return index * 16 + found.trailing_zeros() as usize;
        }
    }
    let mut last = [b' '; 16];
    last[..rest.len()].copy_from_slice(rest);
    let found = special(last).trailing_zeros() as usize;
    sixteens.len() * 16 + found.min(rest.len())
}

/// Unescapes, where it lies, a string of `text` that starts at `start` and has its first escape
/// at `read`.
///
/// Returns where the plain text ends and where the escaped one did, closing quote included.
/// What the plain text leaves over is blanked, so the whole stays UTF-8. `None` when the quote
/// or an escape is missing its end.
pub(crate) fn unescape(
    text: &mut [u8],
    specials: &mut Specials,
    mut read: usize,
) -> Option<(usize, usize)> {
    let mut written = read;
    while text[read] == b'\\' {
        let (character, length) = escape(&text[read + 1..])?;
        read += 1 + length;
        written += character.encode_utf8(&mut text[written..read]).len();
        let next = specials.from(text, read)?;
        text.copy_within(read..next, written);
        written += next - read;
        read = next;
    }
    text[written..read].fill(b' ');
    Some((written, read + 1))
}

/// The character an escape stands for, and the escape's length behind the backslash.
pub(crate) fn escape(text: &[u8]) -> Option<(char, usize)> {
    let plain = match *text.first()? {
        b'u' => return unicode_escape(text),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        plain @ (b'"' | b'\\' | b'/' | b'\'') => char::from(plain),
        _ => return None,
    };
    Some((plain, 1))
}

fn unicode_escape(text: &[u8]) -> Option<(char, usize)> {
    let first = four_hex(text.get(1..5)?)?;
    if let Some(plain) = char::from_u32(first) {
        return Some((plain, 5));
    }
    if first < 0xdc00
        && text.get(5..7) == Some(b"\\u")
        && let Some(second @ 0xdc00..=0xdfff) = text.get(7..11).and_then(four_hex)
    {
        let plain = char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?;
        return Some((plain, 11));
    }
    // Half a surrogate pair: Java turns it into a question mark when it writes UTF-8.
    Some(('?', 5))
}

fn four_hex(digits: &[u8]) -> Option<u32> {
    let values = digits.first_chunk()?;
    let [a, b, c, d] = values.map(|digit: u8| u32::from(HEX_VALUES[usize::from(digit)]));
    (a | b | c | d < 16).then_some(a << 12 | b << 8 | c << 4 | d)
}

/// What each byte is worth as a hexadecimal digit; 255: it is none.
const HEX_VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        values[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_escaping_is_found_wherever_it_stands() {
        for special in (0..0x20).chain([b'"', b'\\']) {
            for at in 0..40 {
                let mut text = [b'~'; 40];
                text[at] = special;
                assert_eq!(safe_length(&text), at, "{special} at {at}");
            }
        }
        for plain in [
            b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0x9f, 0xa2, 0xdc, 0xff,
        ] {
            assert_eq!(safe_length(&[plain; 40]), 40, "{plain}");
        }
    }

    #[test]
    fn every_quote_and_backslash_is_walked_over() {
        // Also those that stand beside each other, and those in front of a byte that is one more.
        for length in (0..40).chain(500..540) {
            let text: Vec<u8> = (0..length)
                .map(|at| b"\"\"#\\]\"a\xa2\xdc\\\0"[at * 7 % 11])
                .collect();
            let expected: Vec<usize> = (0..length)
                .filter(|at| matches!(text[*at], b'"' | b'\\'))
                .collect();
            let mut specials = Specials::new(&text);
            let mut from = 0;
            let mut found = Vec::new();
            while let Some(at) = specials.from(&text, from) {
                found.push(at);
                from = at + 1;
            }
            assert_eq!(found, expected, "{text:?}");
        }
        let text = b"\"a\"b\"c\" \"";
        assert_eq!(Specials::new(text).from(text, 3), Some(4));
        assert_eq!(Specials::new(b"").from(b"", 0), None);
    }
}
