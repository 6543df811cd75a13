//! What an index keeps of a message: its tags code and its keys.

use std::fmt;

use crate::java_hash::{continue_hash, java_hash};
use crate::properties::{KEY_SEPARATOR, KEYS, PropertiesView, TAGS, UNIQUE_KEY};
use crate::{Topic, java_hash as hash_of_text};

/// What a queue entry tells a filter of the message's tag: Java's hash of it, 0 without one.
pub fn tags_code(tags: Option<&str>) -> i64 {
    tags.map_or(0, |tags| i64::from(hash_of_text(tags)))
}

/// One of the keys under which a message is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IndexKey<'a> {
    /// The producer's id of the message.
    Unique(&'a str),
    /// One part of the `KEYS` property.
    Key(&'a str),
    /// The tag, which RocketMQ indexes under `T#tag`.
    Tag(&'a str),
}

/// Every key of a message: the unique key, then the parts of `KEYS`, then the tag.
pub fn index_keys(properties: PropertiesView<'_>) -> impl Iterator<Item = IndexKey<'_>> {
    let [unique, keys, tag] = properties.get_all([UNIQUE_KEY, KEYS, TAGS]);
    index_keys_of(unique, keys, tag)
}

/// As [`index_keys`], from the values of the three properties.
pub fn index_keys_of<'a>(
    unique: Option<&'a str>,
    keys: Option<&'a str>,
    tag: Option<&'a str>,
) -> impl Iterator<Item = IndexKey<'a>> {
    let keys = keys.unwrap_or_default().split(KEY_SEPARATOR);
    let keys = keys.filter(|key| !key.is_empty()).map(IndexKey::Key);
    let (unique, tag) = (unique.map(IndexKey::Unique), tag.map(IndexKey::Tag));
    unique.into_iter().chain(keys).chain(tag)
}

impl<'a> IndexKey<'a> {
    /// The key without what tells its kind.
    pub fn text(self) -> &'a str {
        match self {
            Self::Unique(text) | Self::Key(text) | Self::Tag(text) => text,
        }
    }

    /// RocketMQ's hash of the key within its topic, never negative.
    pub fn hash_in(self, topic: &Topic) -> u32 {
        let mut hash = continue_hash(java_hash(topic.as_str()), "#");
        if let Self::Tag(_) = self {
            hash = continue_hash(hash, "T#");
        }
        let hash = continue_hash(hash, self.text());
        // Java's absolute value of the smallest integer is itself, and then taken for 0.
        hash.checked_abs().unwrap_or(0).unsigned_abs()
    }
}

/// Written as in an index's key text, behind the topic and `#`.
impl fmt::Display for IndexKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Tag(_) = self {
            formatter.write_str("T#")?;
        }
        formatter.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Properties;

    #[test]
    fn a_message_is_indexed_by_unique_key_keys_and_tag() {
        let properties: Properties = [(TAGS, "red"), (KEYS, "k1  k2 "), (UNIQUE_KEY, "7F")]
            .into_iter()
            .collect();
        let keys: Vec<String> = index_keys(properties.view())
            .map(|key| key.to_string())
            .collect();
        assert_eq!(keys, ["7F", "k1", "k2", "T#red"]);
        assert_eq!(index_keys(PropertiesView::default()).count(), 0);
    }

    #[test]
    fn key_hashes_are_rocketmqs() {
        let topic = Topic::parse("TopicTest").expect("a topic name");
        assert_eq!(IndexKey::Key("k1").hash_in(&topic), 2_746_024);
        let tagged = java_hash("TopicTest#T#red").unsigned_abs();
        assert_eq!(IndexKey::Tag("red").hash_in(&topic), tagged);
    }

    #[test]
    fn the_smallest_hash_counts_as_zero() {
        assert_eq!(java_hash("polygenelubricants").checked_abs(), None);
        // `T#` and this text hash to the smallest integer as well.
        let topic = Topic::parse("T").expect("a topic name");
        let key = smallest_behind(java_hash("T#"));
        assert_eq!(IndexKey::Key(&key).hash_in(&topic), 0);
    }

    /// A text that takes `start` to `i32::MIN`, found by counting in base 31.
    fn smallest_behind(start: i32) -> String {
        let length = 7u32;
        let shifted = (0..length).fold(start as u32, |hash, _| hash.wrapping_mul(31));
        let mut missing = u64::from((i32::MIN as u32).wrapping_sub(shifted)) + (1u64 << 32);
        let mut units = Vec::new();
        for _ in 1..length {
            units.push(32 + ((missing - 32) % 31) as u32);
            missing = (missing - u64::from(*units.last().expect("just pushed"))) / 31;
        }
        units.push(u32::try_from(missing).expect("the rest of 33 bits by 31^6 is small"));
        units
            .iter()
            .rev()
            .map(|unit| char::from_u32(*unit).expect("a small unit"))
            .collect()
    }

    #[test]
    fn tags_codes_are_sign_extended_hashes() {
        assert_eq!(tags_code(None), 0);
        assert_eq!(tags_code(Some("TagA")), 2_598_919);
        assert_eq!(tags_code(Some("order-1")), -1_207_111_310);
    }
}
