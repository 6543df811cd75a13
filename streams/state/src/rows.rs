//! Columns to byte rows and back, in Arrow's row format: rows compare as their values do.
//!
//! The format is part of what is on disk. A table records [`FORMAT`] beside its columns, and a
//! test holds some encoded rows to the byte: an Arrow release that encodes otherwise fails it.

use crate::Error;
use arrow::{
    array::ArrayRef,
    datatypes::{DataType, Field},
    row::{RowConverter, SortField},
};

/// Version of the encoding below. Raise it when the bytes of any type change.
pub(crate) const FORMAT: u8 = 1;

/// Encodes and decodes rows of one list of column types.
pub struct RowCodec {
    converter: RowConverter,
    columns: usize,
}

/// Encoded rows of one batch.
pub struct Rows(arrow::row::Rows);

impl RowCodec {
    /// # Errors
    /// A column has a type that has no row form.
    pub fn new<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Result<Self, Error> {
        let fields: Vec<SortField> = types
            .into_iter()
            .map(|data_type| SortField::new(data_type.clone()))
            .collect();
        let columns = fields.len();
        Ok(Self {
            converter: RowConverter::new(fields)?,
            columns,
        })
    }

    /// A codec for the types of these fields.
    pub fn of(fields: &[Field]) -> Result<Self, Error> {
        Self::new(fields.iter().map(Field::data_type))
    }

    /// One row per element of the columns. `rows` says how many where there is no column.
    pub fn encode(&self, columns: &[ArrayRef], rows: usize) -> Result<Rows, Error> {
        if self.columns == 0 {
            let mut empty = self.converter.empty_rows(rows, 0);
            for _ in 0..rows {
                empty.push(self.converter.parser().parse(&[]));
            }
            return Ok(Rows(empty));
        }
        Ok(Rows(self.converter.convert_columns(columns)?))
    }

    /// The columns of rows that this codec, or one of the same types and format, encoded.
    pub fn decode<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<ArrayRef>, Error> {
        let parser = self.converter.parser();
        Ok(self
            .converter
            .convert_rows(rows.into_iter().map(|row| parser.parse(row)))?)
    }
}

impl Rows {
    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of one row.
    pub fn row(&self, index: usize) -> &[u8] {
        self.0.row(index).data()
    }

    /// The bytes of every row, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.row(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        Array, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray,
        TimestampMillisecondArray,
    };
    use std::sync::Arc;

    fn columns() -> Vec<ArrayRef> {
        vec![
            Arc::new(TimestampMillisecondArray::from(vec![Some(3_600_000), None])),
            Arc::new(StringArray::from(vec![Some("ATL"), None])),
            Arc::new(Int64Array::from(vec![Some(-2), None])),
            Arc::new(Float64Array::from(vec![Some(1.5), None])),
            Arc::new(BooleanArray::from(vec![Some(true), None])),
            Arc::new(
                Decimal128Array::from(vec![Some(-7), None])
                    .with_precision_and_scale(20, 2)
                    .expect("a valid decimal"),
            ),
        ]
    }

    fn codec(columns: &[ArrayRef]) -> RowCodec {
        RowCodec::new(columns.iter().map(|column| column.data_type()))
            .expect("types with a row form")
    }

    #[test]
    fn rows_return_as_the_columns_they_were() {
        let columns = columns();
        let codec = codec(&columns);
        let rows = codec
            .encode(&columns, 2)
            .expect("columns of the codec's types");
        assert_eq!(codec.decode(rows.iter()).expect("own rows"), columns);
    }

    #[test]
    fn the_bytes_of_format_one_do_not_change() {
        let columns = columns();
        let rows = codec(&columns)
            .encode(&columns, 2)
            .expect("columns of the codec's types");
        let hex = |row: &[u8]| {
            row.iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        assert_eq!(FORMAT, 1);
        assert_eq!(
            hex(rows.row(0)),
            "01800000000036ee800241544c000000000003017ffffffffffffffe01bff80000000000000101017ffffffffffffffffffffffffffffff9"
        );
        assert_eq!(hex(rows.row(1)), "00".repeat(47));
    }

    #[test]
    fn rows_without_columns_are_empty_keys() {
        let codec = RowCodec::new([]).expect("no columns at all");
        let rows = codec.encode(&[], 2).expect("two empty rows");
        assert_eq!(rows.iter().collect::<Vec<_>>(), [&[] as &[u8], &[]]);
    }
}
