//! How what a Rust function returns becomes a column of the contract.

use std::fmt::Display;

use crate::bindings::millstream::udf::types::{Buffers, Column, Error, RowError, Ty, Unit};
use crate::values::{Date, Decimal, TimestampMicros, TimestampMillis, TimestampNanos};

/// A type a function may return: a value, `Option` of one (None is null), or
/// `Result` of either (Err is an error of that row alone).
pub trait Outcome: Sized {
    /// What the column holds once nulls and errors are set aside.
    type Value: Results;

    /// The value, null, or why this row has none.
    fn value(self) -> Result<Option<Self::Value>, String>;
}

/// A value that can stand in a result column.
pub trait Results: Sized {
    /// The values gathered so far.
    type Builder: Default;

    /// The SQL type this is.
    fn ty() -> Ty;

    /// Adds a row; None is null.
    fn push(builder: &mut Self::Builder, row: usize, value: Option<Self>);

    /// All rows, in the contract's layout.
    fn finish(builder: Self::Builder) -> Buffers;
}

/// Gathers the rows of one result column.
#[doc(hidden)]
#[derive(Debug)]
pub struct Rows<V: Results> {
    builder: V::Builder,
    rows: usize,
    /// Empty until the first null.
    validity: Vec<u8>,
    errors: Vec<RowError>,
}

impl<V: Results> Rows<V> {
    pub fn new() -> Self {
        Self {
            builder: V::Builder::default(),
            rows: 0,
            validity: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub fn push(&mut self, outcome: impl Outcome<Value = V>) {
        match outcome.value() {
            Ok(Some(value)) => {
                V::push(&mut self.builder, self.rows, Some(value));
                if !self.validity.is_empty() {
                    push_bit(&mut self.validity, self.rows, true);
                }
                self.rows += 1;
            }
            Ok(None) => self.push_null(),
            Err(why) => {
                self.errors.push(RowError {
                    row: self.rows as u32,
                    why,
                });
                self.push_null();
            }
        }
    }

    pub fn push_null(&mut self) {
        if self.validity.is_empty() {
            self.validity = vec![0xff; self.rows / 8];
            if !self.rows.is_multiple_of(8) {
                self.validity.push((1 << (self.rows % 8)) - 1);
            }
        }
        push_bit(&mut self.validity, self.rows, false);
        V::push(&mut self.builder, self.rows, None);
        self.rows += 1;
    }

    pub fn finish(self) -> Result<Column, Error> {
        if !self.errors.is_empty() {
            return Err(Error::Rows(self.errors));
        }
        Ok(Column {
            ty: V::ty(),
            rows: self.rows as u32,
            validity: (!self.validity.is_empty()).then_some(self.validity),
            data: V::finish(self.builder),
        })
    }
}

impl<V: Results> Default for Rows<V> {
    fn default() -> Self {
        Self::new()
    }
}

fn push_bit(bits: &mut Vec<u8>, row: usize, bit: bool) {
    if row.is_multiple_of(8) {
        bits.push(0);
    }
    let last = bits.len() - 1;
    bits[last] |= u8::from(bit) << (row % 8);
}

/// Strings or bytes, end to end, and where each ends.
#[derive(Debug)]
pub struct Slices {
    offsets: Vec<u32>,
    bytes: Vec<u8>,
}

impl Default for Slices {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            bytes: Vec::new(),
        }
    }
}

impl Slices {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.offsets.push(self.bytes.len() as u32);
    }
}

macro_rules! results {
    ($($type:ty, $builder:ty, $ty:expr, |$rows:ident, $row:ident, $value:ident| $push:expr, |$done:ident| $finish:expr;)*) => {$(
        impl Results for $type {
            type Builder = $builder;

            fn ty() -> Ty {
                $ty
            }

            fn push($rows: &mut $builder, $row: usize, $value: Option<Self>) {
                $push
            }

            fn finish($done: $builder) -> Buffers {
                $finish
            }
        }

        impl Outcome for $type {
            type Value = $type;

            fn value(self) -> Result<Option<$type>, String> {
                Ok(Some(self))
            }
        }
    )*};
}

