//! Which messages of a topic a consumer wants.

use model::{Message, java_hash, properties};
use protocol::body::{ExpressionType, SubscriptionData};

use crate::Error;

/// Separates the tags of an expression.
const OR: &str = "||";
const ALL: &str = "*";

/// Which messages of a topic a consumer wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    #[default]
    All,
    /// Those with one of these tags.
    Tags(Vec<String>),
    /// Those for which the expression is true; the broker evaluates it.
    Sql(String),
}

impl Filter {
    /// Reads `*`, or tags as in `paid || sent`.
    pub fn tags(expression: &str) -> Result<Filter, Error> {
        let expression = expression.trim();
        if expression.is_empty() || expression == ALL {
            return Ok(Filter::All);
        }
        let tags: Vec<String> = expression
            .split(OR)
            .map(|tag| tag.trim().to_owned())
            .filter(|tag| !tag.is_empty())
            .collect();
        if tags.is_empty() {
            return Err(Error::Illegal {
                why: format!("the tag expression {expression:?} names no tag"),
            });
        }
        Ok(Filter::Tags(tags))
    }

    /// An SQL92 expression over the messages' properties. Whether it can be read is for the
    /// broker to say.
    pub fn sql(expression: impl Into<String>) -> Filter {
        Filter::Sql(expression.into())
    }

    /// The text that travels.
    pub(crate) fn expression(&self) -> String {
        match self {
            Filter::All => ALL.to_owned(),
            Filter::Tags(tags) => tags.join(" || "),
            Filter::Sql(expression) => expression.clone(),
        }
    }

    /// The language of that text.
    pub(crate) fn language(&self) -> &'static str {
        match self {
            Filter::All | Filter::Tags(_) => ExpressionType::TAG,
            Filter::Sql(_) => ExpressionType::SQL92,
        }
    }

    /// Whether a message that the broker let through is wanted. Brokers compare the hashes of
    /// tags only; two tags may share one.
    pub(crate) fn keeps(&self, message: &Message) -> bool {
        let Filter::Tags(tags) = self else {
            return true;
        };
        let tag = message.properties.get(properties::TAGS);
        tag.is_some_and(|tag| tags.iter().any(|wanted| wanted == tag))
    }

    /// What heartbeats say. `version` grows with every change of the subscription.
    pub(crate) fn subscription(&self, topic: &str, version: i64) -> SubscriptionData {
        let tags = match self {
            Filter::Tags(tags) => tags.clone(),
            _ => Vec::new(),
        };
        SubscriptionData {
            class_filter_mode: false,
            code_set: tags.iter().map(|tag| java_hash(tag)).collect(),
            expression_type: ExpressionType(self.language().to_owned()),
            sub_string: self.expression(),
            sub_version: version,
            tags_set: tags,
            topic: topic.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Topic;

    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: &[&str]) {
        let filter = Filter::tags(expression).expect("an expression that can be read");
        let tags = match &filter {
            Filter::Tags(tags) => tags.clone(),
            _ => vec![ALL.to_owned()],
        };
        assert_eq!(tags, expected, "{expression:?}");
    }

    #[test]
    fn tags_are_separated_by_two_bars_and_trimmed() {
        check("*", &["*"]);
        check("", &["*"]);
        check("a", &["a"]);
        check(" a||b  || c d ", &["a", "b", "c d"]);
        assert!(Filter::tags("||").is_err());
    }

    #[test]
    fn a_tag_with_the_same_hash_as_a_wanted_one_is_not_wanted() {
        assert_eq!(java_hash("Aa"), java_hash("BB"));
        let filter = Filter::tags("Aa").expect("a tag");
        let message = |tag: &str| {
            let topic = Topic::parse("t").expect("a topic's name");
            let mut message = Message::new(topic, 0, "x");
            message.properties.set(properties::TAGS, tag);
            message
        };
        assert!(filter.keeps(&message("Aa")));
        assert!(!filter.keeps(&message("BB")));
    }
}
