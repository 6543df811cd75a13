//! JSON as Flink reads and writes it, and against Arrow's own reader.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Field, Fields, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit,
    TimestampMillisecondType,
};
use bytes::Bytes;
use format::{Decoder, Encoder, Format, Options};
use proptest::prelude::*;

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(
        fields
            .iter()
            .map(|(name, kind)| Field::new(*name, kind.clone(), true))
            .collect::<Vec<_>>(),
    ))
}

fn decode(schema: &SchemaRef, rows: &[&str]) -> (RecordBatch, Vec<(usize, String)>) {
    let rows: Vec<Bytes> = rows
        .iter()
        .map(|row| Bytes::copy_from_slice(row.as_bytes()))
        .collect();
    let mut decoder = Decoder::new(Format::Json, schema.clone(), Options::default())
        .expect("the types are supported");
    let (batch, undecodable) = decoder.decode(&rows);
    for bad in &undecodable {
        assert_eq!(bad.original, rows[bad.row]);
    }
    (
        batch,
        undecodable
            .into_iter()
            .map(|bad| (bad.row, bad.why))
            .collect(),
    )
}

fn encode(batch: &RecordBatch, options: &[(&str, &str)]) -> Vec<String> {
    let given: BTreeMap<String, String> = options
        .iter()
        .map(|(k, v)| ((*k).into(), (*v).into()))
        .collect();
    let options = Options::parse(Format::Json, &given).expect("the options exist");
    let encoder =
        Encoder::new(Format::Json, batch.schema(), options).expect("the types are supported");
    let rows = encoder.encode(batch).expect("the schema is the batch's");
    rows.iter()
        .map(|row| String::from_utf8(row.to_vec()).expect("JSON is UTF-8"))
        .collect()
}

#[track_caller]
fn check_round_trip(kind: DataType, given: &str, expected: &str) {
    let (batch, bad) = decode(&schema(&[("f", kind)]), &[&format!("{{\"f\":{given}}}")]);
    assert_eq!(bad, vec![]);
    assert_eq!(encode(&batch, &[]), vec![format!("{{\"f\":{expected}}}")]);
}

#[track_caller]
fn check_refused(kind: DataType, given: &str, why: &str) {
    let (batch, bad) = decode(&schema(&[("f", kind)]), &[&format!("{{\"f\":{given}}}")]);
    assert_eq!(batch.num_rows(), 0);
    assert!(bad[0].1.starts_with(why), "{}", bad[0].1);
}

const MILLIS: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

#[test]
fn a_timestamp_is_sql_text_with_or_without_fraction_and_may_have_a_t() {
    check_round_trip(MILLIS, "\"2001-01-01 00:47:00\"", "\"2001-01-01 00:47:00\"");
    check_round_trip(
        MILLIS,
        "\"2001-01-01T00:47:00.250\"",
        "\"2001-01-01 00:47:00.25\"",
    );
    check_round_trip(
        MILLIS,
        "\"2001-01-01 00:47:00.2509\"",
        "\"2001-01-01 00:47:00.25\"",
    );
    check_refused(
        MILLIS,
        "\"2001-01-01 00:47:00Z\"",
        "field \"f\": \"2001-01-01 00:47:00Z\" is not a timestamp",
    );
    check_refused(
        MILLIS,
        "978310020000",
        "field \"f\": \"978310020000\" is not a timestamp",
    );
}

#[test]
fn a_timestamp_with_a_zone_is_an_instant() {
    let zoned = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    check_round_trip(
        zoned.clone(),
        "\"2001-01-01 00:47:00Z\"",
        "\"2001-01-01 00:47:00Z\"",
    );
    check_round_trip(
        zoned.clone(),
        "\"2001-01-01T02:47:00+02:00\"",
        "\"2001-01-01 00:47:00Z\"",
    );
    check_refused(zoned, "\"2001-01-01 00:47:00\"", "field \"f\": ");
}

#[test]
fn iso_8601_timestamps_are_written_when_asked_for() {
    let (batch, _) = decode(
        &schema(&[("f", MILLIS)]),
        &["{\"f\":\"2001-01-01 00:47:00.5\"}"],
    );
    assert_eq!(
        encode(&batch, &[("timestamp-format.standard", "ISO-8601")]),
        vec!["{\"f\":\"2001-01-01T00:47:00.5\"}"]
    );
}

