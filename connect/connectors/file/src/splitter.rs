//! Bytes of a file into records, and from records into what the broker takes.

use std::ops::Range;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use connect_sdk::{Error, Poisoned, RawRecord, Records, nearest};
use format::{CsvOptions, CsvRecord, CsvRecords, Decoder, Format, Options as FormatOptions};
use serde_json::value::RawValue;

/// Splits and reads the records of one file.
pub(crate) enum Splitter {
    /// Rows of a CSV file.
    Csv(Box<CsvRows>),
    /// Lines into columns.
    Columns(Box<Decoder>),
    /// JSON lines that pass as they are.
    JsonLines,
    /// Lines that pass as they are, whatever they say.
    Lines,
}

pub(crate) struct CsvRows {
    records: CsvRecords,
    decoder: Decoder,
    /// Places of the wanted columns among the file's, `None` if all are wanted in this order.
    wanted: Option<Vec<usize>>,
}

/// Records of a stretch of bytes.
pub(crate) struct Split {
    /// How many bytes were used up.
    pub(crate) taken: usize,
    /// Line ends among them.
    pub(crate) lines: u64,
    pub(crate) records: Records,
    pub(crate) poisoned: Vec<Poisoned>,
}

impl Splitter {
    /// For a CSV file whose columns have these names; `None` if it has no header and the
    /// schema says it all.
    pub(crate) fn csv(
        options: CsvOptions,
        header: Option<&[String]>,
        schema: Option<SchemaRef>,
    ) -> Result<Self, Error> {
        let (in_file, wanted) = match (header, schema) {
            (None, Some(schema)) => (schema, None),
            (None, None) => {
                return Err(Error::config(
                    "a CSV file without a header has no column names",
                    "set schema, or csv.header to true",
                ));
            }
            (Some(names), None) => {
                let fields: Vec<Field> = names
                    .iter()
                    .map(|name| Field::new(name, DataType::Utf8, true))
                    .collect();
                (std::sync::Arc::new(Schema::new(fields)), None)
            }
            (Some(names), Some(schema)) => arrange(names, &schema)?,
        };
        let format = FormatOptions {
            csv: options.clone(),
            ..FormatOptions::default()
        };
        let decoder = Decoder::new(Format::Csv, in_file, format)
            .map_err(|error| Error::config(error.to_string(), "change schema"))?;
        let records = CsvRecords::new(&options);
        Ok(Self::Csv(Box::new(CsvRows {
            records,
            decoder,
            wanted,
        })))
    }

    /// For a file of JSON lines.
    pub(crate) fn json_lines(schema: Option<SchemaRef>) -> Result<Self, Error> {
        let Some(schema) = schema else {
            return Ok(Self::JsonLines);
        };
        let decoder = Decoder::new(Format::Json, schema, FormatOptions::default())
            .map_err(|error| Error::config(error.to_string(), "change schema"))?;
        Ok(Self::Columns(Box::new(decoder)))
    }

    /// Takes up to `limit` whole records from the front of `bytes`. With `last` nothing comes
    /// after them, so an unfinished record is a whole one. `path` and `line` name the place of
    /// the first byte to the reader of a dead letter.
    pub(crate) fn split(
        &mut self,
        bytes: &[u8],
        last: bool,
        limit: usize,
        place: impl Fn(u64) -> String,
    ) -> Split {
        match self {
            Self::Csv(rows) => rows.split(bytes, last, limit, place),
            Self::Columns(decoder) => {
                let (taken, ranges) = lines(bytes, last, limit);
                let bodies: Vec<Bytes> = ranges
                    .iter()
                    .map(|range| Bytes::copy_from_slice(&bytes[range.clone()]))
                    .collect();
                let (batch, undecodable) = decoder.decode(&bodies);
                let poisoned = undecodable
                    .into_iter()
                    .map(|bad| Poisoned {
                        place: place(count_lines(&bytes[..ranges[bad.row].start])),
                        original: bad.original,
                        why: bad.why,
                    })
                    .collect();
                Split {
                    taken,
                    lines: count_lines(&bytes[..taken]),
                    records: Records::Columns(batch),
                    poisoned,
                }
            }
            Self::JsonLines => {
                let (taken, ranges) = lines(bytes, last, limit);
                // One copy for all of them; the records share it.
                let all = Bytes::copy_from_slice(&bytes[..taken]);
                let (mut records, mut poisoned) = (Vec::with_capacity(ranges.len()), Vec::new());
                for range in ranges {
                    let body = all.slice(range.clone());
                    match serde_json::from_slice::<&RawValue>(&body) {
                        Ok(_) => records.push(RawRecord::new(body)),
                        Err(error) => poisoned.push(Poisoned {
                            place: place(count_lines(&bytes[..range.start])),
                            original: body,
                            why: error.to_string(),
                        }),
                    }
                }
                Split {
                    taken,
                    lines: count_lines(&bytes[..taken]),
                    records: Records::Bytes(records),
                    poisoned,
                }
            }
            Self::Lines => texts(bytes, last, limit),
        }
    }
}

