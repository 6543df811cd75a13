//! What a topic's record says beside its body: tag, keys, which row it is about, and whether that
//! row is gone.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use dataflow::{ColumnKind, TableSpec};
use format::{Encoder, Format, Options};
use model::{Message, properties};

use super::TopicOptions;
use super::options::Beside;
use crate::BoxError;

/// The primary key of the row that a record is about, as a JSON object.
const KEY: &str = "MILLSTREAM_KEY";
/// What a record does to its row, if not to give it a new content.
const OPERATION: &str = "MILLSTREAM_OP";
const DELETE: &str = "DELETE";
/// Bytes of properties that a message has room for beside what clients and brokers add.
const ROOM: usize = properties::TEXT_LIMIT - 2_048;

/// Name and value of each property.
pub(super) type Named = Vec<(String, String)>;

/// Writes the properties of a sink's records. Columns are positions among the written ones.
pub(super) struct Envelope {
    /// What is written into `TAGS` and, as it is, into `KEYS`.
    tags: Option<usize>,
    keys: Option<usize>,
    /// Otherwise the values of these are the keys, each with what writes it.
    named_by: Vec<(usize, Encoder)>,
    /// The primary key, and what writes it whole.
    key: Vec<usize>,
    whole_key: Encoder,
    /// What is no part of the body.
    outside: BTreeSet<usize>,
    /// The tag of records whose row names none.
    tag: Option<String>,
}

impl Envelope {
    /// `written` are the columns that a sink writes.
    pub(super) fn new(
        table: &TableSpec,
        written: &SchemaRef,
        options: &TopicOptions,
    ) -> Result<Envelope, BoxError> {
        let columns = Columns { table, written };
        let (mut tags, keys) = (columns.metadata("tags"), columns.metadata("keys"));
        let mut outside: BTreeSet<usize> = tags.into_iter().chain(keys).collect();
        if let Some(beside) = &options.tag_column {
            let column = columns.named(beside, "dynamicTagColumn", &mut outside)?;
            if tags.replace(column).is_some() {
                return Err(twice("dynamicTagColumn", "tags"));
            }
            if *written.field(column).data_type() != DataType::Utf8 {
                let name = &beside.column;
                return Err(format!("column {name} is no STRING: it cannot be a tag").into());
            }
        }
        if keys.is_some() && !options.key_columns.is_empty() {
            return Err(twice("keyColumns", "keys"));
        }
        let key = columns.primary_key();
        let named_by = match options.key_columns.as_slice() {
            [] => key.clone(),
            named => named
                .iter()
                .map(|beside| columns.named(beside, "keyColumns", &mut outside))
                .collect::<Result<_, _>>()?,
        };
        let encoder = |format, columns: &[usize]| -> Result<Encoder, BoxError> {
            let columns: Schema = written.project(columns)?;
            Ok(Encoder::new(format, columns.into(), Options::default())?)
        };
        let named_by = named_by
            .into_iter()
            .map(|column| Ok((column, encoder(Format::Raw, &[column])?)));
        Ok(Envelope {
            tags,
            keys,
            named_by: named_by.collect::<Result<_, BoxError>>()?,
            whole_key: encoder(Format::Json, &key)?,
            key,
            outside,
            tag: options.tag.clone(),
        })
    }

    /// Positions of the primary key among the written columns.
    pub(super) fn key(&self) -> &[usize] {
        &self.key
    }

    /// Positions of the columns that are the body's.
    pub(super) fn body(&self, written: &SchemaRef) -> Vec<usize> {
        (0..written.fields().len())
            .filter(|column| !self.outside.contains(column))
            .collect()
    }

