//! One value of an Arrow array as text: what JSON and CSV have in common.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Decimal128Array, GenericBinaryArray,
    GenericStringArray, Int32Array, Int64Array, PrimitiveArray, StringViewArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::temporal::{write_date, write_time, write_timestamp};

/// A scalar array, ready to be written row by row.
pub(crate) enum Scalars<'a> {
    Boolean(&'a BooleanArray),
    Int8(&'a PrimitiveArray<Int8Type>),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    UInt8(&'a PrimitiveArray<UInt8Type>),
    UInt16(&'a PrimitiveArray<UInt16Type>),
    UInt32(&'a PrimitiveArray<UInt32Type>),
    UInt64(&'a PrimitiveArray<UInt64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a Decimal128Array, i8),
    Text(Texts<'a>),
    Binary(Binaries<'a>),
    Date(&'a PrimitiveArray<Date32Type>),
    /// Values reinterpreted as whole ticks, and the ticks of a second.
    Time32(Int32Array, i64),
    Time64(Int64Array, i64),
    Timestamp {
        values: Int64Array,
        ticks: i64,
        zoned: bool,
        separator: u8,
    },
}

pub(crate) enum Texts<'a> {
    Small(&'a GenericStringArray<i32>),
    Large(&'a GenericStringArray<i64>),
    View(&'a StringViewArray),
}

pub(crate) enum Binaries<'a> {
    Small(&'a GenericBinaryArray<i32>),
    Large(&'a GenericBinaryArray<i64>),
    View(&'a BinaryViewArray),
}

/// How a written value has to be wrapped by the format around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// A number or boolean: needs nothing.
    Bare,
    /// Plain ASCII without quotes or backslashes: needs quotes in JSON.
    Quoted,
}

/// Whether values of this type can be written as one piece of text.
pub(crate) fn is_scalar(data_type: &DataType) -> bool {
    use DataType::*;
    matches!(
        data_type,
        Boolean
            | Int8
            | Int16
            | Int32
            | Int64
            | UInt8
            | UInt16
            | UInt32
            | UInt64
            | Float32
            | Float64
            | Decimal128(..)
            | Utf8
            | LargeUtf8
            | Utf8View
            | Binary
            | LargeBinary
            | BinaryView
            | Date32
            | Time32(_)
            | Time64(_)
            | Timestamp(..)
    )
}

impl<'a> Scalars<'a> {
    /// `None` if the array's type is not a scalar of ours.
    pub(crate) fn of(array: &'a ArrayRef, separator: u8) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Int8 => Self::Int8(array.as_primitive()),
            DataType::Int16 => Self::Int16(array.as_primitive()),
            DataType::Int32 => Self::Int32(array.as_primitive()),
            DataType::Int64 => Self::Int64(array.as_primitive()),
            DataType::UInt8 => Self::UInt8(array.as_primitive()),
            DataType::UInt16 => Self::UInt16(array.as_primitive()),
            DataType::UInt32 => Self::UInt32(array.as_primitive()),
            DataType::UInt64 => Self::UInt64(array.as_primitive()),
            DataType::Float32 => Self::Float32(array.as_primitive()),
            DataType::Float64 => Self::Float64(array.as_primitive()),
            DataType::Decimal128(_, scale) => {
                Self::Decimal(array.as_primitive::<Decimal128Type>(), *scale)
            }
            DataType::Utf8 => Self::Text(Texts::Small(array.as_string())),
            DataType::LargeUtf8 => Self::Text(Texts::Large(array.as_string())),
            DataType::Utf8View => Self::Text(Texts::View(array.as_string_view())),
            DataType::Binary => Self::Binary(Binaries::Small(array.as_binary())),
            DataType::LargeBinary => Self::Binary(Binaries::Large(array.as_binary())),
            DataType::BinaryView => Self::Binary(Binaries::View(array.as_binary_view())),
            DataType::Date32 => Self::Date(array.as_primitive()),
            DataType::Time32(unit) => Self::Time32(
                Int32Array::from(
                    array
                        .to_data()
                        .into_builder()
                        .data_type(DataType::Int32)
                        .build()
                        .ok()?,
                ),
                ticks(*unit),
            ),
            DataType::Time64(unit) => Self::Time64(whole(array)?, ticks(*unit)),
            DataType::Timestamp(unit, zone) => Self::Timestamp {
                values: whole(array)?,
                ticks: ticks(*unit),
                zoned: zone.is_some(),
                separator,
            },
            _ => return None,
        })
    }

    /// The text of a text column, which the caller escapes in its own way.
    pub(crate) fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Text(Texts::Small(array)) => Some(array.value(row)),
            Self::Text(Texts::Large(array)) => Some(array.value(row)),
            Self::Text(Texts::View(array)) => Some(array.value(row)),
            _ => None,
        }
    }

    /// The bytes of a text or binary column.
    pub(crate) fn bytes(&self, row: usize) -> Option<&[u8]> {
        match self {
            Self::Binary(Binaries::Small(array)) => Some(array.value(row)),
            Self::Binary(Binaries::Large(array)) => Some(array.value(row)),
            Self::Binary(Binaries::View(array)) => Some(array.value(row)),
            _ => self.text(row).map(str::as_bytes),
        }
    }

    /// Appends the value of `row`, which is not NULL. Texts are appended as they are.
    pub(crate) fn write(&self, out: &mut Vec<u8>, row: usize) -> Written {
        match self {
            Self::Boolean(array) => {
                out.extend_from_slice(if array.value(row) { b"true" } else { b"false" })
            }
            Self::Int8(array) => number(out, array.value(row)),
            Self::Int16(array) => number(out, array.value(row)),
            Self::Int32(array) => number(out, array.value(row)),
            Self::Int64(array) => number(out, array.value(row)),
            Self::UInt8(array) => number(out, array.value(row)),
            Self::UInt16(array) => number(out, array.value(row)),
            Self::UInt32(array) => number(out, array.value(row)),
            Self::UInt64(array) => number(out, array.value(row)),
            Self::Float32(array) => {
                return float(out, array.value(row), f64::from(array.value(row)));
            }
            Self::Float64(array) => return float(out, array.value(row), array.value(row)),
            Self::Decimal(array, scale) => decimal(out, array.value(row), *scale),
            Self::Text(_) => {
                out.extend_from_slice(self.text(row).unwrap_or_default().as_bytes());
                return Written::Quoted;
            }
            Self::Binary(_) => {
                out.extend_from_slice(
                    STANDARD
                        .encode(self.bytes(row).unwrap_or_default())
                        .as_bytes(),
                );
                return Written::Quoted;
            }
            Self::Date(array) => {
                write_date(out, array.value(row));
                return Written::Quoted;
            }
            Self::Time32(array, ticks) => {
                write_time(out, i64::from(array.value(row)) * (1_000_000_000 / ticks));
                return Written::Quoted;
            }
            Self::Time64(array, ticks) => {
                write_time(out, array.value(row).saturating_mul(1_000_000_000 / ticks));
                return Written::Quoted;
            }
            Self::Timestamp {
                values,
                ticks,
                zoned,
                separator,
            } => {
                let value = values.value(row);
                let nanos = value.rem_euclid(*ticks) * (1_000_000_000 / ticks);
                write_timestamp(out, value.div_euclid(*ticks), nanos, *separator);
                if *zoned {
                    out.push(b'Z');
                }
                return Written::Quoted;
            }
        }
        Written::Bare
    }
}

fn whole(array: &ArrayRef) -> Option<Int64Array> {
    Some(Int64Array::from(
        array
            .to_data()
            .into_builder()
            .data_type(DataType::Int64)
            .build()
            .ok()?,
    ))
}

fn ticks(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

fn number(out: &mut Vec<u8>, value: impl serde::Serialize) {
    serde_json::to_writer(out, &value).expect("a number goes into memory");
}

fn float(out: &mut Vec<u8>, exact: impl serde::Serialize, value: f64) -> Written {
    if value.is_finite() {
        number(out, exact);
        return Written::Bare;
    }
    let text: &[u8] = match value {
        f64::INFINITY => b"Infinity",
        f64::NEG_INFINITY => b"-Infinity",
        _ => b"NaN",
    };
    out.extend_from_slice(text);
    Written::Quoted
}

fn decimal(out: &mut Vec<u8>, value: i128, scale: i8) {
    let digits = value.unsigned_abs().to_string();
    if value < 0 {
        out.push(b'-');
    }
    match usize::try_from(scale) {
        Ok(0) => out.extend_from_slice(digits.as_bytes()),
        Ok(scale) => {
            let digits = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            out.extend_from_slice(whole.as_bytes());
            out.push(b'.');
            out.extend_from_slice(fraction.as_bytes());
        }
        Err(_) => {
            out.extend_from_slice(digits.as_bytes());
            if value != 0 {
                out.extend(std::iter::repeat_n(b'0', usize::from(scale.unsigned_abs())));
            }
        }
    }
}
