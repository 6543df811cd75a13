//! A batch in, one record per row out.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, SchemaRef};
use bytes::Bytes;

use crate::writer::{Scalars, Written, is_scalar};
use crate::{Error, Format, Options, TimestampText};

/// Turns batches of one schema into records.
#[derive(Clone, Debug)]
pub struct Encoder {
    format: Format,
    schema: SchemaRef,
    options: Options,
}

impl Encoder {
    /// An encoder for `schema`.
    ///
    /// # Errors
    /// A column whose type the format cannot hold, or for raw anything but one column.
    pub fn new(format: Format, schema: SchemaRef, options: Options) -> Result<Self, Error> {
        if format == Format::Raw && schema.fields().len() != 1 {
            let why = format!(
                "format raw has one column, the schema {}",
                schema.fields().len()
            );
            return Err(Error::Schema { why });
        }
        for field in schema.fields() {
            check(field, format)?;
        }
        Ok(Self {
            format,
            schema,
            options,
        })
    }

    /// The columns that go in.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Writes every row. The records share one buffer.
    ///
    /// # Errors
    /// The batch's columns differ from the encoder's in name or type.
    pub fn encode(&self, batch: &RecordBatch) -> Result<Vec<Bytes>, Error> {
        let mut out = Vec::with_capacity(batch.num_rows() * 32);
        let mut ends = Vec::with_capacity(batch.num_rows());
        self.encode_into(batch, &mut out, |out| ends.push(out.len()))?;
        let all = Bytes::from(out);
        let mut start = 0;
        Ok(ends
            .into_iter()
            .map(|end| all.slice(std::mem::replace(&mut start, end)..end))
            .collect())
    }

    /// Appends every row to `out` and calls `after_row` behind each.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encode_into(
        &self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        mut after_row: impl FnMut(&mut Vec<u8>),
    ) -> Result<(), Error> {
        self.check_columns(batch)?;
        let separator = match (self.format, self.options.json.timestamps) {
            (Format::Json, TimestampText::Iso8601) => b'T',
            _ => b' ',
        };
        let columns: Vec<Writer<'_>> = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(array, field)| {
                Writer::new(
                    array,
                    field,
                    separator,
                    self.options.json.ignore_null_fields,
                )
            })
            .collect();
        for row in 0..batch.num_rows() {
            match self.format {
                Format::Json => {
                    write_object(&columns, out, row, self.options.json.ignore_null_fields)
                }
                Format::Csv => self.write_line(&columns, out, row),
                Format::Raw => {
                    if let (true, Shape::Scalar(scalars)) =
                        (columns[0].array.is_valid(row), &columns[0].shape)
                    {
                        match scalars.bytes(row) {
                            Some(bytes) => out.extend_from_slice(bytes),
                            None => {
                                scalars.write(out, row);
                            }
                        }
                    }
                }
            }
            after_row(out);
        }
        Ok(())
    }

    /// The line of column names, for a CSV file that starts with one.
    pub fn csv_header(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, field) in self.schema.fields().iter().enumerate() {
            if index > 0 {
                out.push(self.options.csv.delimiter);
            }
            self.write_csv_text(&mut out, field.name());
        }
        out
    }

    fn check_columns(&self, batch: &RecordBatch) -> Result<(), Error> {
        let (expected, found) = (self.schema.fields(), batch.schema_ref().fields());
        let same = expected.len() == found.len()
            && expected
                .iter()
                .zip(found)
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        if same {
            return Ok(());
        }
        let list = |fields: &arrow::datatypes::Fields| {
            fields
                .iter()
                .map(|field| format!("{} {}", field.name(), field.data_type()))
                .collect::<Vec<_>>()
                .join(", ")
        };
        Err(Error::OtherSchema {
            expected: list(expected),
            found: list(found),
        })
    }

    fn write_line(&self, columns: &[Writer<'_>], out: &mut Vec<u8>, row: usize) {
        let options = &self.options.csv;
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                out.push(options.delimiter);
            }
            if column.array.is_null(row) {
                out.extend_from_slice(
                    options
                        .null_literal
                        .as_deref()
                        .unwrap_or_default()
                        .as_bytes(),
                );
                continue;
            }
            let Shape::Scalar(scalars) = &column.shape else {
                continue;
            };
            match scalars.text(row) {
                Some(text) => self.write_csv_text(out, text),
                None => {
                    let start = out.len();
                    scalars.write(out, row);
                    if out[start..].contains(&options.delimiter) {
                        let text = String::from_utf8_lossy(&out[start..]).into_owned();
                        out.truncate(start);
                        self.write_csv_text(out, &text);
                    }
                }
            }
        }
    }

    fn write_csv_text(&self, out: &mut Vec<u8>, text: &str) {
        let options = &self.options.csv;
        let special = |byte: u8| {
            byte == options.delimiter
                || Some(byte) == options.quote
                || Some(byte) == options.escape
                || matches!(byte, b'\r' | b'\n')
        };
        match options.quote {
            // An empty text is quoted, so that a line of one empty field is not an empty line.
            Some(quote) if text.is_empty() || text.bytes().any(special) => {
                out.push(quote);
                for byte in text.bytes() {
                    if byte == quote || Some(byte) == options.escape {
                        out.push(if Some(byte) == options.escape {
                            byte
                        } else {
                            quote
                        });
                    }
                    out.push(byte);
                }
                out.push(quote);
            }
            _ => out.extend_from_slice(text.as_bytes()),
        }
    }
}