#[test]
fn scalars_survive_and_numbers_may_come_as_text() {
    check_round_trip(DataType::Int32, "\" -7 \"", "-7");
    check_round_trip(
        DataType::Int64,
        "9223372036854775807",
        "9223372036854775807",
    );
    check_round_trip(
        DataType::UInt64,
        "18446744073709551615",
        "18446744073709551615",
    );
    check_round_trip(DataType::Int8, "1.2e1", "12");
    check_round_trip(DataType::Float64, "\"1e-3\"", "0.001");
    check_round_trip(DataType::Float64, "\"NaN\"", "\"NaN\"");
    check_round_trip(DataType::Float32, "0.1", "0.1");
    check_round_trip(DataType::Boolean, "\"TRUE\"", "true");
    check_round_trip(DataType::Decimal128(10, 2), "1.10", "1.10");
    check_round_trip(DataType::Decimal128(10, 2), "\"-0.005\"", "-0.01");
    check_round_trip(DataType::Date32, "\"1999-12-31\"", "\"1999-12-31\"");
    check_round_trip(
        DataType::Time32(TimeUnit::Millisecond),
        "\"23:59:59.5\"",
        "\"23:59:59.5\"",
    );
    check_round_trip(DataType::Binary, "\"aGk=\"", "\"aGk=\"");
    check_round_trip(DataType::Utf8View, "\"a\\u00e9\\n\\\"\"", "\"aé\\n\\\"\"");
}

#[test]
fn a_text_column_takes_whatever_is_there() {
    check_round_trip(DataType::Utf8, "1.10", "\"1.10\"");
    check_round_trip(DataType::Utf8, "true", "\"true\"");
    check_round_trip(DataType::Utf8, "{\"a\": [1]}", "\"{\\\"a\\\": [1]}\"");
}

#[test]
fn what_does_not_fit_is_refused_with_the_field_and_the_text() {
    check_refused(
        DataType::Int32,
        "\"abc\"",
        "field \"f\": \"abc\" is not an INT",
    );
    check_refused(
        DataType::Int32,
        "12.5",
        "field \"f\": \"12.5\" is not an INT",
    );
    check_refused(
        DataType::Int8,
        "128",
        "field \"f\": \"128\" is not a TINYINT",
    );
    check_refused(
        DataType::Boolean,
        "1",
        "field \"f\": \"1\" is not true or false",
    );
    check_refused(
        DataType::Binary,
        "1234",
        "field \"f\": \"1234\" is not base64",
    );
    check_refused(
        DataType::Decimal128(4, 2),
        "100",
        "field \"f\": \"100\" is not a DECIMAL(4, 2)",
    );
    check_refused(DataType::Int32, "[1]", "field \"f\": \"[1]\" is not an INT");
}

#[test]
fn one_bad_row_leaves_its_neighbours_whole() {
    let schema = schema(&[("a", DataType::Utf8), ("b", DataType::Int32)]);
    let (batch, bad) = decode(
        &schema,
        &[
            "{\"a\":\"x\",\"b\":1}",
            "{\"a\":\"lost\",\"b\":\"no\"}",
            "",
            "[]",
            "{\"a\":\"y\"",
            "{\"b\":2,\"a\":null} trailing",
            "{\"b\":3,\"unknown\":{\"deep\":[1,2]},\"a\":\"z\"}",
        ],
    );
    let expected: Vec<Option<&str>> = vec![Some("x"), Some("z")];
    assert_eq!(
        batch
            .column(0)
            .as_string::<i32>()
            .iter()
            .collect::<Vec<_>>(),
        expected
    );
    assert_eq!(
        batch
            .column(1)
            .as_primitive::<Int32Type>()
            .values()
            .to_vec(),
        vec![1, 3]
    );
    assert_eq!(
        bad.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
        vec![1, 2, 3, 4, 5]
    );
    assert!(bad[2].1.contains("expected a JSON object"), "{}", bad[2].1);
}

#[test]
fn missing_fields_are_null_and_the_last_of_two_equal_names_counts() {
    let schema = schema(&[("a", DataType::Int32), ("b", DataType::Int32)]);
    let (batch, bad) = decode(
        &schema,
        &["{}", "{\"a\":1,\"a\":2}", "{\"b\":5,\"a\":null}"],
    );
    assert_eq!(bad, vec![]);
    assert_eq!(
        encode(&batch, &[]),
        [
            "{\"a\":null,\"b\":null}",
            "{\"a\":2,\"b\":null}",
            "{\"a\":null,\"b\":5}"
        ]
    );
    assert_eq!(
        encode(&batch, &[("encode.ignore-null-fields", "true")]),
        ["{}", "{\"a\":2}", "{\"b\":5}"]
    );
}

#[test]
fn a_not_null_column_refuses_null_and_missing_alike() {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, false)]));
    let (_, bad) = decode(&schema, &["{\"a\":null}", "{}"]);
    assert_eq!(bad.len(), 2);
    for (_, why) in bad {
        assert!(
            why.starts_with("field \"a\" is NULL, the column is NOT NULL"),
            "{why}"
        );
    }
}

