//! Names of topics and consumer groups, checked once at the door.

use std::fmt;
use std::sync::Arc;

use crate::system_topics;

const RETRY_PREFIX: &str = "%RETRY%";
const DEAD_LETTER_PREFIX: &str = "%DLQ%";
const LITE_PREFIX: &str = "%LMQ%";

/// Longest name of an ordinary topic, in characters.
const TOPIC_LIMIT: usize = 127;
/// Longest name of a retry or dead-letter topic, in characters.
const GROUP_TOPIC_LIMIT: usize = 255;
/// Longest name of a consumer group, in characters.
const GROUP_LIMIT: usize = 120;

/// Why a text is not the name, or the id, it was taken for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the {what} is empty")]
    Empty { what: &'static str },
    #[error("the {what} has {length} characters, at most {limit} are allowed")]
    TooLong {
        what: &'static str,
        length: usize,
        limit: usize,
    },
    #[error("the {what} {name:?} contains {character:?}; allowed are a-z A-Z 0-9 % | - _")]
    IllegalCharacter {
        what: &'static str,
        name: String,
        character: char,
    },
    #[error("{text:?} is not a message id: 32 or 56 hexadecimal digits were expected")]
    NotAMessageId { text: String },
}

/// Name of a topic. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Accepts what RocketMQ lets a user name a topic: 1 to 127 characters of
    /// `a-z A-Z 0-9 % | - _`, up to 255 for retry and dead-letter topics.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let belongs_to_group =
            name.starts_with(RETRY_PREFIX) || name.starts_with(DEAD_LETTER_PREFIX);
        let limit = if belongs_to_group {
            GROUP_TOPIC_LIMIT
        } else {
            TOPIC_LIMIT
        };
        checked("topic", name, limit)?;
        Ok(Self(name.into()))
    }

    /// Accepts what a record or a table of an existing store may hold.
    ///
    /// Brokers and clusters name topics after themselves without asking the rule of
    /// [`Topic::parse`], so a host name with dots is found here. Empty names, names of more
    /// than 255 bytes and control characters are refused all the same.
    pub fn stored(name: &str) -> Result<Self, NameError> {
        sane("topic", name, GROUP_TOPIC_LIMIT)?;
        Ok(Self(name.into()))
    }

    /// A name of our own making that keeps the rule by construction.
    pub(crate) fn known(name: &str) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for `%RETRY%group`.
    pub fn is_retry(&self) -> bool {
        self.0.starts_with(RETRY_PREFIX)
    }

    /// True for `%DLQ%group`.
    pub fn is_dead_letter(&self) -> bool {
        self.0.starts_with(DEAD_LETTER_PREFIX)
    }

    /// True for `%LMQ%name`.
    pub fn is_lite(&self) -> bool {
        self.0.starts_with(LITE_PREFIX)
    }

    /// True for topics that RocketMQ or Millstream use for themselves.
    ///
    /// Topics named after a broker or a cluster are not known here.
    pub fn is_system(&self) -> bool {
        system_topics::is_system(&self.0)
    }

    /// True for the system topics into which no client may send.
    pub fn refuses_sends(&self) -> bool {
        system_topics::refuses_sends(&self.0)
    }

    /// The group whose retry or dead-letter topic this is.
    ///
    /// `None` also when what follows the prefix is not a group name, as in the longer retry
    /// topics of POP, which hold `group_topic`.
    pub fn group(&self) -> Option<ConsumerGroup> {
        let name = self
            .0
            .strip_prefix(RETRY_PREFIX)
            .or_else(|| self.0.strip_prefix(DEAD_LETTER_PREFIX))?;
        ConsumerGroup::parse(name).ok()
    }
}

/// Name of a consumer group. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerGroup(Arc<str>);

impl ConsumerGroup {
    /// Accepts 1 to 120 characters of `a-z A-Z 0-9 % | - _`.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        checked("consumer group", name, GROUP_LIMIT)?;
        Ok(Self(name.into()))
    }

    /// Accepts what a table of an existing store may hold, by the rule of [`Topic::stored`].
    pub fn stored(name: &str) -> Result<Self, NameError> {
        sane("consumer group", name, GROUP_TOPIC_LIMIT)?;
        Ok(Self(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where messages wait that this group failed to consume.
    pub fn retry_topic(&self) -> Topic {
        Topic::known(&format!("{RETRY_PREFIX}{}", self.0))
    }

    /// Where messages end that this group failed to consume too often.
    pub fn dead_letter_topic(&self) -> Topic {
        Topic::known(&format!("{DEAD_LETTER_PREFIX}{}", self.0))
    }

    /// True for groups that RocketMQ's own tools and services use.
    pub fn is_system(&self) -> bool {
        system_topics::is_system_group(&self.0)
    }
}

fn checked(what: &'static str, name: &str, limit: usize) -> Result<(), NameError> {
    sane(what, name, usize::MAX)?;
    let allowed = |character: char| character.is_ascii_alphanumeric() || "%|-_".contains(character);
    if let Some(character) = name.chars().find(|&character| !allowed(character)) {
        return Err(illegal(what, name, character));
    }
    too_long(what, name.len(), limit)
}

fn sane(what: &'static str, name: &str, limit: usize) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty { what });
    }
    if let Some(character) = name.chars().find(|character| character.is_control()) {
        return Err(illegal(what, name, character));
    }
    too_long(what, name.len(), limit)
}

fn too_long(what: &'static str, length: usize, limit: usize) -> Result<(), NameError> {
    if length <= limit {
        return Ok(());
    }
    Err(NameError::TooLong {
        what,
        length,
        limit,
    })
}

/// Quotes at most the first 64 characters: the name came from somebody else.
fn illegal(what: &'static str, name: &str, character: char) -> NameError {
    NameError::IllegalCharacter {
        what,
        name: name.chars().take(64).collect(),
        character,
    }
}

macro_rules! text_forms {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, formatter)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::parse(name)
            }
        }
    };
}

text_forms!(Topic);
text_forms!(ConsumerGroup);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names_follow_rocketmqs_rule() {
        for good in ["T", "%RETRY%g", "a|b-c_d%9", &"t".repeat(127)] {
            assert_eq!(
                Topic::parse(good).map(|topic| topic.to_string()),
                Ok(good.to_string())
            );
        }
        for bad in ["", "a b", "a.b", "a/b", "ä", "a\u{1}b", &"t".repeat(128)] {
            assert!(Topic::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn retry_and_dead_letter_topics_may_be_longer_than_others() {
        let longest = format!("%RETRY%{}", "g".repeat(248));
        assert!(Topic::parse(&longest).is_ok());
        assert!(Topic::parse(&format!("{longest}g")).is_err());
    }

    #[test]
    fn a_stored_topic_may_be_a_host_name() {
        assert!(Topic::stored("broker-a.example.org").is_ok());
        assert!(Topic::stored("a\nb").is_err());
        assert!(Topic::stored("").is_err());
        assert!(Topic::stored(&"t".repeat(256)).is_err());
    }

    #[test]
    fn a_group_finds_its_topics_and_they_find_the_group() {
        let group = ConsumerGroup::parse("orders").expect("a group name");
        assert_eq!(group.retry_topic().as_str(), "%RETRY%orders");
        assert_eq!(group.dead_letter_topic().as_str(), "%DLQ%orders");
        assert_eq!(group.retry_topic().group(), Some(group.clone()));
        assert_eq!(group.dead_letter_topic().group(), Some(group));
        assert!(Topic::known("%RETRY%x").is_retry());
        assert!(Topic::known("%DLQ%x").is_dead_letter());
        assert_eq!(Topic::known("orders").group(), None);
    }
}
