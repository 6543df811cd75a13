//! What the options of a `rocketmq` table mean.

use std::collections::BTreeMap;

use dataflow::TableSpec;
use format::{Format, Options};
use model::{ConsumerGroup, Topic};

use super::start::Start;
use crate::BoxError;

/// The options of one table, read.
#[derive(Clone, Debug)]
pub(crate) struct TopicOptions {
    pub(crate) topic: Topic,
    pub(crate) group: Option<ConsumerGroup>,
    pub(crate) start: Start,
    pub(crate) tag: Option<String>,
    pub(crate) sql: Option<String>,
    /// The column that holds the tag of a written row.
    pub(crate) tag_column: Option<Beside>,
    /// The columns that hold the keys of a written row.
    pub(crate) key_columns: Vec<Beside>,
    pub(crate) format: Format,
    pub(crate) format_options: Options,
}

/// A column that is written beside the body of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beside {
    pub(crate) column: String,
    /// Whether it is part of the body as well.
    pub(crate) in_body: bool,
}

impl TopicOptions {
    /// Keys were checked when the table was declared; values are checked here.
    pub(crate) fn of(table: &TableSpec) -> Result<TopicOptions, BoxError> {
        let option = |key: &str| table.options.get(key).map(String::as_str);
        let format: Format = option("format").unwrap_or("json").parse()?;
        let prefix = format!("{format}.");
        let given: BTreeMap<_, _> = table
            .options
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?.to_owned(), value.clone())))
            .collect();
        let topic = option("topic")
            .ok_or_else(|| format!("table {} needs the option 'topic'", table.name))?;
        if let Some(encoding) = option("encoding").filter(|name| !is_utf_8(name)) {
            return Err(format!("'encoding' = '{encoding}': records are written in UTF-8").into());
        }
        Ok(TopicOptions {
            topic: Topic::parse(topic)?,
            group: option("consumerGroup")
                .map(ConsumerGroup::parse)
                .transpose()?,
            start: Start::of(option)?,
            tag: option("tag").map(str::to_owned),
            sql: option("sql").map(str::to_owned),
            tag_column: tag_column(option)?,
            key_columns: key_columns(option)?,
            format,
            format_options: Options::parse(format, &given)?,
        })
    }
}

fn is_utf_8(encoding: &str) -> bool {
    ["utf-8", "utf8"].contains(&encoding.to_ascii_lowercase().as_str())
}

fn tag_column<'a>(option: impl Fn(&str) -> Option<&'a str>) -> Result<Option<Beside>, BoxError> {
    let dynamic = boolean(&option, "isDynamicTag", false)?;
    let in_body = boolean(&option, "dynamicTagColumnWriteIncluded", true)?;
    match (option("dynamicTagColumn"), dynamic) {
        (Some(column), true) => Ok(Some(Beside {
            column: column.to_owned(),
            in_body,
        })),
        (None, true) => Err("'isDynamicTag' = 'true' needs 'dynamicTagColumn'".into()),
        (Some(_), false) => Err("'dynamicTagColumn' needs 'isDynamicTag' = 'true'".into()),
        (None, false) => Ok(None),
    }
}

fn key_columns<'a>(option: impl Fn(&str) -> Option<&'a str>) -> Result<Vec<Beside>, BoxError> {
    let in_body = boolean(&option, "writeKeysToBody", false)?;
    let names = option("keyColumns")
        .into_iter()
        .flat_map(|names| names.split(','));
    Ok(names
        .map(|name| Beside {
            column: name.trim().to_owned(),
            in_body,
        })
        .collect())
}

fn boolean<'a>(
    option: &impl Fn(&str) -> Option<&'a str>,
    key: &str,
    otherwise: bool,
) -> Result<bool, BoxError> {
    match option(key) {
        None => Ok(otherwise),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(format!("'{key}' = '{other}' is neither true nor false").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(given: &[(&str, &str)]) -> Result<TopicOptions, String> {
        let given = [("topic", "t")].iter().chain(given);
        let table = TableSpec {
            name: "t".to_owned(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            watermark: None,
            options: given
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            place: String::new(),
        };
        TopicOptions::of(&table).map_err(|why| why.to_string())
    }

    #[test]
    fn columns_beside_the_body_are_named_by_flinks_options() {
        let beside = |column: &str, in_body| Beside {
            column: column.to_owned(),
            in_body,
        };
        let tag = [("isDynamicTag", "true"), ("dynamicTagColumn", "kind")];
        let read = options(&tag).expect("both are given");
        assert_eq!(read.tag_column, Some(beside("kind", true)));
        let read = options(&[("keyColumns", "a, b")]).expect("it is enough");
        assert_eq!(read.key_columns, [beside("a", false), beside("b", false)]);
        let both = [("keyColumns", "a"), ("writeKeysToBody", "true")];
        let read = options(&both).expect("both are known");
        assert_eq!(read.key_columns, [beside("a", true)]);
    }

    #[test]
    fn a_value_without_a_meaning_is_refused() {
        for (given, why) in [
            (("isDynamicTag", "true"), "needs 'dynamicTagColumn'"),
            (("dynamicTagColumn", "kind"), "needs 'isDynamicTag'"),
            (("writeKeysToBody", "yes"), "neither true nor false"),
            (("encoding", "GBK"), "UTF-8"),
        ] {
            let said = options(&[given]).expect_err("it has no meaning");
            assert!(said.contains(why), "{said}");
        }
        options(&[("encoding", "utf-8")]).expect("it is UTF-8");
    }
}
