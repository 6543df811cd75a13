//! Strings inside JSON text: escaping on the way out, unescaping in place on the way in.

use bytes::BufMut;

/// Writes a quoted string, escaped as RocketMQ's JSON writer does it.
pub(crate) fn put_string(out: &mut impl BufMut, text: &str) {
    out.put_u8(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.put_slice(&bytes[done..at]);
        done = at + 1;
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
    out.put_slice(&bytes[done..]);
    out.put_u8(b'"');
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
        match *text.get(read)? {
            b'"' => break,
            b'\\' => {
                let (plain, length) = escape(&text[read + 1..])?;
                read += 1 + length;
                let mut buffer = [0; 4];
                let plain = plain.encode_utf8(&mut buffer).as_bytes();
                text[written..written + plain.len()].copy_from_slice(plain);
                written += plain.len();
            }
            byte => {
                text[written] = byte;
                written += 1;
                read += 1;
            }
        }
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
