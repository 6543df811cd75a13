//! What a guest handed back, checked until it is Arrow.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Decimal128Type, DecimalType, TimeUnit};

use crate::contract::{Buffers, ReturnedColumn};
use crate::signature::{arrow_type, wit_type};

impl ReturnedColumn {
    /// A column of exactly `rows` rows of `expected`, or what is wrong with it.
    ///
    /// Lengths, offsets, bitmaps, UTF-8 and decimal ranges are all checked here;
    /// nothing a guest says is believed.
    pub(crate) fn into_array(self, expected: &DataType, rows: usize) -> Result<ArrayRef, String> {
        if wit_type(expected).ok().as_ref() != Some(&self.ty) {
            let returned = arrow_type(&self.ty).map_or_else(
                |_| "a type no function returns".to_owned(),
                |data_type| data_type.to_string(),
            );
            return Err(format!("a column of {returned} instead of {expected}"));
        }
        if self.rows as usize != rows {
            return Err(format!("{} rows for {rows} rows of arguments", self.rows));
        }
        let nulls = self
            .validity
            .map(|bitmap| exact_bits("validity", bitmap, rows).map(NullBuffer::new))
            .transpose()?
            .filter(|nulls| nulls.null_count() > 0);
        let array: ArrayRef = match (expected, self.data) {
            (DataType::Int32, Buffers::I32(values)) => {
                Arc::new(Int32Array::new(exact(values, rows)?, nulls))
            }
            (DataType::Date32, Buffers::I32(values)) => {
                Arc::new(Date32Array::new(exact(values, rows)?, nulls))
            }
            (DataType::Int64, Buffers::I64(values)) => {
                Arc::new(Int64Array::new(exact(values, rows)?, nulls))
            }
            (DataType::Float64, Buffers::F64(values)) => {
                Arc::new(Float64Array::new(exact(values, rows)?, nulls))
            }
            (DataType::Timestamp(TimeUnit::Millisecond, None), Buffers::I64(values)) => {
                Arc::new(TimestampMillisecondArray::new(exact(values, rows)?, nulls))
            }
            (DataType::Timestamp(TimeUnit::Microsecond, None), Buffers::I64(values)) => {
                Arc::new(TimestampMicrosecondArray::new(exact(values, rows)?, nulls))
            }
            (DataType::Timestamp(TimeUnit::Nanosecond, None), Buffers::I64(values)) => {
                Arc::new(TimestampNanosecondArray::new(exact(values, rows)?, nulls))
            }
            (DataType::Boolean, Buffers::Bits(bits)) => {
                Arc::new(BooleanArray::new(exact_bits("boolean", bits, rows)?, nulls))
            }
            (DataType::Utf8, Buffers::Utf8((offsets, bytes))) => {
                let offsets = exact_offsets(offsets, &bytes, rows)?;
                let array = StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls);
                Arc::new(array.map_err(|_| "text that is not UTF-8".to_owned())?)
            }
            (DataType::Binary, Buffers::Bin((offsets, bytes))) => {
                let offsets = exact_offsets(offsets, &bytes, rows)?;
                let array = BinaryArray::try_new(offsets, Buffer::from_vec(bytes), nulls);
                Arc::new(array.map_err(|error| error.to_string())?)
            }
            (DataType::Decimal128(precision, scale), Buffers::Bin((offsets, bytes))) => {
                let values = decimals(offsets, &bytes, rows)?;
                let array = Decimal128Array::new(values, nulls)
                    .with_precision_and_scale(*precision, *scale)
                    .map_err(|error| error.to_string())?;
                let fits = |value| Decimal128Type::is_valid_decimal_precision(value, *precision);
                if !array.iter().flatten().all(fits) {
                    return Err(format!("a decimal of more than {precision} digits"));
                }
                Arc::new(array)
            }
            _ => return Err(format!("buffers that do not hold {expected}")),
        };
        Ok(array)
    }
}

fn exact<T: arrow::datatypes::ArrowNativeType>(
    values: Vec<T>,
    rows: usize,
) -> Result<ScalarBuffer<T>, String> {
    if values.len() != rows {
        return Err(format!("{} values for {rows} rows", values.len()));
    }
    Ok(values.into())
}

fn exact_bits(what: &str, bitmap: Vec<u8>, rows: usize) -> Result<BooleanBuffer, String> {
    if bitmap.len() != rows.div_ceil(8) {
        return Err(format!(
            "a {what} bitmap of {} bytes for {rows} rows",
            bitmap.len()
        ));
    }
    Ok(BooleanBuffer::new(Buffer::from_vec(bitmap), 0, rows))
}

