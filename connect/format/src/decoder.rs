//! Records in, one Arrow batch out, and beside it every record that could not be read.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use crate::column::{Column, Names, append_object};
use crate::csv::{append_fields, append_record};
use crate::{CsvRecord, CsvRecords, Error, Format, Options};

/// A record that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// Its place among the records handed in.
    pub row: usize,
    /// The record, untouched.
    pub original: Bytes,
    /// One sentence that names the field and the text where there are any.
    pub why: String,
}

/// Turns records into batches of one schema. Fields are matched by name in JSON, by place in CSV.
pub struct Decoder {
    schema: SchemaRef,
    columns: Vec<Column>,
    reading: Reading,
    options: Options,
}

enum Reading {
    Json(Names),
    Csv(Box<CsvRecords>, CsvRecord),
    Raw,
}

impl Decoder {
    /// A decoder for `schema`.
    ///
    /// # Errors
    /// A column whose type the format cannot hold, or for raw anything but one column.
    pub fn new(format: Format, schema: SchemaRef, options: Options) -> Result<Self, Error> {
        let columns = schema
            .fields()
            .iter()
            .map(|field| Column::new(field, format.name(), format == Format::Json))
            .collect::<Result<Vec<_>, _>>()?;
        let reading = match format {
            Format::Json => Reading::Json(Names::of(&columns)),
            Format::Csv => Reading::Csv(
                Box::new(CsvRecords::new(&options.csv)),
                CsvRecord::default(),
            ),
            Format::Raw if columns.len() == 1 => Reading::Raw,
            Format::Raw => {
                return Err(Error::Schema {
                    why: format!("format raw has one column, the schema {}", columns.len()),
                });
            }
        };
        Ok(Self {
            schema,
            columns,
            reading,
            options,
        })
    }

    /// The columns that come out.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Reads one record per element. The batch holds the readable ones in their order.
    pub fn decode(&mut self, records: &[Bytes]) -> (RecordBatch, Vec<Undecodable>) {
        let mut undecodable = Vec::new();
        let mut rows = 0;
        for (row, original) in records.iter().enumerate() {
            match self.append(original) {
                Ok(()) => rows += 1,
                Err(why) => {
                    self.columns
                        .iter_mut()
                        .for_each(|column| column.truncate(rows));
                    undecodable.push(Undecodable {
                        row,
                        original: original.clone(),
                        why,
                    });
                }
            }
        }
        (self.finish(rows), undecodable)
    }

    /// Reads CSV records that are already split. Each error is the row's place and the reason.
    ///
    /// # Panics
    /// If the decoder was not made for CSV.
    pub fn decode_split<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a CsvRecord>,
    ) -> (RecordBatch, Vec<(usize, String)>) {
        assert!(
            matches!(self.reading, Reading::Csv(..)),
            "only a CSV decoder reads split records"
        );
        let mut refused = Vec::new();
        let mut rows = 0;
        for (row, record) in records.into_iter().enumerate() {
            match append_fields(&mut self.columns, record, &self.options.csv) {
                Ok(()) => rows += 1,
                Err(why) => {
                    self.columns
                        .iter_mut()
                        .for_each(|column| column.truncate(rows));
                    refused.push((row, why));
                }
            }
        }
        (self.finish(rows), refused)
    }

    fn append(&mut self, record: &[u8]) -> Result<(), String> {
        match &mut self.reading {
            Reading::Json(names) => {
                let text =
                    std::str::from_utf8(record).map_err(|error| format!("not UTF-8: {error}"))?;
                append_object(
                    &mut self.columns,
                    names,
                    text,
                    self.options.json.fail_on_missing_field,
                )
            }
            Reading::Csv(records, fields) => append_record(
                &mut self.columns,
                records,
                fields,
                &self.options.csv,
                record,
            ),
            Reading::Raw => {
                let column = &mut self.columns[0];
                if column.is_binary() {
                    return column.append_bytes(record);
                }
                let text =
                    std::str::from_utf8(record).map_err(|error| format!("not UTF-8: {error}"))?;
                column.append_text(text)
            }
        }
    }

    fn finish(&mut self, rows: usize) -> RecordBatch {
        let arrays = self.columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .expect("every column has the schema's type and one value per row")
    }
}
