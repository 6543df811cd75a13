//! Reads properties where they lie, without copying or allocating.

use std::ops::Range;

use memchr::{memchr, memrchr_iter};

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
        std::str::from_utf8(&self.text[range]).ok()
    }

    pub fn iter(self) -> Tokens<'a> {
        Tokens { rest: self.text }
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
    if name.is_empty() {
        return None;
    }
    // From the end of one name to the end of the one before it: values are not looked at.
    memrchr_iter(NAME_END, text).find_map(|middle| {
        let start = middle.checked_sub(name.len())?;
        let begins = start == 0 || text[start - 1] == VALUE_END;
        if !begins || &text[start..middle] != name || name.contains(&VALUE_END) {
            return None;
        }
        let value = middle + 1;
        let length = memchr(VALUE_END, &text[value..]).unwrap_or(text.len() - value);
        (length > 0).then_some(value..value + length)
    })
}