/// Offsets from 0 to the end of `bytes` that never step back.
fn exact_offsets(
    offsets: Vec<u32>,
    bytes: &[u8],
    rows: usize,
) -> Result<OffsetBuffer<i32>, String> {
    if offsets.len() != rows + 1 {
        return Err(format!("{} offsets for {rows} rows", offsets.len()));
    }
    if i32::try_from(bytes.len()).is_err() {
        return Err(format!("a column of {} bytes", bytes.len()));
    }
    let ends_meet = offsets[0] == 0 && offsets[rows] as usize == bytes.len();
    if !ends_meet || !offsets.is_sorted() {
        return Err(format!(
            "offsets that do not run from 0 to {} in order",
            bytes.len()
        ));
    }
    let offsets: Vec<i32> = offsets.into_iter().map(|offset| offset as i32).collect();
    Ok(OffsetBuffer::new(offsets.into()))
}

fn decimals(offsets: Vec<u32>, bytes: &[u8], rows: usize) -> Result<ScalarBuffer<i128>, String> {
    let (values, rest) = bytes.as_chunks::<16>();
    let in_steps = offsets
        .iter()
        .zip((0..).step_by(16))
        .all(|(offset, expected)| u64::from(*offset) == expected);
    if offsets.len() != rows + 1 || values.len() != rows || !rest.is_empty() || !in_steps {
        return Err(format!("{} bytes of decimals for {rows} rows", bytes.len()));
    }
    let values: Vec<i128> = values
        .iter()
        .map(|bytes| i128::from_le_bytes(*bytes))
        .collect();
    Ok(values.into())
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;
    use crate::contract::Ty;

    #[track_caller]
    fn check(column: ReturnedColumn, expected: &DataType, rows: usize, why: &str) {
        let error = column.into_array(expected, rows).expect_err(why);
        assert!(error.contains(why), "{error:?} should say {why:?}");
    }

    fn text(offsets: &[u32], bytes: &[u8]) -> ReturnedColumn {
        ReturnedColumn {
            ty: Ty::Utf8,
            rows: offsets.len() as u32 - 1,
            validity: None,
            data: Buffers::Utf8((offsets.to_vec(), bytes.to_vec())),
        }
    }

    fn numbers(rows: u32, values: usize) -> ReturnedColumn {
        ReturnedColumn {
            ty: Ty::Int64,
            rows,
            validity: None,
            data: Buffers::I64(vec![7; values]),
        }
    }

    #[test]
    fn a_well_formed_column_becomes_arrow() {
        let column = ReturnedColumn {
            validity: Some(vec![0b101]),
            ..text(&[0, 1, 1, 3], b"abc")
        };
        let array = column.into_array(&DataType::Utf8, 3).expect("it is fine");
        let strings: Vec<_> = array.as_string::<i32>().iter().collect();
        assert_eq!(strings, [Some("a"), None, Some("bc")]);
    }

    #[test]
    fn another_type_is_refused() {
        check(numbers(1, 1), &DataType::Utf8, 1, "Int64 instead of Utf8");
    }

    #[test]
    fn another_row_count_is_refused() {
        check(numbers(2, 2), &DataType::Int64, 3, "2 rows for 3 rows");
        check(numbers(3, 2), &DataType::Int64, 3, "2 values for 3 rows");
    }

    #[test]
    fn a_short_or_long_bitmap_is_refused() {
        for bitmap in [vec![], vec![0, 0]] {
            let column = ReturnedColumn {
                validity: Some(bitmap),
                ..numbers(3, 3)
            };
            check(column, &DataType::Int64, 3, "validity bitmap");
        }
    }

    #[test]
    fn offsets_that_step_back_or_out_are_refused() {
        check(text(&[0, 3, 2], b"ab"), &DataType::Utf8, 2, "offsets");
        check(text(&[0, 1, 3], b"ab"), &DataType::Utf8, 2, "offsets");
        check(text(&[1, 1, 2], b"ab"), &DataType::Utf8, 2, "offsets");
        check(
            text(&[0, u32::MAX, 2], b"ab"),
            &DataType::Utf8,
            2,
            "offsets",
        );
    }

    #[test]
    fn broken_utf8_is_refused_also_between_rows() {
        check(text(&[0, 2], b"\xc3\x28"), &DataType::Utf8, 1, "UTF-8");
        check(
            text(&[0, 1, 2], "é".as_bytes()),
            &DataType::Utf8,
            2,
            "UTF-8",
        );
    }

    #[test]
    fn a_decimal_over_its_precision_is_refused() {
        let column = ReturnedColumn {
            ty: Ty::Decimal((4, 2)),
            rows: 1,
            validity: None,
            data: Buffers::Bin((vec![0, 16], 10_000i128.to_le_bytes().to_vec())),
        };
        check(column, &DataType::Decimal128(4, 2), 1, "more than 4 digits");
    }
}
