//! The table written to: its columns, its key, and making it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use connect_sdk::{Error, Options, nearest};

use crate::session::Session;
use crate::types::{arrow_type, postgres_type};

/// A table as the database describes it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Its name, quoted where that is needed.
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// Columns of the primary key, in its order.
    primary_key: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The type without its modifiers: a cast to `varchar(20)` would cut silently.
    pub(crate) data_type: String,
}

const COLUMNS: &str = "SELECT a.attname::text, format_type(a.atttypid, NULL) \
    FROM pg_attribute a \
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' \
    ORDER BY a.attnum";
const PRIMARY_KEY: &str = "SELECT a.attname::text \
    FROM pg_index i \
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) \
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
    WHERE i.indrelid = to_regclass($1) AND i.indisprimary ORDER BY k.place";

impl Table {
    /// Looks the table up; `None` if there is none.
    pub(crate) async fn find(session: &Session, options: &Options) -> Result<Option<Self>, Error> {
        let name = quoted(options.text("table").unwrap_or_default());
        let doing = format!("looking at table {name}");
        let rows = session.query(&doing, COLUMNS, &[&name]).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let columns = rows
            .iter()
            .map(|row| Column {
                name: row.get(0),
                data_type: row.get(1),
            })
            .collect();
        let key = session.query(&doing, PRIMARY_KEY, &[&name]).await?;
        Ok(Some(Self {
            name,
            columns,
            primary_key: key.iter().map(|row| row.get(0)).collect(),
        }))
    }

    /// Looks the table up, and makes it if it is missing and the options say so.
    pub(crate) async fn open(session: &Session, options: &Options) -> Result<Self, Error> {
        if let Some(table) = Self::find(session, options).await? {
            return Ok(table);
        }
        let sql = create(options)?;
        session.run("making the table", &sql).await?;
        Self::find(session, options)
            .await?
            .ok_or_else(|| missing(options))
    }

    /// The columns a record has if nobody says otherwise. Types whose text only PostgreSQL
    /// knows come as text.
    pub(crate) fn schema(&self) -> SchemaRef {
        let field = |column: &Column| Field::new(&column.name, arrow_type(&column.data_type), true);
        Arc::new(Schema::new(
            self.columns.iter().map(field).collect::<Vec<_>>(),
        ))
    }

    /// The types of the named columns, in that order.
    pub(crate) fn types_of(&self, schema: &Schema) -> Result<Vec<&str>, Error> {
        let names = || self.columns.iter().map(|column| column.name.as_str());
        let find = |field: &Arc<Field>| {
            let found = self
                .columns
                .iter()
                .find(|column| column.name == *field.name());
            found
                .map(|column| column.data_type.as_str())
                .ok_or_else(|| {
                    let hint = match nearest(field.name(), names()) {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => {
                            format!("its columns are {}", names().collect::<Vec<_>>().join(", "))
                        }
                    };
                    Error::config(
                        format!("table {} has no column \"{}\"", self.name, field.name()),
                        hint,
                    )
                })
        };
        schema.fields().iter().map(find).collect()
    }

    /// The columns that tell rows apart, if that matters.
    pub(crate) fn key(&self, options: &Options) -> Result<Option<Vec<String>>, Error> {
        if options.text("mode") != Some("upsert") {
            return Ok(None);
        }
        let key = match options.list("key") {
            key if key.is_empty() => self.primary_key.clone(),
            key => key,
        };
        if key.is_empty() {
            return Err(Error::config(
                format!(
                    "mode upsert needs a key, and table {} has no primary key",
                    self.name
                ),
                "set key to columns with a unique index",
            ));
        }
        Ok(Some(key))
    }
}

/// The statement that makes the table, if the options allow it.
fn create(options: &Options) -> Result<String, Error> {
    if !options.boolean("table.create") {
        return Err(missing(options));
    }
    let Some(schema) = options.columns("schema") else {
        return Err(Error::config(
            "table.create needs to know the columns",
            "set schema, as in schema = \"id BIGINT, name STRING\"",
        ));
    };
    let key = options.list("key");
    let column = |field: &Arc<Field>| {
        let not_null = if field.is_nullable() && !key.contains(field.name()) {
            ""
        } else {
            " NOT NULL"
        };
        format!(
            "{} {}{not_null}",
            identifier(field.name()),
            postgres_type(field.data_type())
        )
    };
    let mut parts: Vec<String> = schema.fields().iter().map(column).collect();
    if options.text("mode") == Some("upsert") && !key.is_empty() {
        let key: Vec<String> = key.iter().map(|name| identifier(name)).collect();
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    let name = quoted(options.text("table").unwrap_or_default());
    Ok(format!(
        "CREATE TABLE IF NOT EXISTS {name} ({})",
        parts.join(", ")
    ))
}

pub(crate) fn missing(options: &Options) -> Error {
    let name = options.text("table").unwrap_or_default();
    Error::config(
        format!("table {name} does not exist"),
        "create it, or set table.create to true",
    )
}

/// A name in quotes.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `schema.table` with each part in quotes.
pub(crate) fn quoted(name: &str) -> String {
    name.split('.')
        .map(identifier)
        .collect::<Vec<_>>()
        .join(".")
}

/// Whether values of this type can be written.
pub(crate) fn is_writable(data_type: &DataType) -> bool {
    !matches!(
        data_type,
        DataType::Null | DataType::Union(..) | DataType::Dictionary(..)
    )
}
