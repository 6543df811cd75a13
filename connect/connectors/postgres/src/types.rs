//! Types and values between Arrow and PostgreSQL. Values travel as text, which every type of
//! PostgreSQL can read, also those nobody here has heard of.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use connect_sdk::Error;
use format::{Encoder, Format};
use std::sync::Arc;

/// The Arrow type for values of a PostgreSQL type. Text is right wherever PostgreSQL's own
/// reading loses nothing.
pub(crate) fn arrow_type(postgres: &str) -> DataType {
    match postgres {
        "smallint" => DataType::Int16,
        "integer" => DataType::Int32,
        "bigint" => DataType::Int64,
        "real" => DataType::Float32,
        "double precision" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "bytea" => DataType::Binary,
        _ => DataType::Utf8,
    }
}

/// The PostgreSQL type for a column that is made.
pub(crate) fn postgres_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".into(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint".into(),
        DataType::Int32 | DataType::UInt16 => "integer".into(),
        DataType::Int64 | DataType::UInt32 => "bigint".into(),
        DataType::UInt64 => "numeric(20)".into(),
        DataType::Float16 | DataType::Float32 => "real".into(),
        DataType::Float64 => "double precision".into(),
        DataType::Decimal128(precision, scale) => format!("numeric({precision}, {scale})"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytea".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time".into(),
        DataType::Timestamp(unit, zone) => {
            let digits = match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 3,
                TimeUnit::Microsecond | TimeUnit::Nanosecond => 6,
            };
            let zone = if zone.is_some() {
                " with time zone"
            } else {
                ""
            };
            format!("timestamp({digits}){zone}")
        }
        DataType::List(_) | DataType::Struct(_) | DataType::Map(..) => "jsonb".into(),
        _ => "text".into(),
    }
}

/// Every value of a column as PostgreSQL reads it.
pub(crate) fn texts(array: &ArrayRef) -> Result<Vec<Option<String>>, Error> {
    match array.data_type() {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let bytes = cast_to(array, &DataType::Binary)?;
            Ok(bytes
                .as_binary::<i32>()
                .iter()
                .map(|value| value.map(hex))
                .collect())
        }
        DataType::Float32 | DataType::Float64 => {
            let numbers = cast_to(array, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<arrow::datatypes::Float64Type>();
            // Through the narrower type's own text, or 0.1 would come out as 0.10000000149.
            let narrow = *array.data_type() == DataType::Float32;
            let text = |number: f64| {
                if narrow {
                    (number as f32).to_string()
                } else {
                    number.to_string()
                }
            };
            Ok(numbers.iter().map(|value| value.map(text)).collect())
        }
        DataType::List(_) | DataType::Struct(_) | DataType::Map(..) => json_texts(array),
        _ => {
            let texts = cast_to(array, &DataType::Utf8)?;
            Ok(texts
                .as_string::<i32>()
                .iter()
                .map(|value| value.map(str::to_owned))
                .collect())
        }
    }
}

fn cast_to(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, Error> {
    cast(array, data_type)
        .map_err(|error| Error::config(error.to_string(), "choose another type in schema"))
}

/// Nested values as JSON.
fn json_texts(array: &ArrayRef) -> Result<Vec<Option<String>>, Error> {
    const PREFIX: &str = "{\"v\":";
    let schema = Arc::new(Schema::new(vec![Field::new(
        "v",
        array.data_type().clone(),
        true,
    )]));
    let cannot = |why: String| Error::config(why, "choose another type in schema");
    let batch = RecordBatch::try_new(schema.clone(), vec![array.clone()])
        .map_err(|error| cannot(error.to_string()))?;
    let encoder = Encoder::new(Format::Json, schema, format::Options::default())
        .map_err(|error| cannot(error.to_string()))?;
    let rows = encoder
        .encode(&batch)
        .map_err(|error| cannot(error.to_string()))?;
    let text = |(row, bytes): (usize, &[u8])| {
        let inner = bytes.get(PREFIX.len()..bytes.len() - 1)?;
        array
            .is_valid(row)
            .then(|| String::from_utf8_lossy(inner).into_owned())
    };
    Ok(rows
        .iter()
        .enumerate()
        .map(|(row, bytes)| text((row, bytes.as_ref())))
        .collect())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("\\x");
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(half), 16).expect("four bits are a hex digit"));
        }
    }
    text
}
