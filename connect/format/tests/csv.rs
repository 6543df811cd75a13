//! CSV and raw records, one per message.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use format::{Decoder, Encoder, Error, Format, Options};
use proptest::prelude::*;

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(
        fields
            .iter()
            .map(|(name, kind)| Field::new(*name, kind.clone(), true))
            .collect::<Vec<_>>(),
    ))
}

fn options(pairs: &[(&str, &str)]) -> Options {
    let given: BTreeMap<String, String> = pairs
        .iter()
        .map(|(k, v)| ((*k).into(), (*v).into()))
        .collect();
    Options::parse(Format::Csv, &given).expect("the options exist")
}

fn decode(schema: &SchemaRef, options: &Options, rows: &[&[u8]]) -> (RecordBatch, Vec<String>) {
    let rows: Vec<Bytes> = rows.iter().map(|row| Bytes::copy_from_slice(row)).collect();
    let mut decoder = Decoder::new(Format::Csv, schema.clone(), options.clone())
        .expect("the types are supported");
    let (batch, undecodable) = decoder.decode(&rows);
    (batch, undecodable.into_iter().map(|bad| bad.why).collect())
}

fn encode(batch: &RecordBatch, options: &Options) -> Vec<Vec<u8>> {
    let encoder = Encoder::new(Format::Csv, batch.schema(), options.clone())
        .expect("the types are supported");
    encoder
        .encode(batch)
        .expect("the schema is the batch's")
        .iter()
        .map(|row| row.to_vec())
        .collect()
}

fn flights() -> SchemaRef {
    schema(&[
        ("date", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("delay", DataType::Int32),
        ("origin", DataType::Utf8),
    ])
}

#[test]
fn a_row_reads_and_writes_as_it_stands() {
    let (batch, bad) = decode(
        &flights(),
        &options(&[]),
        &[
            b"2001-01-01 00:47:00,66,DTW\n",
            b"2001-01-01 01:10:00,,\"H,L\"",
        ],
    );
    assert_eq!(bad, Vec::<String>::new());
    assert_eq!(
        encode(&batch, &options(&[])),
        vec![
            b"2001-01-01 00:47:00,66,DTW".to_vec(),
            b"2001-01-01 01:10:00,,\"H,L\"".to_vec()
        ]
    );
}

#[test]
fn what_is_no_row_of_the_table_says_why() {
    let (batch, bad) = decode(
        &flights(),
        &options(&[]),
        &[
            b"",
            b"2001-01-01 00:47:00,66",
            b"a,1,b,c",
            b"2001-01-01 00:47:00,x,b",
            b"2001-01-01 00:47:00,1,b\nmore",
            b"2001-01-01 00:47:00,1,\xff",
        ],
    );
    assert_eq!(batch.num_rows(), 0);
    assert_eq!(
        bad,
        [
            "the record is empty",
            "2 fields, the table has 3 columns",
            "4 fields, the table has 3 columns",
            "field \"delay\": \"x\" is not an INT",
            "a second record starts at byte 24",
            "field \"origin\" is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0",
        ]
    );
}

#[test]
fn short_rows_are_filled_up_when_asked_for() {
    let (batch, bad) = decode(
        &flights(),
        &options(&[("allow-missing-columns", "true")]),
        &[b"2001-01-01 00:47:00"],
    );
    assert_eq!(bad, Vec::<String>::new());
    assert_eq!(
        encode(&batch, &options(&[])),
        vec![b"2001-01-01 00:47:00,,".to_vec()]
    );
}

#[test]
fn delimiter_quote_and_null_literal_are_the_callers_choice() {
    let options = options(&[
        ("field-delimiter", ";"),
        ("quote-character", "'"),
        ("null-literal", "n/a"),
    ]);
    let (batch, bad) = decode(&flights(), &options, &[b"2001-01-01 00:47:00;n/a;'it''s;'"]);
    assert_eq!(bad, Vec::<String>::new());
    assert_eq!(
        encode(&batch, &options),
        vec![b"2001-01-01 00:47:00;n/a;'it''s;'".to_vec()]
    );
}

#[test]
fn a_header_names_the_columns() {
    let schema = schema(&[("a,b", DataType::Int32), ("c", DataType::Int32)]);
    let encoder = Encoder::new(Format::Csv, schema, Options::default()).expect("supported");
    assert_eq!(encoder.csv_header(), b"\"a,b\",c");
}

#[test]
fn nested_columns_have_no_place_in_csv() {
    let nested = schema(&[("l", DataType::new_list(DataType::Int32, true))]);
    let refused = Decoder::new(Format::Csv, nested.clone(), Options::default()).map(|_| ());
    assert!(matches!(refused, Err(Error::UnsupportedType { .. })));
    assert!(Encoder::new(Format::Csv, nested, Options::default()).is_err());
}

#[test]
fn a_raw_record_is_the_value_of_the_only_column() {
    let one = schema(&[("body", DataType::Binary)]);
    let mut decoder =
        Decoder::new(Format::Raw, one.clone(), Options::default()).expect("one column");
    let rows = vec![Bytes::from_static(b"\xff\x00"), Bytes::new()];
    let (batch, bad) = decoder.decode(&rows);
    assert!(bad.is_empty());
    let encoder = Encoder::new(Format::Raw, one, Options::default()).expect("one column");
    assert_eq!(encoder.encode(&batch).expect("same schema"), rows);
    assert!(Decoder::new(Format::Raw, flights(), Options::default()).is_err());
}

#[test]
fn a_batch_of_other_columns_is_refused_by_name() {
    let (batch, _) = decode(&flights(), &options(&[]), &[]);
    let encoder = Encoder::new(
        Format::Csv,
        schema(&[("x", DataType::Int32)]),
        Options::default(),
    )
    .expect("supported");
    assert!(
        encoder
            .encode(&batch)
            .expect_err("other columns")
            .to_string()
            .contains("x Int32")
    );
}

proptest! {
    #[test]
    fn what_we_write_we_read(rows in proptest::collection::vec((any::<Option<String>>(), any::<Option<i32>>()), 1..20)) {
        let schema = schema(&[("s", DataType::Utf8), ("i", DataType::Int32)]);
        let options = options(&[("null-literal", "\\N")]);
        prop_assume!(rows.iter().all(|(text, _)| text.as_deref() != Some("\\N")));
        let texts: arrow::array::StringArray = rows.iter().map(|(text, _)| text.clone()).collect();
        let numbers: arrow::array::Int32Array = rows.iter().map(|(_, number)| *number).collect();
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(texts), Arc::new(numbers)]).expect("two columns");
        let written = encode(&batch, &options);
        let written: Vec<&[u8]> = written.iter().map(Vec::as_slice).collect();
        let (read, bad) = decode(&schema, &options, &written);
        prop_assert_eq!(bad, Vec::<String>::new());
        prop_assert_eq!(read, batch);
    }

    #[test]
    fn arbitrary_bytes_are_one_row_or_one_refusal(body in proptest::collection::vec(any::<u8>(), 0..80)) {
        let (batch, bad) = decode(&flights(), &options(&[]), &[&body]);
        prop_assert_eq!(batch.num_rows() + bad.len(), 1);
    }
}