    /// Of each row the properties of a record with its content.
    pub(super) fn properties(&self, rows: &RecordBatch) -> Result<Vec<Named>, BoxError> {
        if self.named_by.is_empty() && self.tags.is_none() && self.keys.is_none() {
            let tag = self.tag.iter();
            let same = tag.map(|tag| (properties::TAGS.to_owned(), tag.clone()));
            return Ok(vec![same.collect(); rows.num_rows()]);
        }
        let primary = self.whole_key.encode(&rows.project(&self.key)?)?;
        let values = self
            .named_by
            .iter()
            .map(|(column, encoder)| Ok(encoder.encode(&rows.project(&[*column])?)?))
            .collect::<Result<Vec<_>, BoxError>>()?;
        let text = |column: Option<usize>, row: usize| {
            let column = rows.column(column?).as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        let mut all = Vec::with_capacity(rows.num_rows());
        for (row, primary) in primary.iter().enumerate() {
            let has_key = !self.key.is_empty();
            let values = values.iter().map(|column| index_key(&column[row]));
            let keys = text(self.keys, row).or_else(|| {
                let keys: Vec<String> = values.filter(|key| !key.is_empty()).collect();
                (!self.named_by.is_empty()).then(|| keys.join(" "))
            });
            let primary = has_key.then(|| String::from_utf8_lossy(primary).into_owned());
            let named = [
                (properties::TAGS, text(self.tags, row).or(self.tag.clone())),
                (properties::KEYS, keys),
                (KEY, primary),
            ];
            let named: Named = named
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect();
            let bytes: usize = named
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum();
            if bytes > ROOM {
                return Err(format!(
                    "tags, keys and primary key of a row have {bytes} bytes; \
                     the properties of a message have room for {ROOM}"
                )
                .into());
            }
            all.push(named);
        }
        Ok(all)
    }
}

/// Finds the columns of a table among those that a sink writes.
struct Columns<'a> {
    table: &'a TableSpec,
    written: &'a SchemaRef,
}

impl Columns<'_> {
    fn metadata(&self, wanted: &str) -> Option<usize> {
        self.table.persisted().position(
            |column| matches!(&column.kind, ColumnKind::Metadata { key, .. } if key == wanted),
        )
    }

    fn primary_key(&self) -> Vec<usize> {
        let key = self.table.primary_key.iter();
        key.filter_map(|position| {
            let name = &self.table.columns.get(*position)?.name;
            self.written.index_of(name).ok()
        })
        .collect()
    }

    /// A column that an option names; noted if it is no part of the body.
    fn named(
        &self,
        beside: &Beside,
        option: &str,
        outside: &mut BTreeSet<usize>,
    ) -> Result<usize, BoxError> {
        let column = self.written.index_of(&beside.column).map_err(|_| {
            let (table, column) = (&self.table.name, &beside.column);
            format!("'{option}' names the column {column}, which table {table} does not write")
        })?;
        outside.extend((!beside.in_body).then_some(column));
        Ok(column)
    }
}

fn twice(option: &str, metadata: &str) -> BoxError {
    format!("'{option}' and a METADATA column of '{metadata}' say the same: leave one out").into()
}

/// Makes a record the deletion of its row.
pub(super) fn delete(properties: &mut Named) {
    properties.push((OPERATION.to_owned(), DELETE.to_owned()));
}

/// Why a message is no row, if it is the deletion of one.
pub(super) fn deletion(message: &Message) -> Option<String> {
    if !message.body.is_empty() || message.properties.get(OPERATION) != Some(DELETE) {
        return None;
    }
    let key = message.properties.get(KEY).unwrap_or("a row");
    Some(format!(
        "it is a tombstone, the deletion of {key}: the topic is the changelog of a table with a \
         primary key, and is read here as rows that stay; \
         SET 'errors.undecodable' = 'skip' reads past it"
    ))
}

/// A value of a primary key as a key that its message is found by. Blanks separate keys, so that
/// blanks, control characters and `%` inside a value are written as `%20`, as in addresses.
fn index_key(value: &[u8]) -> String {
    let value = String::from_utf8_lossy(value);
    let mut key = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '%' | ' ' | '\0'..='\x1f' | '\x7f' => {
                key.push_str(&format!("%{:02X}", u32::from(character)));
            }
            plain => key.push(plain),
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_inside_a_value_does_not_make_two_keys_of_it() {
        for (value, key) in [
            ("/", "/"),
            ("New York", "New%20York"),
            ("a\u{1}\tb", "a%01%09b"),
            ("5%", "5%25"),
            ("Zürich", "Zürich"),
        ] {
            assert_eq!(index_key(value.as_bytes()), key);
        }
    }
}