#[test]
fn rows_lists_and_maps_nest() {
    let row = DataType::Struct(Fields::from(vec![
        Field::new("x", DataType::Int32, true),
        Field::new("tags", DataType::new_list(DataType::Utf8, true), true),
    ]));
    check_round_trip(
        row.clone(),
        "{\"tags\":[\"a\",null],\"x\":1}",
        "{\"x\":1,\"tags\":[\"a\",null]}",
    );
    check_round_trip(row.clone(), "null", "null");
    check_round_trip(
        DataType::new_list(row, true),
        "[{\"x\":1},null,{}]",
        "[{\"x\":1,\"tags\":null},null,{\"x\":null,\"tags\":null}]",
    );
    let entries = Field::new_struct(
        "entries",
        vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("value", MILLIS, true),
        ],
        false,
    );
    let map = DataType::Map(Arc::new(entries), false);
    check_round_trip(
        map,
        "{\"k\":\"2001-01-01T00:00:00\"}",
        "{\"k\":\"2001-01-01 00:00:00\"}",
    );
}

#[test]
fn a_failing_nested_value_leaves_no_trace() {
    let list = DataType::new_list(DataType::Int32, true);
    let schema = schema(&[("l", list), ("t", MILLIS)]);
    let (batch, bad) = decode(
        &schema,
        &[
            "{\"l\":[1,2]}",
            "{\"l\":[3,\"x\"]}",
            "{\"l\":[4],\"t\":\"never\"}",
            "{\"l\":[5],\"t\":\"2001-01-01 00:00:00\"}",
        ],
    );
    assert_eq!(bad.len(), 2);
    assert_eq!(
        batch
            .column(0)
            .as_list::<i32>()
            .values()
            .as_primitive::<Int32Type>()
            .values()
            .to_vec(),
        vec![1, 2, 5]
    );
    assert_eq!(
        batch
            .column(1)
            .as_primitive::<TimestampMillisecondType>()
            .null_count(),
        1
    );
}

#[test]
fn a_table_of_many_columns_finds_them_in_any_order() {
    let fields: Vec<(String, DataType)> = (0..40)
        .map(|n| (format!("c{n}"), DataType::Int64))
        .collect();
    let fields: Vec<(&str, DataType)> = fields
        .iter()
        .map(|(name, kind)| (name.as_str(), kind.clone()))
        .collect();
    let body: Vec<String> = (0..40).rev().map(|n| format!("\"c{n}\":{n}")).collect();
    let (batch, bad) = decode(&schema(&fields), &[&format!("{{{}}}", body.join(","))]);
    assert_eq!(bad, vec![]);
    for n in 0..40 {
        assert_eq!(
            batch.column(n).as_primitive::<Int64Type>().value(0),
            n as i64
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_one_row_or_one_refusal(body in proptest::collection::vec(any::<u8>(), 0..80)) {
        let schema = schema(&[("a", DataType::Utf8), ("l", DataType::new_list(DataType::Int32, true))]);
        let mut decoder = Decoder::new(Format::Json, schema, Options::default()).expect("supported");
        let (batch, bad) = decoder.decode(&[Bytes::from(body)]);
        prop_assert_eq!(batch.num_rows() + bad.len(), 1);
    }

    #[test]
    fn arrow_reads_the_same_from_what_we_write(
        rows in proptest::collection::vec((any::<Option<i64>>(), any::<Option<String>>(), proptest::option::of(-1e15..1e15_f64), any::<Option<bool>>()), 1..20)
    ) {
        let schema = schema(&[("i", DataType::Int64), ("s", DataType::Utf8), ("d", DataType::Float64), ("b", DataType::Boolean)]);
        let text: Vec<Bytes> = rows.iter().map(|(i, s, d, b)| {
            serde_json::json!({"d": d, "b": b, "s": s, "i": i}).to_string().into()
        }).collect();
        let mut decoder = Decoder::new(Format::Json, schema.clone(), Options::default()).expect("supported");
        let (ours, bad) = decoder.decode(&text);
        prop_assert!(bad.is_empty());
        let joined = text.iter().flat_map(|row| row.iter().copied().chain(*b"\n")).collect::<Vec<u8>>();
        let mut reader = arrow_json::ReaderBuilder::new(schema.clone()).build(joined.as_slice()).expect("a reader");
        let theirs = reader.next().expect("there are rows").expect("they are valid");
        prop_assert_eq!(&ours, &theirs);
        let written: Vec<Bytes> = encode(&ours, &[]).into_iter().map(Bytes::from).collect();
        prop_assert_eq!(decoder.decode(&written).0, ours);
    }
}
