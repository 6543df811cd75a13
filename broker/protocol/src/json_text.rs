//! Strings inside JSON text: escaping on the way out, unescaping in place on the way in.

use bytes::BufMut;

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

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks every zero byte of a word, and no other, by its highest bit.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    !(((word & !HIGHS) + !HIGHS) | word | !HIGHS)
}

#[inline(always)]
fn quotes_and_backslashes(word: u64) -> u64 {
    zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')))
}

/// Walks over the quotes and backslashes of a text, from the front to the back.
///
/// The strings of a header are short: a search that begins anew for each of them costs more
/// than one look at all bytes, eight at a time, that notes where they end.
pub(crate) struct Specials {
    places: [u32; Specials::NOTED],
    noted: usize,
    used: usize,
    /// Where the next word to look at begins.
    next: usize,
}

impl Specials {
    /// How many places are noted at a time, and how many may come with one word.
    const NOTED: usize = 64;
    const OF_A_WORD: usize = 8;

    pub(crate) fn new() -> Specials {
        Specials {
            places: [0; Specials::NOTED],
            noted: 0,
            used: 0,
            next: 0,
        }
    }

    /// The first at or behind `from`, which may only grow. What lies before `from` may have
    /// changed meanwhile, what lies behind it may not.
    #[inline(always)]
    pub(crate) fn from(&mut self, text: &[u8], from: usize) -> Option<usize> {
        loop {
            while self.used < self.noted {
                let at = self.places[self.used % Specials::NOTED] as usize;
                self.used += 1;
                if at >= from {
                    return Some(at);
                }
            }
            if !self.look_on(text) {
                return None;
            }
        }
    }

    /// Notes the next places. False when the text is at its end.
    #[inline(never)]
    fn look_on(&mut self, text: &[u8]) -> bool {
        (self.used, self.noted) = (0, 0);
        while self.noted <= Specials::NOTED - Specials::OF_A_WORD {
            let Some(rest) = text.get(self.next..).filter(|rest| !rest.is_empty()) else {
                return self.noted > 0;
            };
            let word = match rest.first_chunk() {
                Some(word) => u64::from_le_bytes(*word),
                None => {
                    let mut word = [0; 8];
                    word[..rest.len()].copy_from_slice(rest);
                    u64::from_le_bytes(word)
                }
            };
            let mut marks = quotes_and_backslashes(word);
            while marks != 0 {
                let at = self.next + marks.trailing_zeros() as usize / 8;
                self.places[self.noted % Specials::NOTED] = at as u32;
                self.noted += 1;
                marks &= marks - 1;
            }
            self.next += 8;
        }
        true
    }
}

/// Bytes before the first that must be escaped. Looks at eight bytes at a time.
#[inline]
fn safe_length(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let below_blank = u64::wrapping_sub(word, ONES * 0x20) & !word & HIGHS;
        let found = quotes_and_backslashes(word) | below_blank;
        if found != 0 {
            // The lowest mark is right, those above it need not be.
            return at * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    words.len() * 8 + rest.iter().position(special).unwrap_or(rest.len())
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
            let mut specials = Specials::new();
            let mut from = 0;
            let mut found = Vec::new();
            while let Some(at) = specials.from(&text, from) {
                found.push(at);
                from = at + 1;
            }
            assert_eq!(found, expected, "{text:?}");
        }
        let mut specials = Specials::new();
        assert_eq!(specials.from(b"\"a\"b\"c\" \"", 3), Some(4));
    }
}
