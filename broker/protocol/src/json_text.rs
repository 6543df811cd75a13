//! Strings inside JSON text: escaping on the way out, unescaping in place on the way in.

use bytes::BufMut;

/// Writes a quoted string, escaped as RocketMQ's JSON writer does it.
pub(crate) fn put_string(out: &mut impl BufMut, text: &str) {
    out.put_u8(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = safe_length(rest);
        out.put_slice(&rest[..plain]);
        let Some(&special) = rest.get(plain) else {
            break;
        };
        put_escape(out, special);
        rest = &rest[plain + 1..];
    }
    out.put_u8(b'"');
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

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks the lowest zero byte of a word by its high bit; bytes above it may be marked wrongly.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

fn quotes_and_backslashes(word: u64) -> u64 {
    zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')))
}

/// Bytes before the first quote or backslash.
#[inline]
pub(crate) fn plain_length(text: &[u8]) -> usize {
    length_until(text, quotes_and_backslashes, |byte| {
        matches!(byte, b'"' | b'\\')
    })
}

/// Bytes before the first that must be escaped.
#[inline]
fn safe_length(text: &[u8]) -> usize {
    let marks = |word| {
        quotes_and_backslashes(word) | (u64::wrapping_sub(word, ONES * 0x20) & !word & HIGHS)
    };
    length_until(text, marks, |byte| matches!(byte, 0..0x20 | b'"' | b'\\'))
}

/// Looks at eight bytes at a time; `marks` must be right about the lowest byte it marks.
#[inline]
fn length_until(text: &[u8], marks: impl Fn(u64) -> u64, stops: impl Fn(u8) -> bool) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let found = marks(u64::from_le_bytes(*word));
        if found != 0 {
            return at * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    words.len() * 8 + rest.iter().take_while(|byte| !stops(**byte)).count()
}

/// Unescapes the string whose text starts at `text[0]` and whose first escape is at `from`.
///
/// Returns how many bytes the plain text takes and how many the escaped one took, closing
/// quote included. What the plain text leaves over is blanked, so the whole stays UTF-8.
/// `None` when the quote or an escape is missing its end.
pub(crate) fn unescape(text: &mut [u8], from: usize) -> Option<(usize, usize)> {
    let mut read = from;
    let mut written = from;
    loop {
        let plain = plain_length(&text[read..]);
        text.copy_within(read..read + plain, written);
        read += plain;
        written += plain;
        if *text.get(read)? == b'"' {
            break;
        }
        let (character, length) = escape(&text[read + 1..])?;
        read += 1 + length;
        let mut buffer = [0; 4];
        let plain = character.encode_utf8(&mut buffer).as_bytes();
        text[written..written + plain.len()].copy_from_slice(plain);
        written += plain.len();
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
    digits.iter().try_fold(0, |number, &digit| {
        Some(number << 4 | char::from(digit).to_digit(16)?)
    })
}

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
            assert_eq!(plain_length(&[plain; 40]), 40, "{plain}");
        }
        assert_eq!(plain_length(b"\x01\x02 then \" a quote"), 8);
    }
}
