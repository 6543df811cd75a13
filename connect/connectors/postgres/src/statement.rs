//! The statement that writes rows, whatever their number: each column is one array.

use std::collections::HashMap;

use arrow::datatypes::Schema;
use connect_sdk::Error;

use crate::table::{Table, identifier};

/// The SQL that writes rows of one schema into a table.
pub(crate) struct Write {
    pub(crate) sql: String,
    /// Places of the key columns, empty in mode insert.
    key: Vec<usize>,
}

impl Write {
    pub(crate) fn new(
        table: &Table,
        schema: &Schema,
        key: Option<&[String]>,
    ) -> Result<Self, Error> {
        let types = table.types_of(schema)?;
        let names: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| identifier(field.name()))
            .collect();
        let numbered = |shape: &dyn Fn(usize) -> String| {
            (0..names.len()).map(shape).collect::<Vec<_>>().join(", ")
        };
        let mut sql = format!(
            "INSERT INTO {} ({}) SELECT {} FROM unnest({}) AS given({})",
            table.name,
            names.join(", "),
            numbered(&|place| format!("given.c{place}::{}", types[place])),
            numbered(&|place| format!("${}::text[]", place + 1)),
            numbered(&|place| format!("c{place}")),
        );
        let Some(key) = key else {
            return Ok(Self {
                sql,
                key: Vec::new(),
            });
        };
        let places = key.iter().map(|name| {
            schema.index_of(name).map_err(|_| {
                Error::config(
                    format!("the records have no column \"{name}\", which is part of the key"),
                    "add it to schema, or choose another key",
                )
            })
        });
        let key_places = places.collect::<Result<Vec<_>, _>>()?;
        let conflict: Vec<String> = key.iter().map(|name| identifier(name)).collect();
        let set: Vec<String> = names
            .iter()
            .filter(|name| !conflict.contains(name))
            .map(|name| format!("{name} = EXCLUDED.{name}"))
            .collect();
        sql.push_str(&format!(" ON CONFLICT ({}) DO ", conflict.join(", ")));
        match set.is_empty() {
            true => sql.push_str("NOTHING"),
            false => sql.push_str(&format!("UPDATE SET {}", set.join(", "))),
        }
        Ok(Self {
            sql,
            key: key_places,
        })
    }

    /// The rows to hand to one statement: of several with one key only the last, for PostgreSQL
    /// does not touch a row twice in a statement.
    pub(crate) fn rows(
        &self,
        columns: &[Vec<Option<String>>],
        from: usize,
        to: usize,
    ) -> Vec<usize> {
        if self.key.is_empty() {
            return (from..to).collect();
        }
        let key_of = |row: usize| -> Vec<&Option<String>> {
            self.key.iter().map(|place| &columns[*place][row]).collect()
        };
        let last: HashMap<_, usize> = (from..to).map(|row| (key_of(row), row)).collect();
        let mut rows: Vec<usize> = last.into_values().collect();
        rows.sort_unstable();
        rows
    }
}
