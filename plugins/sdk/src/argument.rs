//! How a column of the contract becomes the arguments of a Rust function.

use crate::bindings::millstream::udf::types::{Buffers, Column, Ty, Unit};
use crate::values::{Date, Decimal, TimestampMicros, TimestampMillis, TimestampNanos};

/// A type a function may take.
///
/// `Option<T>` receives nulls. A function without any `Option` argument is never
/// called for a row that has one: the row's result is null.
pub trait Argument<'a>: Sized {
    /// Whether nulls reach the function.
    const TAKES_NULL: bool = false;
    /// A view of the whole column, made once per batch.
    type Reader;

    /// The SQL type this is.
    fn ty() -> Ty;

    /// None when the column has another type or fewer than `rows` rows.
    fn reader(column: &'a Column, rows: usize) -> Option<Self::Reader>;

    /// The value of one row below `rows`; None when it is null and
    /// [`TAKES_NULL`](Self::TAKES_NULL) is false.
    fn get(reader: &Self::Reader, row: usize) -> Option<Self>;
}

/// Fixed-size values and which of them are null.
#[derive(Debug)]
pub struct Plain<'a, T> {
    values: &'a [T],
    validity: Option<&'a [u8]>,
}

impl<'a, T: Copy> Plain<'a, T> {
    fn new(values: &'a [T], column: &'a Column, rows: usize) -> Option<Self> {
        let validity = validity(column, rows)?;
        (values.len() >= rows).then_some(Self { values, validity })
    }

    fn get(&self, row: usize) -> Option<T> {
        is_valid(self.validity, row).then(|| self.values[row])
    }
}

/// Byte strings of varying length and which of them are null.
#[derive(Debug)]
pub struct Slices<'a> {
    offsets: &'a [u32],
    bytes: &'a [u8],
    validity: Option<&'a [u8]>,
}

impl<'a> Slices<'a> {
    fn new(offsets: &'a [u32], bytes: &'a [u8], column: &'a Column, rows: usize) -> Option<Self> {
        let validity = validity(column, rows)?;
        (offsets.len() > rows).then_some(Self {
            offsets,
            bytes,
            validity,
        })
    }

    fn get(&self, row: usize) -> Option<&'a [u8]> {
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        is_valid(self.validity, row).then(|| &self.bytes[range])
    }
}

/// The outer None: the bitmap is shorter than the rows.
fn validity(column: &Column, rows: usize) -> Option<Option<&[u8]>> {
    match &column.validity {
        Some(bits) if bits.len() * 8 < rows => None,
        bits => Some(bits.as_deref()),
    }
}

fn is_valid(validity: Option<&[u8]>, row: usize) -> bool {
    validity.is_none_or(|bits| bits[row / 8] >> (row % 8) & 1 == 1)
}

macro_rules! plain_argument {
    ($($type:ty = $native:ty, $buffer:ident, $ty:expr, $wrap:expr;)*) => {$(
        impl<'a> Argument<'a> for $type {
            type Reader = Plain<'a, $native>;

            fn ty() -> Ty {
                $ty
            }

            fn reader(column: &'a Column, rows: usize) -> Option<Self::Reader> {
                match &column.data {
                    Buffers::$buffer(values) => Plain::new(values, column, rows),
                    _ => None,
                }
            }

            fn get(reader: &Self::Reader, row: usize) -> Option<Self> {
                reader.get(row).map($wrap)
            }
        }
    )*};
}

plain_argument! {
    i32 = i32, I32, Ty::Int32, |value| value;
    i64 = i64, I64, Ty::Int64, |value| value;
    f64 = f64, F64, Ty::Float64, |value| value;
    Date = i32, I32, Ty::Date, Date;
    TimestampMillis = i64, I64, Ty::Timestamp(Unit::Milli), TimestampMillis;
    TimestampMicros = i64, I64, Ty::Timestamp(Unit::Micro), TimestampMicros;
    TimestampNanos = i64, I64, Ty::Timestamp(Unit::Nano), TimestampNanos;
}

impl<'a> Argument<'a> for bool {
    type Reader = Plain<'a, u8>;

    fn ty() -> Ty {
        Ty::Boolean
    }

    fn reader(column: &'a Column, rows: usize) -> Option<Self::Reader> {
        match &column.data {
            Buffers::Bits(bits) => Plain::new(bits, column, rows.div_ceil(8)).and_then(|plain| {
                Some(Plain {
                    validity: validity(column, rows)?,
                    ..plain
                })
            }),
            _ => None,
        }
    }

    fn get(reader: &Self::Reader, row: usize) -> Option<Self> {
        is_valid(reader.validity, row).then(|| reader.values[row / 8] >> (row % 8) & 1 == 1)
    }
}

impl<'a> Argument<'a> for &'a str {
    type Reader = Slices<'a>;

    fn ty() -> Ty {
        Ty::Utf8
    }

    fn reader(column: &'a Column, rows: usize) -> Option<Self::Reader> {
        match &column.data {
            Buffers::Utf8((offsets, bytes)) => Slices::new(offsets, bytes, column, rows),
            _ => None,
        }
    }

    fn get(reader: &Self::Reader, row: usize) -> Option<Self> {
        let bytes = reader.get(row)?;
        Some(std::str::from_utf8(bytes).expect("the host passes valid UTF-8"))
    }
}

impl<'a> Argument<'a> for &'a [u8] {
    type Reader = Slices<'a>;

    fn ty() -> Ty {
        Ty::Binary
    }

    fn reader(column: &'a Column, rows: usize) -> Option<Self::Reader> {
        match &column.data {
            Buffers::Bin((offsets, bytes)) => Slices::new(offsets, bytes, column, rows),
            _ => None,
        }
    }

    fn get(reader: &Self::Reader, row: usize) -> Option<Self> {
        reader.get(row)
    }
}

impl<'a, const PRECISION: u8, const SCALE: i8> Argument<'a> for Decimal<PRECISION, SCALE> {
    type Reader = Slices<'a>;

    fn ty() -> Ty {
        Ty::Decimal((PRECISION, SCALE))
    }

    fn reader(column: &'a Column, rows: usize) -> Option<Self::Reader> {
        <&[u8]>::reader(column, rows)
    }

    fn get(reader: &Self::Reader, row: usize) -> Option<Self> {
        let bytes = reader.get(row)?;
        Some(Decimal(i128::from_le_bytes(
            bytes.try_into().expect("a decimal is 16 bytes"),
        )))
    }
}

impl<'a, T: Argument<'a>> Argument<'a> for Option<T> {
    const TAKES_NULL: bool = true;
    type Reader = T::Reader;

    fn ty() -> Ty {
        T::ty()
    }

    fn reader(column: &'a Column, rows: usize) -> Option<Self::Reader> {
        T::reader(column, rows)
    }

    fn get(reader: &Self::Reader, row: usize) -> Option<Self> {
        Some(T::get(reader, row))
    }
}