results! {
    i32, Vec<i32>, Ty::Int32, |rows, _row, value| rows.push(value.unwrap_or(0)), |rows| Buffers::I32(rows);
    i64, Vec<i64>, Ty::Int64, |rows, _row, value| rows.push(value.unwrap_or(0)), |rows| Buffers::I64(rows);
    f64, Vec<f64>, Ty::Float64, |rows, _row, value| rows.push(value.unwrap_or(0.0)), |rows| Buffers::F64(rows);
    Date, Vec<i32>, Ty::Date, |rows, _row, value| rows.push(value.map_or(0, |date| date.0)), |rows| Buffers::I32(rows);
    TimestampMillis, Vec<i64>, Ty::Timestamp(Unit::Milli), |rows, _row, value| rows.push(value.map_or(0, |time| time.0)), |rows| Buffers::I64(rows);
    TimestampMicros, Vec<i64>, Ty::Timestamp(Unit::Micro), |rows, _row, value| rows.push(value.map_or(0, |time| time.0)), |rows| Buffers::I64(rows);
    TimestampNanos, Vec<i64>, Ty::Timestamp(Unit::Nano), |rows, _row, value| rows.push(value.map_or(0, |time| time.0)), |rows| Buffers::I64(rows);
    bool, Vec<u8>, Ty::Boolean, |rows, row, value| push_bit(rows, row, value.unwrap_or(false)), |rows| Buffers::Bits(rows);
    String, Slices, Ty::Utf8, |rows, _row, value| rows.push(value.unwrap_or_default().as_bytes()), |rows| Buffers::Utf8((rows.offsets, rows.bytes));
    Vec<u8>, Slices, Ty::Binary, |rows, _row, value| rows.push(&value.unwrap_or_default()), |rows| Buffers::Bin((rows.offsets, rows.bytes));
}

impl<const PRECISION: u8, const SCALE: i8> Results for Decimal<PRECISION, SCALE> {
    type Builder = Slices;

    fn ty() -> Ty {
        Ty::Decimal((PRECISION, SCALE))
    }

    fn push(rows: &mut Slices, _row: usize, value: Option<Self>) {
        rows.push(&value.map_or(0, |decimal| decimal.0).to_le_bytes());
    }

    fn finish(rows: Slices) -> Buffers {
        Buffers::Bin((rows.offsets, rows.bytes))
    }
}

impl<const PRECISION: u8, const SCALE: i8> Outcome for Decimal<PRECISION, SCALE> {
    type Value = Self;

    fn value(self) -> Result<Option<Self>, String> {
        Ok(Some(self))
    }
}

impl<V: Results> Outcome for Option<V> {
    type Value = V;

    fn value(self) -> Result<Option<V>, String> {
        Ok(self)
    }
}

impl<O: Outcome, E: Display> Outcome for Result<O, E> {
    type Value = O::Value;

    fn value(self) -> Result<Option<O::Value>, String> {
        match self {
            Ok(outcome) => outcome.value(),
            Err(why) => Err(why.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(outcomes: &[Option<i64>]) -> Column {
        let mut rows = Rows::<i64>::new();
        outcomes.iter().for_each(|outcome| rows.push(*outcome));
        rows.finish().expect("no row failed")
    }

    #[test]
    fn a_column_without_nulls_has_no_bitmap() {
        assert_eq!(column(&[Some(1); 9]).validity, None);
    }

    #[test]
    fn a_late_null_marks_the_rows_before_it_as_valid() {
        for before in 0..20 {
            let mut outcomes = vec![Some(1); before];
            outcomes.extend([None, Some(2), None]);
            let bits = column(&outcomes).validity.expect("there are nulls");
            assert_eq!(bits.len(), outcomes.len().div_ceil(8));
            for (row, outcome) in outcomes.iter().enumerate() {
                assert_eq!(
                    bits[row / 8] >> (row % 8) & 1 == 1,
                    outcome.is_some(),
                    "row {row} of {before}"
                );
            }
        }
    }

    #[test]
    fn failed_rows_are_all_named() {
        let mut rows = Rows::<i64>::new();
        for value in [1i64, -1, 2, -2] {
            rows.push(if value > 0 {
                Ok(value)
            } else {
                Err("negative")
            });
        }
        let Err(Error::Rows(errors)) = rows.finish() else {
            panic!("two rows failed");
        };
        let rows: Vec<u32> = errors.iter().map(|error| error.row).collect();
        assert_eq!(rows, [1, 3]);
    }
}
