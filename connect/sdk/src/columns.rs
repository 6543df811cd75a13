//! Columns written as in a table definition, to and from an Arrow schema.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// What is wrong with a list of columns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    /// There is nothing where a column should be.
    #[error("a column is missing: write name and type, as in id BIGINT")]
    Empty,
    /// A name without a type.
    #[error("column \"{name}\" has no type, as in {name} STRING")]
    NoType {
        /// The column.
        name: String,
    },
    /// A type that is not known here.
    #[error(
        "column \"{name}\" has type \"{given}\", the types are STRING, BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), DATE, TIME(p), TIMESTAMP(p), TIMESTAMP_LTZ(p), BYTES"
    )]
    UnknownType {
        /// The column.
        name: String,
        /// What stands in place of the type.
        given: String,
    },
    /// Two columns of one name.
    #[error("column \"{name}\" is there twice")]
    Twice {
        /// The column.
        name: String,
    },
}

/// Reads `id BIGINT NOT NULL, at TIMESTAMP(3), …` with Flink's type names. Names may stand in
/// backticks. `TIMESTAMP(p)` becomes milliseconds up to 3 digits, microseconds up to 6,
/// nanoseconds beyond; without digits it has 6, as in SQL.
pub fn parse_columns(text: &str) -> Result<SchemaRef, ColumnsError> {
    let mut fields: Vec<Field> = Vec::new();
    for column in split(text) {
        let field = parse_column(column.trim())?;
        if fields.iter().any(|other| other.name() == field.name()) {
            return Err(ColumnsError::Twice {
                name: field.name().clone(),
            });
        }
        fields.push(field);
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Writes a schema as [`parse_columns`] reads it. A type it has no name for is written as
/// Arrow names it.
pub fn columns_text(schema: &Schema) -> String {
    let column = |field: &Arc<Field>| {
        let plain = field
            .name()
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let quote = if plain && !field.name().is_empty() {
            ""
        } else {
            "`"
        };
        let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
        format!(
            "{quote}{}{quote} {}{not_null}",
            field.name(),
            type_name(field.data_type())
        )
    };
    schema
        .fields()
        .iter()
        .map(column)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Splits at commas outside parentheses and backticks. A trailing comma is forgiven.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_i32, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'`' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth -= 1,
            b',' if !quoted && depth <= 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if parts.is_empty() || !text[start..].trim().is_empty() {
        parts.push(&text[start..]);
    }
    parts
}

fn parse_column(text: &str) -> Result<Field, ColumnsError> {
    let (name, rest) = match text.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
        Some(split) => split,
        None => text.split_once(char::is_whitespace).unwrap_or((text, "")),
    };
    if name.is_empty() {
        return Err(ColumnsError::Empty);
    }
    let words = rest
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .to_uppercase();
    let (kind, nullable) = match words.strip_suffix(" NOT NULL") {
        Some(kind) => (kind, false),
        None => (words.strip_suffix(" NULL").unwrap_or(&words), true),
    };
    if kind.is_empty() {
        return Err(ColumnsError::NoType { name: name.into() });
    }
    let data_type = parse_type(kind).ok_or_else(|| ColumnsError::UnknownType {
        name: name.into(),
        given: rest.trim().into(),
    })?;
    Ok(Field::new(name, data_type, nullable))
}

fn parse_type(text: &str) -> Option<DataType> {
    let (word, arguments) = match text.split_once('(') {
        Some((word, rest)) => (word.trim_end(), Some(rest.strip_suffix(')')?)),
        None => (text, None),
    };
    let numbers = match arguments {
        Some(arguments) => arguments
            .split(',')
            .map(|number| number.trim().parse::<u8>().ok())
            .collect::<Option<Vec<_>>>()?,
        None => Vec::new(),
    };
    let utc = || Some(Arc::from("UTC"));
    Some(match (word, numbers.as_slice()) {
        ("STRING", []) => DataType::Utf8,
        ("VARCHAR" | "CHAR", [] | [_]) => DataType::Utf8,
        ("BYTES", []) => DataType::Binary,
        ("VARBINARY" | "BINARY", [] | [_]) => DataType::Binary,
        ("BOOLEAN", []) => DataType::Boolean,
        ("TINYINT", []) => DataType::Int8,
        ("SMALLINT", []) => DataType::Int16,
        ("INT" | "INTEGER", []) => DataType::Int32,
        ("BIGINT", []) => DataType::Int64,
        ("FLOAT", []) => DataType::Float32,
        ("DOUBLE" | "DOUBLE PRECISION", []) => DataType::Float64,
        ("DECIMAL" | "DEC" | "NUMERIC", []) => DataType::Decimal128(10, 0),
        ("DECIMAL" | "DEC" | "NUMERIC", [precision @ 1..=38]) => {
            DataType::Decimal128(*precision, 0)
        }
        ("DECIMAL" | "DEC" | "NUMERIC", [precision @ 1..=38, scale]) if scale <= precision => {
            DataType::Decimal128(*precision, i8::try_from(*scale).ok()?)
        }
        ("DATE", []) => DataType::Date32,
        ("TIME", [] | [0]) => DataType::Time32(TimeUnit::Second),
        ("TIME", [1..=3]) => DataType::Time32(TimeUnit::Millisecond),
        ("TIME", [digits @ 4..=9]) => DataType::Time64(unit(*digits)?),
        ("TIMESTAMP", []) => DataType::Timestamp(TimeUnit::Microsecond, None),
        ("TIMESTAMP", [digits]) => DataType::Timestamp(unit(*digits)?, None),
        ("TIMESTAMP_LTZ", []) => DataType::Timestamp(TimeUnit::Microsecond, utc()),
        ("TIMESTAMP_LTZ", [digits]) => DataType::Timestamp(unit(*digits)?, utc()),
        _ => return None,
    })
}

fn unit(digits: u8) -> Option<TimeUnit> {
    match digits {
        0..=3 => Some(TimeUnit::Millisecond),
        4..=6 => Some(TimeUnit::Microsecond),
        7..=9 => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}

fn type_name(data_type: &DataType) -> String {
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTES".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Date32 => "DATE".into(),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("TIME({})", digits(unit)),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", digits(unit)),
        DataType::Timestamp(unit, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(unit)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let written = match parse_columns(text) {
            Ok(schema) => columns_text(&schema),
            Err(error) => error.to_string(),
        };
        assert_eq!(written, expected, "{text}");
    }

    #[test]
    fn columns_are_read_as_in_a_table() {
        check(
            "id bigint not null, name STRING",
            "id BIGINT NOT NULL, name STRING",
        );
        check(
            "price DECIMAL(10, 2),\n  at TIMESTAMP(3),",
            "price DECIMAL(10, 2), at TIMESTAMP(3)",
        );
        check(
            "`a, b` varchar(20), d double precision",
            "`a, b` STRING, d DOUBLE",
        );
        check(
            "t TIMESTAMP, z TIMESTAMP_LTZ(3), h TIME",
            "t TIMESTAMP(6), z TIMESTAMP_LTZ(3), h TIME(0)",
        );
    }

    #[test]
    fn what_is_no_column_says_which() {
        check(
            "",
            "a column is missing: write name and type, as in id BIGINT",
        );
        check(
            "id BIGINT,,name STRING",
            "a column is missing: write name and type, as in id BIGINT",
        );
        check("id", "column \"id\" has no type, as in id STRING");
        check("a INT, a INT", "column \"a\" is there twice");
        for text in [
            "id LONG",
            "d DECIMAL(39, 0)",
            "d DECIMAL(2, 3)",
            "t TIMESTAMP(10)",
            "s STRING(",
            "d DECIMAL(x)",
        ] {
            let error = parse_columns(text).expect_err(text);
            assert!(matches!(error, ColumnsError::UnknownType { .. }), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = parse_columns(&text);
        }
    }
}
