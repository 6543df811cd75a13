//! Reads properties where they lie, without copying or allocating.

use std::ops::Range;

use memchr::memchr;
use wide::u8x16;

use super::{NAME_END, VALUE_END};

/// Borrowed properties, as they lie in a record or a request.
///
/// A name or value that is not UTF-8 is not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PropertiesView<'a> {
    text: &'a [u8],
}

impl<'a> PropertiesView<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text }
    }

    pub fn as_bytes(self) -> &'a [u8] {
        self.text
    }

    /// The value that counts: the last one given to this name.
    pub fn get(self, name: &str) -> Option<&'a str> {
        let range = value_range(self.text, name)?;
        let value = std::str::from_utf8(&self.text[range]).ok();
        value.or_else(|| self.last_seen(name))
    }

    /// The same, past values that are not UTF-8.
    #[cold]
    fn last_seen(self, name: &str) -> Option<&'a str> {
        let tokens = self.iter().filter(|(other, _)| *other == name);
        tokens.last().map(|(_, value)| value)
    }

    /// As [`get`](Self::get) for several names, with one reading of the text.
    ///
    /// ```
    /// # use model::PropertiesView;
    /// let properties = PropertiesView::new(b"a\x011\x02b\x012\x02");
    /// let [b, c] = properties.get_all(["b", "c"]);
    /// assert_eq!((b, c), (Some("2"), None));
    /// ```
    // The names are constants: compiled into the caller, a comparison is a look at two words.
    #[inline(always)]
    pub fn get_all<const N: usize>(self, names: [&str; N]) -> [Option<&'a str>; N] {
        let wanted = names
            .iter()
            .fold(0, |all, name| all | mark(name.as_bytes()));
        let mut found: [&[u8]; N] = [&[]; N];
        self.tokens(|name, value| {
            if mark(name) & wanted == 0 {
                return;
            }
            for (wanted, found) in names.iter().zip(&mut found) {
                if wanted.as_bytes() == name {
                    *found = value;
                }
            }
        });
        let mut names = names.into_iter();
        found.map(|value| {
            let name = names.next()?;
            match value {
                [] => None,
                value => std::str::from_utf8(value)
                    .ok()
                    .or_else(|| self.last_seen(name)),
            }
        })
    }

    pub fn iter(self) -> Tokens<'a> {
        Tokens { rest: self.text }
    }

    /// Every name with its value, as bytes; tokens without one of them are left out.
    #[inline(always)]
    pub(super) fn tokens(self, mut each: impl FnMut(&'a [u8], &'a [u8])) {
        let text = self.text;
        let (mut start, mut middle) = (0, None);
        separators(text, |at| {
            if text.get(at) == Some(&NAME_END) {
                // Another one belongs to the value.
                middle.get_or_insert(at);
                return;
            }
            if let Some(middle) = middle.take() {
                let (name, value) = (&text[start..middle], &text[middle + 1..at]);
                if !name.is_empty() && !value.is_empty() {
                    each(name, value);
                }
            }
            start = at + 1;
        });
    }
}

/// One of 64 bits that tells most names apart; 0 for none.
#[inline(always)]
pub(super) const fn mark(name: &[u8]) -> u64 {
    match name.last() {
        Some(last) => 1 << ((*last as usize * 5 + name.len()) % 64),
        None => 0,
    }
}

/// Calls `found` with the place of every separator, and with the end of the text.
///
/// They are close to each other: a search that begins anew behind each of them costs more than
/// this look at all bytes, sixteen at a time.
#[inline(always)]
fn separators(text: &[u8], mut found: impl FnMut(usize)) {
    let highest = u8x16::splat(VALUE_END);
    let (sixteens, rest) = text.as_chunks::<16>();
    // The end is found as one more separator.
    let mut last = [u8::MAX; 16];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = VALUE_END;
    for (number, bytes) in sixteens.iter().chain([&last]).enumerate() {
        let bytes = u8x16::new(*bytes);
        let mut small = bytes.min(highest).simd_eq(bytes).to_bitmask();
        while small != 0 {
            let at = number * 16 + small.trailing_zeros() as usize;
            if text.get(at) != Some(&0) {
                found(at);
            }
            small &= small - 1;
        }
    }
}

impl<'a> IntoIterator for PropertiesView<'a> {
    type Item = (&'a str, &'a str);
    type IntoIter = Tokens<'a>;

    fn into_iter(self) -> Tokens<'a> {
        self.iter()
    }
}

/// Names and values in the order of the text.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let end = memchr(VALUE_END, self.rest).unwrap_or(self.rest.len());
            let token = &self.rest[..end];
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if let Some(pair) = pair(token) {
                return Some(pair);
            }
        }
        None
    }
}

fn pair(token: &[u8]) -> Option<(&str, &str)> {
    let middle = memchr(NAME_END, token)?;
    let (name, value) = (&token[..middle], &token[middle + 1..]);
    if name.is_empty() || value.is_empty() {
        return None;
    }
    Some((
        std::str::from_utf8(name).ok()?,
        std::str::from_utf8(value).ok()?,
    ))
}

/// Where the value lies that counts for this name: the last one that is not empty.
pub(super) fn value_range(text: &[u8], name: &str) -> Option<Range<usize>> {
    let name = name.as_bytes();
    if name.is_empty() || name.contains(&VALUE_END) {
        return None;
    }
    // The value of the token that begins there, if it has this name.
    let value_of = |start: usize| {
        let named = text[start..].strip_prefix(name)?;
        let rest = named.strip_prefix(&[NAME_END])?;
        let value = text.len() - rest.len();
        let length = memchr(VALUE_END, rest).unwrap_or(rest.len());
        (length > 0).then_some(value..value + length)
    };
    last_between(text, name.len(), value_of).or_else(|| value_of(0))
}

/// Asks `found` for every place, from the last to the first, that comes behind the end of a value
/// and has the end of a name `length` bytes behind it.
#[inline(always)]
fn last_between<T>(
    text: &[u8],
    length: usize,
    mut found: impl FnMut(usize) -> Option<T>,
) -> Option<T> {
    // Each place with the one behind the name that would follow it, sixteen pairs at a time.
    let distance = length + 1;
    let places = text.len().checked_sub(distance)?;
    let (values, names) = (text[..places].as_rchunks(), text[distance..].as_rchunks());
    let (ends, middles) = (u8x16::splat(VALUE_END), u8x16::splat(NAME_END));
    for (number, (value, name)) in values.1.iter().zip(names.1).enumerate().rev() {
        let both = u8x16::new(*value).simd_eq(ends) & u8x16::new(*name).simd_eq(middles);
        let mut both = both.to_bitmask();
        while let Some(highest) = both.checked_ilog2() {
            let at = values.0.len() + number * 16 + highest as usize;
            if let Some(found) = found(at + 1) {
                return Some(found);
            }
            both ^= 1 << highest;
        }
    }
    let fits = |at: &usize| text[*at] == VALUE_END && text[at + distance] == NAME_END;
    let front = (0..values.0.len()).rev();
    front.filter(fits).find_map(|at| found(at + 1))
}
