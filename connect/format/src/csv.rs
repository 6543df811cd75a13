//! CSV records out of bytes, one at a time, with the bytes each one took.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::CsvOptions;
use crate::column::Column;

/// The fields of one record, kept between records to save allocations.
#[derive(Clone, Debug, Default)]
pub struct CsvRecord {
    text: Vec<u8>,
    ends: Vec<usize>,
    fields: usize,
}

impl CsvRecord {
    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields
    }

    /// Whether the record has no field at all.
    pub fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// The bytes of one field, quotes resolved.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        if index >= self.fields {
            return None;
        }
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.text.get(start..self.ends[index])
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.fields).filter_map(|index| self.get(index))
    }
}

/// Splits bytes into CSV records.
#[derive(Clone, Debug)]
pub struct CsvRecords {
    reader: Reader,
}

impl CsvRecords {
    /// A splitter for this delimiter, quote and escape. `\n`, `\r` and `\r\n` end a record.
    pub fn new(options: &CsvOptions) -> Self {
        let mut builder = ReaderBuilder::new();
        builder.delimiter(options.delimiter);
        match options.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quoting(false),
        };
        builder.escape(options.escape);
        Self {
            reader: builder.build(),
        }
    }

    /// Reads the first record of `input` and returns how many bytes it took, its line end
    /// included. `None` means the input ends before the record does, or holds none: call again
    /// with the same bytes and more, or with `last` to take what is there as the whole.
    pub fn next(&mut self, input: &[u8], last: bool, record: &mut CsvRecord) -> Option<usize> {
        self.reader.reset();
        let (mut read, mut written, mut fields) = (0, 0, 0);
        loop {
            let (result, took, wrote, ended) = self.reader.read_record(
                &input[read..],
                &mut record.text[written..],
                &mut record.ends[fields..],
            );
            read += took;
            written += wrote;
            fields += ended;
            match result {
                ReadRecordResult::OutputFull => {
                    record.text.resize((record.text.len() * 2).max(256), 0)
                }
                ReadRecordResult::OutputEndsFull => {
                    record.ends.resize((record.ends.len() * 2).max(16), 0)
                }
                ReadRecordResult::InputEmpty if last => {} // The next turn hands over the end of input.
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return None,
                ReadRecordResult::Record => {
                    record.fields = fields;
                    return Some(read);
                }
            }
        }
    }
}

/// Appends the only record of `body` to the columns. After an error they hold part of the row.
pub(crate) fn append_record(
    columns: &mut [Column],
    records: &mut CsvRecords,
    record: &mut CsvRecord,
    options: &CsvOptions,
    body: &[u8],
) -> Result<(), String> {
    let Some(took) = records.next(body, true, record) else {
        return Err("the record is empty".into());
    };
    if body[took..]
        .iter()
        .any(|byte| !matches!(byte, b'\r' | b'\n'))
    {
        return Err(format!("a second record starts at byte {took}"));
    }
    append_fields(columns, record, options)
}

/// Appends the fields of a record to the columns, in order.
pub(crate) fn append_fields(
    columns: &mut [Column],
    record: &CsvRecord,
    options: &CsvOptions,
) -> Result<(), String> {
    let short = record.len() < columns.len() && !options.allow_missing_columns;
    if short || record.len() > columns.len() {
        return Err(format!(
            "{} fields, the table has {} columns",
            record.len(),
            columns.len()
        ));
    }
    for (index, column) in columns.iter_mut().enumerate() {
        let Some(field) = record.get(index) else {
            column.append_null()?;
            continue;
        };
        let text = std::str::from_utf8(field)
            .map_err(|error| format!("field \"{}\" is not UTF-8: {error}", column.name()))?;
        if options.null_literal.as_deref() == Some(text) || (text.is_empty() && !column.is_text()) {
            column.append_null()?;
        } else {
            column.append_text(text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(input: &[u8]) -> Vec<(usize, Vec<String>)> {
        let mut records = CsvRecords::new(&CsvOptions::default());
        let (mut record, mut at, mut all) = (CsvRecord::default(), 0, Vec::new());
        while let Some(took) = records.next(&input[at..], true, &mut record) {
            all.push((
                took,
                record
                    .iter()
                    .map(|field| String::from_utf8_lossy(field).into_owned())
                    .collect(),
            ));
            at += took;
        }
        all
    }

    #[test]
    fn quotes_delimiters_and_line_ends_inside_quotes_belong_to_the_field() {
        assert_eq!(
            split(b"a,\"b,\"\"c\"\"\nd\"\ne,f"),
            vec![
                (14, vec!["a".to_owned(), "b,\"c\"\nd".into()]),
                (3, vec!["e".into(), "f".into()])
            ]
        );
    }

    #[test]
    fn a_record_cut_off_by_the_end_of_input_waits_for_more() {
        let mut records = CsvRecords::new(&CsvOptions::default());
        let mut record = CsvRecord::default();
        assert_eq!(records.next(b"a,\"b\n", false, &mut record), None);
        assert_eq!(records.next(b"a,\"b\n\"\nc", false, &mut record), Some(7));
        assert_eq!(record.get(1), Some(&b"b\n"[..]));
    }

    #[test]
    fn windows_line_ends_split_like_any_other() {
        let rows: Vec<Vec<String>> = split(b"a,b\r\nc,d\r\n")
            .into_iter()
            .map(|(_, row)| row)
            .collect();
        assert_eq!(rows, vec![vec!["a", "b"], vec!["c", "d"]]);
    }

    proptest::proptest! {
        #[test]
        fn records_cover_the_input_and_never_panic(input in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let taken: usize = split(&input).iter().map(|(took, _)| took).sum();
            proptest::prop_assert!(taken <= input.len());
        }
    }
}
