//! JSON values into columns. `serde_json` reads the text, the columns decide what it means.

use std::collections::HashMap;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::{Column, Meaning, Values};

/// Above this many columns a name is hashed, below it is compared.
const COMPARED_NAMES: usize = 16;

/// Finds the column of a field name.
pub(crate) struct Names(HashMap<String, usize>);

impl Names {
    pub(crate) fn of(columns: &[Column]) -> Self {
        if columns.len() <= COMPARED_NAMES {
            return Self(HashMap::new());
        }
        Self(
            columns
                .iter()
                .enumerate()
                .map(|(index, column)| (column.name.clone(), index))
                .collect(),
        )
    }

    /// `guess` is looked at first: most writers keep the order of the columns.
    fn find(&self, columns: &[Column], guess: usize, name: &str) -> Option<usize> {
        if columns.get(guess).is_some_and(|column| column.name == name) {
            return Some(guess);
        }
        if self.0.is_empty() {
            return columns.iter().position(|column| column.name == name);
        }
        self.0.get(name).copied()
    }
}

/// Appends the fields of one JSON object. Fields nobody asked for are skipped, of two with one
/// name the last counts, and a missing one is NULL unless `missing_is_error`. After an error
/// the columns hold part of the row: cut them back.
pub(crate) fn append_object(
    columns: &mut [Column],
    names: &Names,
    text: &str,
    missing_is_error: bool,
) -> Result<(), String> {
    let row = columns.first().map_or(0, Column::len);
    let mut reader = serde_json::Deserializer::from_str(text);
    let object = Object {
        columns: &mut *columns,
        names,
        row,
    };
    reader
        .deserialize_map(object)
        .and_then(|()| reader.end())
        .map_err(|error| error.to_string())?;
    for column in columns {
        if column.len() == row {
            if missing_is_error {
                return Err(format!("field \"{}\" is missing", column.name));
            }
            column.append_null()?;
        }
    }
    Ok(())
}

impl Column {
    /// Appends one JSON value, given as its text.
    fn append_json(&mut self, text: &str) -> Result<(), String> {
        match text.as_bytes().first() {
            Some(b'n') => self.append_null(),
            Some(b'"') => {
                let inner = &text[1..text.len() - 1];
                if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
                    return self.append_text(inner);
                }
                let unescaped: String =
                    serde_json::from_str(text).map_err(|error| error.to_string())?;
                self.append_text(&unescaped)
            }
            Some(b'[' | b'{') if self.meaning != Meaning::Text => self.append_nested(text),
            // A bare number or boolean could pass for base64.
            _ if self.meaning == Meaning::Binary => Err(self.refusal(text)),
            _ => self.append_text(text),
        }
    }

    fn append_nested(&mut self, text: &str) -> Result<(), String> {
        let opens = text.as_bytes()[0];
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = match (&mut self.values, opens) {
            (Values::List { item, .. }, b'[') => reader.deserialize_seq(Items(item)),
            (Values::Map { key, value, .. }, b'{') => {
                reader.deserialize_map(Entries { key, value })
            }
            (Values::Row(fields), b'{') => {
                append_object(fields, &Names(HashMap::new()), text, false)?;
                self.append_valid();
                return Ok(());
            }
            _ => return Err(self.refusal(text)),
        };
        read.map_err(|error| error.to_string())?;
        if let Values::List {
            ends,
            item: entries,
        }
        | Values::Map {
            ends, key: entries, ..
        } = &mut self.values
        {
            let end = i32::try_from(entries.len())
                .map_err(|_| format!("field \"{}\" is full", self.name))?;
            ends.push(end);
        }
        self.append_valid();
        Ok(())
    }
}

struct Object<'a> {
    columns: &'a mut [Column],
    names: &'a Names,
    row: usize,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut guess = 0;
        while let Some(found) = map.next_key_seed(Name {
            columns: self.columns,
            names: self.names,
            guess,
        })? {
            let Some(index) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &'de RawValue = map.next_value()?;
            let column = &mut self.columns[index];
            if column.len() > self.row {
                column.truncate(self.row);
            }
            column.append_json(value.get()).map_err(A::Error::custom)?;
            guess = index + 1;
        }
        Ok(())
    }
}

struct Name<'a> {
    columns: &'a [Column],
    names: &'a Names,
    guess: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.names.find(self.columns, self.guess, name))
    }
}

struct Items<'a>(&'a mut Column);

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&'de RawValue>()? {
            self.0.append_json(item.get()).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

struct Entries<'a> {
    key: &'a mut Column,
    value: &'a mut Column,
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            self.key.append_text(&key).map_err(A::Error::custom)?;
            let value: &'de RawValue = map.next_value()?;
            self.value
                .append_json(value.get())
                .map_err(A::Error::custom)?;
        }
        Ok(())
    }
}
