//! One column being filled, a value at a time, that can take its last values back.
//!
//! Taking back is what lets a row fail alone: a row is appended field by field, and if its
//! last field cannot be read the others are cut to where they were.

mod finish;
mod json;
mod number;
mod read;

use arrow::array::BooleanBufferBuilder;
use arrow::datatypes::{DataType, Field, TimeUnit};

use crate::Error;

pub(crate) use json::{Names, append_object};

/// A column of the batch under construction.
pub(crate) struct Column {
    name: String,
    data_type: DataType,
    nullable: bool,
    meaning: Meaning,
    values: Values,
    valid: BooleanBufferBuilder,
    nulls: usize,
}

/// What a value's text means, where the storage alone does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Plain,
    Date,
    /// Ticks per second.
    Time(i64),
    /// Ticks per second.
    Timestamp {
        ticks: i64,
        zoned: bool,
    },
    Decimal {
        precision: u8,
        scale: i8,
    },
    Text,
    Binary,
}

enum Values {
    Boolean(BooleanBufferBuilder),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    UInt8(Vec<u8>),
    UInt16(Vec<u16>),
    UInt32(Vec<u32>),
    UInt64(Vec<u64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal(Vec<i128>),
    Bytes {
        ends: Vec<i32>,
        data: Vec<u8>,
    },
    List {
        ends: Vec<i32>,
        item: Box<Column>,
    },
    Row(Vec<Column>),
    Map {
        ends: Vec<i32>,
        key: Box<Column>,
        value: Box<Column>,
    },
}

impl Column {
    /// A column for `field`, or the reason why text cannot fill it. `nested` says whether the
    /// format has a way to write lists, rows and maps.
    pub(crate) fn new(field: &Field, format: &'static str, nested: bool) -> Result<Self, Error> {
        let unsupported = || Error::UnsupportedType {
            format,
            column: field.name().clone(),
            data_type: field.data_type().clone(),
        };
        let column = |field: &Field| Column::new(field, format, nested);
        let mut meaning = Meaning::Plain;
        let values = match field.data_type() {
            DataType::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            DataType::Int8 => Values::Int8(Vec::new()),
            DataType::Int16 => Values::Int16(Vec::new()),
            DataType::Int32 => Values::Int32(Vec::new()),
            DataType::Int64 => Values::Int64(Vec::new()),
            DataType::UInt8 => Values::UInt8(Vec::new()),
            DataType::UInt16 => Values::UInt16(Vec::new()),
            DataType::UInt32 => Values::UInt32(Vec::new()),
            DataType::UInt64 => Values::UInt64(Vec::new()),
            DataType::Float32 => Values::Float32(Vec::new()),
            DataType::Float64 => Values::Float64(Vec::new()),
            DataType::Decimal128(precision, scale) => {
                meaning = Meaning::Decimal {
                    precision: *precision,
                    scale: *scale,
                };
                Values::Decimal(Vec::new())
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                meaning = Meaning::Text;
                Values::Bytes {
                    ends: vec![0],
                    data: Vec::new(),
                }
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                meaning = Meaning::Binary;
                Values::Bytes {
                    ends: vec![0],
                    data: Vec::new(),
                }
            }
            DataType::Date32 => {
                meaning = Meaning::Date;
                Values::Int32(Vec::new())
            }
            DataType::Time32(unit) => {
                meaning = Meaning::Time(ticks_per_second(*unit));
                Values::Int32(Vec::new())
            }
            DataType::Time64(unit) => {
                meaning = Meaning::Time(ticks_per_second(*unit));
                Values::Int64(Vec::new())
            }
            DataType::Timestamp(unit, zone) => {
                meaning = Meaning::Timestamp {
                    ticks: ticks_per_second(*unit),
                    zoned: zone.is_some(),
                };
                Values::Int64(Vec::new())
            }
            DataType::List(item) if nested => Values::List {
                ends: vec![0],
                item: Box::new(column(item)?),
            },
            DataType::Struct(fields) if nested && !fields.is_empty() => Values::Row(
                fields
                    .iter()
                    .map(|field| column(field))
                    .collect::<Result<_, _>>()?,
            ),
            DataType::Map(entries, _) if nested => {
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err(unsupported());
                };
                let [key, value] = fields.iter().as_slice() else {
                    return Err(unsupported());
                };
                if !matches!(key.data_type(), DataType::Utf8) {
                    return Err(unsupported());
                }
                Values::Map {
                    ends: vec![0],
                    key: Box::new(column(key)?),
                    value: Box::new(column(value)?),
                }
            }
            _ => return Err(unsupported()),
        };
        Ok(Self {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            nullable: field.is_nullable(),
            meaning,
            values,
            valid: BooleanBufferBuilder::new(0),
            nulls: 0,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn len(&self) -> usize {
        self.valid.len()
    }

    pub(crate) fn is_text(&self) -> bool {
        self.meaning == Meaning::Text
    }

    pub(crate) fn is_binary(&self) -> bool {
        self.meaning == Meaning::Binary
    }

    /// Appends NULL, unless the column refuses it.
    pub(crate) fn append_null(&mut self) -> Result<(), String> {
        if !self.nullable {
            return Err(format!(
                "field \"{}\" is NULL, the column is NOT NULL",
                self.name
            ));
        }
        self.append_hole();
        Ok(())
    }

    /// Appends what stands under a NULL, whether the column admits one or not: inside a NULL
    /// row the fields are there but mean nothing.
    fn append_hole(&mut self) {
        match &mut self.values {
            Values::Boolean(values) => values.append(false),
            Values::Int8(values) => values.push(0),
            Values::Int16(values) => values.push(0),
            Values::Int32(values) => values.push(0),
            Values::Int64(values) => values.push(0),
            Values::UInt8(values) => values.push(0),
            Values::UInt16(values) => values.push(0),
            Values::UInt32(values) => values.push(0),
            Values::UInt64(values) => values.push(0),
            Values::Float32(values) => values.push(0.0),
            Values::Float64(values) => values.push(0.0),
            Values::Decimal(values) => values.push(0),
            Values::Bytes { ends, .. } | Values::List { ends, .. } | Values::Map { ends, .. } => {
                ends.push(*ends.last().expect("ends starts with 0"));
            }
            Values::Row(fields) => fields.iter_mut().for_each(Column::append_hole),
        }
        self.valid.append(!self.nullable);
        self.nulls += usize::from(self.nullable);
    }

    /// Cuts the column back to its first `len` values.
    pub(crate) fn truncate(&mut self, len: usize) {
        while self.nulls > 0 && self.valid.len() > len {
            let last = self.valid.len() - 1;
            self.nulls -= usize::from(!self.valid.get_bit(last));
            self.valid.truncate(last);
        }
        self.valid.truncate(len);
        match &mut self.values {
            Values::Boolean(values) => values.truncate(len),
            Values::Int8(values) => values.truncate(len),
            Values::Int16(values) => values.truncate(len),
            Values::Int32(values) => values.truncate(len),
            Values::Int64(values) => values.truncate(len),
            Values::UInt8(values) => values.truncate(len),
            Values::UInt16(values) => values.truncate(len),
            Values::UInt32(values) => values.truncate(len),
            Values::UInt64(values) => values.truncate(len),
            Values::Float32(values) => values.truncate(len),
            Values::Float64(values) => values.truncate(len),
            Values::Decimal(values) => values.truncate(len),
            Values::Bytes { ends, data } => data.truncate(cut(ends, len)),
            Values::List { ends, item } => item.truncate(cut(ends, len)),
            Values::Row(fields) => fields.iter_mut().for_each(|field| field.truncate(len)),
            Values::Map { ends, key, value } => {
                let entries = cut(ends, len);
                key.truncate(entries);
                value.truncate(entries);
            }
        }
    }

    fn append_valid(&mut self) {
        self.valid.append(true);
    }
}

fn cut(ends: &mut Vec<i32>, len: usize) -> usize {
    ends.truncate(len + 1);
    *ends.last().expect("ends starts with 0") as usize
}

fn ticks_per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}
