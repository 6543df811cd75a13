//! A message's properties, kept as the text that travels and is stored.
//!
//! ```text
//! name 0x01 value 0x02 name 0x01 value 0x02 …
//! ```
//! The text is kept rather than a map, because a stored record must be written again byte for
//! byte, and because most properties of most messages are never looked at. Reading follows
//! RocketMQ: a token without a name or without a value does not count, and of two tokens with
//! the same name the last one does.

mod names;
mod notes;
mod view;

use std::borrow::Cow;
use std::fmt::{self, Write};

use memchr::memchr2;

pub use names::*;
pub use notes::Notes;
pub use view::{PropertiesView, Tokens};

/// Ends a name.
pub const NAME_END: u8 = 0x01;
/// Ends a value.
pub const VALUE_END: u8 = 0x02;
/// Separates the keys inside `KEYS`.
pub const KEY_SEPARATOR: char = ' ';
/// Most bytes a record's properties may have.
pub const TEXT_LIMIT: usize = i16::MAX as usize;

/// The properties of one message, in the order in which they were given.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Properties {
    text: String,
}

impl Properties {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over a text as it came. Bytes that are not UTF-8 are replaced by U+FFFD.
    pub fn parse(text: &[u8]) -> Self {
        Self {
            text: String::from_utf8_lossy(text).into_owned(),
        }
    }

    /// The text to send or to store: what was parsed, and what was changed since.
    pub fn as_text(&self) -> &str {
        &self.text
    }

    /// Bytes of the text.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub fn view(&self) -> PropertiesView<'_> {
        PropertiesView::new(self.text.as_bytes())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.view().get(name)
    }

    /// As [`get`](Self::get) for several names, with one reading of the text.
    #[inline(always)]
    pub fn get_all<const N: usize>(&self, names: [&str; N]) -> [Option<&str>; N] {
        self.view().get_all(names)
    }

    /// The property's value as a number, `None` also when it is not one.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names and values in the order of the text. A repeated name is seen each time.
    pub fn iter(&self) -> Tokens<'_> {
        self.view().iter()
    }

    /// Gives a property a value, in its old place if it has one, else at the end.
    ///
    /// 0x01 and 0x02 are left out of name and value: a property must not be able to smuggle in
    /// another. An empty value removes the property, as it would on the next reading.
    pub fn set(&mut self, name: &str, value: impl fmt::Display) {
        let name = without_separators(name);
        if name.is_empty() {
            return;
        }
        if let Some(place) = view::value_range(self.text.as_bytes(), &name) {
            let value = value.to_string();
            match without_separators(&value) {
                value if value.is_empty() => drop(self.remove(&name)),
                value => self.text.replace_range(place, &value),
            }
            return;
        }
        let before = self.text.len();
        self.end_last_value();
        self.text.push_str(&name);
        self.text.push(char::from(NAME_END));
        let start = self.text.len();
        write!(self.text, "{value}").expect("a value can be displayed");
        if let Cow::Owned(value) = without_separators(&self.text[start..]) {
            self.text.truncate(start);
            self.text.push_str(&value);
        }
        if self.text.len() == start {
            self.text.truncate(before);
        } else {
            self.text.push(char::from(VALUE_END));
        }
    }

    /// Removes every token of that name and returns the value it had.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let mut removed = None;
        while let Some(place) = view::value_range(self.text.as_bytes(), name) {
            removed.get_or_insert_with(|| self.text[place.clone()].to_string());
            let start = place.start - 1 - name.len();
            let end = (place.end + 1).min(self.text.len());
            self.text.replace_range(start..end, "");
        }
        removed
    }

    /// Appends all properties of another text, as it is. Where both have a name, the appended
    /// one counts.
    pub fn append_text(&mut self, other: &Properties) {
        if other.is_empty() {
            return;
        }
        self.end_last_value();
        self.text.push_str(&other.text);
    }

    fn end_last_value(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(char::from(VALUE_END)) {
            self.text.push(char::from(VALUE_END));
        }
    }
}

fn without_separators(text: &str) -> Cow<'_, str> {
    let separators = [char::from(NAME_END), char::from(VALUE_END)];
    if memchr2(NAME_END, VALUE_END, text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(separators, ""))
}

impl From<String> for Properties {
    fn from(text: String) -> Self {
        Self { text }
    }
}

impl From<Properties> for String {
    fn from(properties: Properties) -> Self {
        properties.text
    }
}

impl From<&str> for Properties {
    fn from(text: &str) -> Self {
        Self::from(text.to_string())
    }
}

impl<N: AsRef<str>, V: fmt::Display> FromIterator<(N, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut properties = Self::new();
        for (name, value) in pairs {
            properties.set(name.as_ref(), value);
        }
        properties
    }
}

impl<'a> IntoIterator for &'a Properties {
    type Item = (&'a str, &'a str);
    type IntoIter = Tokens<'a>;