impl CsvRows {
    fn split(
        &mut self,
        bytes: &[u8],
        last: bool,
        limit: usize,
        place: impl Fn(u64) -> String,
    ) -> Split {
        let (mut taken, mut rows) = (0, Vec::new());
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        while rows.len() < limit {
            let mut record = CsvRecord::default();
            let Some(took) = self.records.next(&bytes[taken..], last, &mut record) else {
                break;
            };
            rows.push(record);
            // Empty lines before a record are no part of it.
            let blank = bytes[taken..]
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count();
            starts.push(taken + blank);
            taken += took;
            ends.push(taken);
        }
        if last && rows.len() < limit {
            taken = bytes.len(); // What is left holds no record: empty lines.
        }
        let (batch, refused) = self.decoder.decode_split(&rows);
        let poisoned = refused
            .into_iter()
            .map(|(row, why)| Poisoned {
                original: Bytes::copy_from_slice(trim(&bytes[starts[row]..ends[row]])),
                place: place(count_lines(&bytes[..starts[row]])),
                why,
            })
            .collect();
        let batch = match &self.wanted {
            None => batch,
            Some(wanted) => batch
                .project(wanted)
                .expect("the places were found in the header"),
        };
        Split {
            taken,
            lines: count_lines(&bytes[..taken]),
            records: Records::Columns(batch),
            poisoned,
        }
    }
}

/// The types of the file's columns, and where the wanted ones are among them.
fn arrange(names: &[String], schema: &SchemaRef) -> Result<(SchemaRef, Option<Vec<usize>>), Error> {
    let missing: Vec<String> = schema
        .fields()
        .iter()
        .filter(|field| !names.contains(field.name()))
        .map(
            |field| match nearest(field.name(), names.iter().map(String::as_str)) {
                Some(near) => format!("\"{}\" (the header has \"{near}\")", field.name()),
                None => format!("\"{}\"", field.name()),
            },
        )
        .collect();
    if !missing.is_empty() {
        return Err(Error::config(
            format!("the header has no column {}", missing.join(", ")),
            format!("its columns are {}", names.join(", ")),
        ));
    }
    let field = |name: &String| match schema.field_with_name(name) {
        Ok(field) => field.clone(),
        Err(_) => Field::new(name, DataType::Utf8, true),
    };
    let in_file = Schema::new(names.iter().map(field).collect::<Vec<_>>());
    let wanted: Vec<usize> = schema
        .fields()
        .iter()
        .filter_map(|field| in_file.index_of(field.name()).ok())
        .collect();
    let all = wanted.iter().copied().eq(0..names.len());
    Ok((std::sync::Arc::new(in_file), (!all).then_some(wanted)))
}

/// The first `limit` lines, empty ones too, as they stand.
fn texts(bytes: &[u8], last: bool, limit: usize) -> Split {
    let (mut taken, mut ranges) = (0, Vec::new());
    while ranges.len() < limit && taken < bytes.len() {
        let (end, next) = match memchr::memchr(b'\n', &bytes[taken..]) {
            Some(at) => (taken + at, taken + at + 1),
            None if last => (bytes.len(), bytes.len()),
            None => break,
        };
        let carriage = usize::from(bytes[taken..end].ends_with(b"\r"));
        ranges.push(taken..end - carriage);
        taken = next;
    }
    let all = Bytes::copy_from_slice(&bytes[..taken]);
    let record = |range| RawRecord::new(all.slice(range));
    Split {
        taken,
        lines: count_lines(&bytes[..taken]),
        records: Records::Bytes(ranges.into_iter().map(record).collect()),
        poisoned: Vec::new(),
    }
}

/// The first `limit` non-blank lines, without their ends, and how many bytes they took.
fn lines(bytes: &[u8], last: bool, limit: usize) -> (usize, Vec<Range<usize>>) {
    let (mut taken, mut found) = (0, Vec::new());
    while found.len() < limit && taken < bytes.len() {
        let (end, next) = match memchr::memchr(b'\n', &bytes[taken..]) {
            Some(at) => (taken + at, taken + at + 1),
            None if last => (bytes.len(), bytes.len()),
            None => break,
        };
        let line = trim(&bytes[taken..end]);
        if !line.iter().all(u8::is_ascii_whitespace) {
            found.push(taken..taken + line.len());
        }
        taken = next;
    }
    (taken, found)
}

fn trim(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .rposition(|byte| !matches!(byte, b'\r' | b'\n'))
        .map_or(0, |at| at + 1);
    &line[..end]
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
