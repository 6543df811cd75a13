//! Which messages of a queue a consumer wants.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::record::RecordView;
use model::{PropertiesView, java_hash};
use store::{IndexEntry, Wanted};

use crate::Error;
use crate::long_polls::Interest;

/// A subscription's expression, ready to be asked. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Filter {
    /// Every message.
    All,
    /// Messages with one of these tags. RocketMQ compares hashes here and leaves the text to the
    /// client, so two tags of one hash both pass.
    Tags(Arc<[i64]>),
    /// Messages whose properties fulfil an SQL92 condition.
    Sql(Arc<sql_filter::Filter>),
}

impl Filter {
    /// Reads `expression` in the language the client names: `TAG` (also when it names none) or `SQL92`.
    pub fn parse(language: Option<&str>, expression: &str) -> Result<Filter, Error> {
        match language.unwrap_or("TAG") {
            "TAG" | "" => Ok(Filter::tags(expression)),
            "SQL92" => sql_filter::Filter::parse(expression)
                .map(|filter| Filter::Sql(Arc::new(filter)))
                .map_err(|why| Error::Filter {
                    why: why.to_string(),
                }),
            other => Err(Error::Filter {
                why: format!("{other:?} is neither TAG nor SQL92"),
            }),
        }
    }

    fn tags(expression: &str) -> Filter {
        let tags: BTreeSet<&str> = expression
            .split("||")
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
            .collect();
        if tags.is_empty() || tags.contains("*") {
            return Filter::All;
        }
        Filter::Tags(
            tags.into_iter()
                .map(|tag| i64::from(java_hash(tag)))
                .collect(),
        )
    }

    /// The same by the hash codes a client sent.
    pub fn codes(codes: impl IntoIterator<Item = i64>) -> Filter {
        let codes: Arc<[i64]> = codes.into_iter().collect();
        if codes.is_empty() {
            Filter::All
        } else {
            Filter::Tags(codes)
        }
    }

    pub(crate) fn interest(&self) -> Interest {
        match self {
            Filter::Tags(codes) => Interest::Tags(codes.clone()),
            Filter::All | Filter::Sql(_) => Interest::Any,
        }
    }
}

impl Wanted for Filter {
    fn entry(&self, entry: &IndexEntry) -> bool {
        match self {
            Filter::All | Filter::Sql(_) => true,
            Filter::Tags(codes) => codes.contains(&entry.tags_code),
        }
    }

    fn looks_inside(&self) -> bool {
        matches!(self, Filter::Sql(_))
    }

    fn record(&self, record: &RecordView<'_>) -> bool {
        match self {
            Filter::Sql(filter) => filter.matches(&Lookup(record.properties)),
            Filter::All | Filter::Tags(_) => true,
        }
    }
}

struct Lookup<'a>(PropertiesView<'a>);

impl sql_filter::PropertyLookup for Lookup<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_of_tags_keeps_their_hashes() {
        let Filter::Tags(codes) = Filter::tags(" TagA || TagB||") else {
            panic!("two tags are a tag filter")
        };
        assert_eq!(
            codes.iter().copied().collect::<BTreeSet<_>>(),
            BTreeSet::from([2_598_919, 2_598_920])
        );
        assert!(matches!(Filter::tags("*"), Filter::All));
        assert!(matches!(Filter::tags("a || *"), Filter::All));
        assert!(matches!(Filter::tags(""), Filter::All));
    }

    #[test]
    fn a_condition_is_read_or_refused_with_the_parsers_words() {
        assert!(matches!(
            Filter::parse(Some("SQL92"), "a > 5"),
            Ok(Filter::Sql(_))
        ));
        assert!(matches!(
            Filter::parse(Some("SQL92"), "a >"),
            Err(Error::Filter { .. })
        ));
        assert!(matches!(
            Filter::parse(Some("JQ"), "."),
            Err(Error::Filter { .. })
        ));
    }
}