    fn into_iter(self) -> Tokens<'a> {
        self.iter()
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let properties = Properties::from(text);
        assert_eq!(properties.iter().collect::<Vec<_>>(), expected, "{text:?}");
        assert_eq!(properties.as_text(), text);
    }

    #[test]
    fn tokens_without_name_or_value_do_not_count() {
        check("", &[]);
        check("a\u{1}b\u{2}", &[("a", "b")]);
        check("a\u{1}b", &[("a", "b")]);
        check("a\u{1}\u{2}c\u{1}d\u{2}", &[("c", "d")]);
        check("\u{1}b\u{2}c\u{1}d", &[("c", "d")]);
        check("\u{2}\u{2}ab\u{2}c\u{1}d\u{1}e\u{2}", &[("c", "d\u{1}e")]);
    }

    #[test]
    fn the_last_of_equal_names_counts() {
        let properties = Properties::from("a\u{1}1\u{2}b\u{1}2\u{2}a\u{1}3\u{2}a\u{1}\u{2}");
        assert_eq!(properties.get("a"), Some("3"));
        assert_eq!(properties.number("b"), Some(2));
        assert_eq!(properties.get("c"), None);
        assert_eq!(properties.get(""), None);
    }

    #[test]
    fn several_names_are_found_as_each_by_itself() {
        let names = ["a", "b", "c", "", "\u{2}"];
        for text in [
            "",
            "a",
            "a\u{1}",
            "a\u{1}1\u{2}b\u{1}2\u{2}a\u{1}3\u{2}a\u{1}\u{2}",
            "\u{2}\u{2}ab\u{2}c\u{1}d\u{1}e\u{2}a\u{1}x",
            "\u{1}b\u{2}c\u{1}d",
            "a\u{1}\0ä\u{7f}\u{3}\u{2}\0b\u{1}1\u{2}b\u{1}ÿ\u{2}c\u{1}\u{1}",
        ] {
            let properties = Properties::from(text);
            let each = names.map(|name| properties.get(name));
            assert_eq!(properties.get_all(names), each, "{text:?}");
        }
    }

    #[test]
    fn a_name_is_found_wherever_it_stands() {
        for (before, behind) in (0..40).flat_map(|before| (0..40).map(move |b| (before, b))) {
            let around = |bytes| format!("x\u{1}{}\u{2}", "v".repeat(bytes));
            for name in ["a", "abc", "a-name-of-more-than-sixteen"] {
                let token = format!("{name}\u{1}1\u{2}");
                let text = around(before) + &token + &around(behind);
                let properties = Properties::from(text.as_str());
                assert_eq!(properties.get(name), Some("1"), "{text:?}");
                assert_eq!(properties.get(&name[1..]), None, "{text:?}");
                let twice = Properties::from(token + &text.replace("\u{1}1", "\u{1}2"));
                assert_eq!(twice.get(name), Some("2"), "{text:?}");
            }
        }
    }

    #[test]
    fn a_changed_property_keeps_its_place() {
        let mut properties = Properties::from("a\u{1}1\u{2}b\u{1}2");
        properties.set("a", "longer");
        properties.set("c", 7);
        assert_eq!(
            properties.as_text(),
            "a\u{1}longer\u{2}b\u{1}2\u{2}c\u{1}7\u{2}"
        );
    }

    #[test]
    fn removing_removes_every_token_of_the_name() {
        let mut properties = Properties::from("a\u{1}1\u{2}b\u{1}2\u{2}a\u{1}3");
        assert_eq!(properties.remove("a"), Some("3".to_string()));
        assert_eq!(properties.as_text(), "b\u{1}2\u{2}");
        assert_eq!(properties.remove("a"), None);
        properties.set("b", "");
        assert!(properties.is_empty());
    }

    #[test]
    fn a_value_cannot_smuggle_in_a_property() {
        let mut properties = Properties::new();
        properties.set("a", "x\u{2}TRAN_MSG\u{1}true");
        assert_eq!(
            properties.iter().collect::<Vec<_>>(),
            [("a", "xTRAN_MSGtrue")]
        );
    }

    #[test]
    fn an_empty_value_leaves_no_trace() {
        let mut properties = Properties::from("a\u{1}1");
        properties.set("b", "");
        properties.set("c", "\u{1}\u{2}");
        assert_eq!(properties.as_text(), "a\u{1}1");
        properties.set("a", "\u{2}");
        assert!(properties.is_empty());
    }

    #[test]
    fn appended_properties_win_over_earlier_ones() {
        let mut properties = Properties::from("a\u{1}1");
        properties.append_text(&Properties::from("a\u{1}2\u{2}"));
        assert_eq!(properties.get("a"), Some("2"));
    }

    #[test]
    fn a_value_that_is_not_utf8_hides_no_earlier_one() {
        let view = PropertiesView::new(b"a\x01first\x02a\x01\xb0\x02b\x01\xb0\x02");
        assert_eq!(view.iter().collect::<Vec<_>>(), [("a", "first")]);
        assert_eq!((view.get("a"), view.get("b")), (Some("first"), None));
        assert_eq!(view.get_all(["a", "b"]), [Some("first"), None]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        let properties = Properties::parse(b"a\x01\xff\x02b\x01c\x02");
        assert_eq!(properties.get("a"), Some("\u{fffd}"));
        assert_eq!(properties.get("b"), Some("c"));
    }
}