fn check(field: &Field, format: Format) -> Result<(), Error> {
    let nested = format == Format::Json;
    match field.data_type() {
        data_type if is_scalar(data_type) => Ok(()),
        DataType::List(item) if nested => check(item, format),
        DataType::Struct(fields) if nested => {
            fields.iter().try_for_each(|field| check(field, format))
        }
        DataType::Map(entries, _) if nested => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 && *pair[0].data_type() == DataType::Utf8 => {
                check(&pair[1], format)
            }
            _ => Err(unsupported(field, format)),
        },
        _ => Err(unsupported(field, format)),
    }
}

fn unsupported(field: &Field, format: Format) -> Error {
    Error::UnsupportedType {
        format: format.name(),
        column: field.name().clone(),
        data_type: field.data_type().clone(),
    }
}

struct Writer<'a> {
    array: &'a ArrayRef,
    /// `"name":`, rendered once.
    label: Vec<u8>,
    shape: Shape<'a>,
    ignore_nulls: bool,
}

enum Shape<'a> {
    Scalar(Scalars<'a>),
    List(&'a [i32], Box<Writer<'a>>),
    Row(Vec<Writer<'a>>),
    Map(&'a [i32], Box<Writer<'a>>, Box<Writer<'a>>),
}

impl<'a> Writer<'a> {
    /// The encoder has checked the type.
    fn new(array: &'a ArrayRef, field: &Field, separator: u8, ignore_nulls: bool) -> Self {
        let child =
            |array, field: &Field| Box::new(Writer::new(array, field, separator, ignore_nulls));
        let shape = match array.data_type() {
            DataType::List(item) => {
                let list = array.as_list::<i32>();
                Shape::List(list.value_offsets(), child(list.values(), item))
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns().iter().zip(fields);
                Shape::Row(columns.map(|(array, field)| *child(array, field)).collect())
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let [key, value] = map.entries().fields().iter().as_slice() else {
                    unreachable!("a map has keys and values")
                };
                Shape::Map(
                    map.value_offsets(),
                    child(map.keys(), key),
                    child(map.values(), value),
                )
            }
            _ => {
                Shape::Scalar(Scalars::of(array, separator).expect("the encoder checked the type"))
            }
        };
        let mut label = Vec::new();
        write_string(&mut label, field.name());
        label.push(b':');
        Self {
            array,
            label,
            shape,
            ignore_nulls,
        }
    }

    fn write(&self, out: &mut Vec<u8>, row: usize) {
        if self.array.is_null(row) {
            return out.extend_from_slice(b"null");
        }
        match &self.shape {
            Shape::Scalar(scalars) => match scalars.text(row) {
                Some(text) => write_string(out, text),
                None => {
                    let start = out.len();
                    if scalars.write(out, row) == Written::Quoted {
                        out.push(b'"');
                        out.insert(start, b'"');
                    }
                }
            },
            Shape::List(offsets, items) => {
                out.push(b'[');
                for (index, item) in (offsets[row]..offsets[row + 1]).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    items.write(out, item as usize);
                }
                out.push(b']');
            }
            Shape::Row(fields) => write_object(fields, out, row, self.ignore_nulls),
            Shape::Map(offsets, keys, values) => {
                out.push(b'{');
                for (index, entry) in (offsets[row]..offsets[row + 1]).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    keys.write(out, entry as usize);
                    out.push(b':');
                    values.write(out, entry as usize);
                }
                out.push(b'}');
            }
        }
    }
}

fn write_object(columns: &[Writer<'_>], out: &mut Vec<u8>, row: usize, ignore_nulls: bool) {
    out.push(b'{');
    let mut first = true;
    for column in columns {
        if ignore_nulls && column.array.is_null(row) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        out.extend_from_slice(&column.label);
        column.write(out, row);
    }
    out.push(b'}');
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text goes into memory");
}
