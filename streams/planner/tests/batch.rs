//! What a script gives when it runs once over whole tables.

#![allow(clippy::disallowed_methods)]

mod loader;

use arrow::{
    array::{
        ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
        TimestampMillisecondArray,
    },
    util::display::{ArrayFormatter, FormatOptions},
};
use planner::batch::{self, Tables};
use std::sync::Arc;

const BIDS: &str = "
CREATE TABLE bids (item STRING, price BIGINT, quantity INT, ratio DOUBLE, at TIMESTAMP(3), total AS price * quantity,
  proctime AS PROCTIME(), WATERMARK FOR at AS at - INTERVAL '1' SECOND)
  WITH ('connector' = 'rocketmq', 'topic' = 'bids', 'format' = 'json');
CREATE TABLE items (id STRING, label STRING, PRIMARY KEY (id) NOT ENFORCED)
  WITH ('connector' = 'file', 'path' = 'items.csv', 'format' = 'csv');
CREATE FUNCTION half(n BIGINT) RETURNS BIGINT LANGUAGE wasm AS 'half.wasm';
";

fn bids() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "item",
            Arc::new(StringArray::from(vec![
                Some("a"),
                Some("b"),
                Some("a"),
                None,
                Some("c"),
            ])),
        ),
        (
            "price",
            Arc::new(Int64Array::from(vec![
                Some(1),
                Some(2),
                Some(4),
                Some(8),
                None,
            ])),
        ),
        ("quantity", Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5]))),
        (
            "ratio",
            Arc::new(Float64Array::from(vec![0.5, 1.5, -2.5, 3.0, 0.0])),
        ),
        (
            "at",
            Arc::new(TimestampMillisecondArray::from(vec![
                Some(0),
                Some(999),
                Some(1000),
                Some(-1),
                None,
            ])),
        ),
    ];
    RecordBatch::try_from_iter(columns).expect("columns are of one length")
}

fn items() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(StringArray::from(vec!["a", "b"]))),
        ("label", Arc::new(StringArray::from(vec!["apple", "bread"]))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns are of one length")
}

/// Runs a query into a table of these columns and compares its rows as text, sorted.
#[track_caller]
fn check(columns: &str, query: &str, expected: &[&str]) {
    let script = format!(
        "{BIDS}CREATE TABLE out ({columns}) WITH ('connector' = 'blackhole');\nINSERT INTO out {query};"
    );
    let tables = Tables::from([
        ("bids".to_owned(), vec![bids()]),
        ("items".to_owned(), vec![items()]),
    ]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime starts");
    let environment = loader::environment();
    let run = batch::run(&script, "out", &tables, &environment, 86_400_000);
    let rows = runtime
        .block_on(run)
        .unwrap_or_else(|error| panic!("{query}\n{error}"));
    assert_eq!(texts(&rows), expected, "{query}");
    planner::plan(&script, &environment)
        .unwrap_or_else(|errors| panic!("a stream plan of {query}\n{errors}"));
}

fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| {
                ArrayFormatter::try_new(column.as_ref(), &options)
                    .expect("every type here has a text")
            })
            .collect();
        rows.extend((0..batch.num_rows()).map(|row| {
            columns
                .iter()
                .map(|column| column.value(row).to_string())
                .collect::<Vec<_>>()
                .join(" ")
        }));
    }
    rows.sort();
    rows
}

#[test]
fn windows_hold_their_start_and_not_their_end() {
    check(
        "s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT",
        "SELECT window_start, window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(at), INTERVAL '1' SECOND))
         GROUP BY window_start, window_end",
        &[
            "1969-12-31T23:59:59 1970-01-01T00:00:00 1",
            "1970-01-01T00:00:00 1970-01-01T00:00:01 2",
            "1970-01-01T00:00:01 1970-01-01T00:00:02 1",
        ],
    );
}

#[test]
fn a_window_may_start_elsewhere() {
    check(
        "s TIMESTAMP(3), n BIGINT",
        "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(DATA => TABLE bids, TIMECOL => DESCRIPTOR(at),
           SIZE => INTERVAL '1' SECOND, OFFSET => INTERVAL '0.5' SECOND)) GROUP BY window_start, window_end",
        &["1969-12-31T23:59:59.500 2", "1970-01-01T00:00:00.500 2"],
    );
}

#[test]
fn an_average_of_integers_is_an_integer_cut_towards_zero() {
    check(
        "a BIGINT, b INT",
        "SELECT AVG(price), AVG(quantity) FROM bids",
        &["3 3"],
    );
    check("a BIGINT", "SELECT AVG(-price) FROM bids", &["-3"]);
    check(
        "a BIGINT",
        "SELECT AVG(price) FROM bids WHERE item = 'c'",
        &["-"],
    );
    check(
        "a DOUBLE",
        "SELECT AVG(CAST(price AS DOUBLE)) FROM bids",
        &["3.75"],
    );
}

#[test]
fn sums_keep_the_type_of_what_they_add() {
    check(
        "a INT, b BIGINT, c DOUBLE",
        "SELECT SUM(quantity), SUM(price), SUM(ratio) FROM bids",
        &["15 15 2.5"],
    );
    check(
        "a DECIMAL(38, 2)",
        "SELECT SUM(CAST(ratio AS DECIMAL(10, 2))) FROM bids",
        &["2.50"],
    );
    check(
        "a BIGINT",
        "SELECT AVG(price) + COUNT(*) FROM bids HAVING SUM(quantity) > 3",
        &["8"],
    );
}

#[test]
fn aggregates_leave_nulls_out_and_count_star_does_not() {
    check(
        "a BIGINT, b BIGINT, c BIGINT, d BIGINT",
        "SELECT COUNT(*), COUNT(price), MIN(price), MAX(price) FROM bids",
        &["5 4 1 8"],
    );
    check(
        "a BIGINT, b BIGINT",
        "SELECT COUNT(DISTINCT item), COUNT(*) FILTER (WHERE price > 1) FROM bids",
        &["3 3"],
    );
}

#[test]
fn null_is_a_group_of_its_own() {
    check(
        "i STRING, n BIGINT",
        "SELECT item, COUNT(*) FROM bids GROUP BY item",
        &["- 1", "a 2", "b 1", "c 1"],
    );
}

#[test]
fn a_lookup_finds_rows_by_key_and_left_keeps_those_without() {
    check(
        "i STRING, l STRING",
        "SELECT b.item, i.label FROM bids AS b JOIN items FOR SYSTEM_TIME AS OF b.proctime AS i ON b.item = i.id",
        &["a apple", "a apple", "b bread"],
    );
    check(
        "i STRING, l STRING",
        "SELECT b.item, i.label FROM bids AS b
         LEFT JOIN items FOR SYSTEM_TIME AS OF b.proctime AS i ON b.item = i.id AND i.label <> 'bread'",
        &["- -", "a apple", "a apple", "b -", "c -"],
    );
}

#[test]
fn concat_is_null_if_a_part_is() {
    check(
        "t STRING",
        "SELECT CONCAT(UPPER(item), '-', CAST(price AS STRING)) FROM bids",
        &["-", "-", "A-1", "A-4", "B-2"],
    );
}

#[test]
fn the_text_of_a_timestamp_is_flinks() {
    check(
        "t STRING",
        "SELECT CAST(at AS STRING) FROM bids WHERE item = 'b' OR item IS NULL",
        &["1969-12-31 23:59:59.999", "1970-01-01 00:00:00.999"],
    );
}

#[test]
fn parts_of_a_timestamp_are_bigints() {
    check(
        "y BIGINT, h BIGINT, s BIGINT",
        "SELECT EXTRACT(YEAR FROM at), HOUR(at), SECOND(at) FROM bids WHERE quantity = 4",
        &["1969 23 59"],
    );
}

#[test]
fn computed_columns_and_the_clock_are_there_to_be_read() {
    check(
        "t BIGINT, p TIMESTAMP_LTZ(3)",
        "SELECT total, proctime FROM bids WHERE quantity = 3",
        &["12 1970-01-02T00:00:00Z"],
    );
}

#[test]
fn arithmetic_and_conditions_mean_what_they_mean_in_flink() {
    check(
        "a INT, b INT",
        "SELECT 7 / 2, MOD(-7, 3) FROM bids WHERE quantity = 1",
        &["3 -1"],
    );
    check(
        "t STRING",
        "SELECT CASE WHEN price BETWEEN 2 AND 4 THEN 'mid' WHEN price IS NULL THEN 'none' ELSE 'out' END FROM bids",
        &["mid", "mid", "none", "out", "out"],
    );
    check(
        "t STRING",
        "SELECT IFNULL(item, '?') FROM bids WHERE item NOT IN ('a', 'b') OR item IS NULL",
        &["?", "c"],
    );
}

#[test]
fn a_users_function_is_called_in_any_case_and_gets_columns() {
    check(
        "n BIGINT",
        "SELECT HALF(price) FROM bids WHERE price > 1",
        &["1", "2", "4"],
    );
}

#[test]
fn union_all_keeps_every_row() {
    check(
        "i STRING, n INT",
        "SELECT item, quantity FROM bids WHERE quantity < 2 UNION ALL SELECT item, quantity FROM bids WHERE quantity < 3",
        &["a 1", "a 1", "b 2"],
    );
}

#[test]
fn distinct_leaves_each_row_once() {
    check(
        "i STRING",
        "SELECT DISTINCT item FROM bids",
        &["-", "a", "b", "c"],
    );
}

#[test]
fn an_expression_may_be_selected_twice() {
    check(
        "a STRING, b STRING, m BIGINT, n BIGINT",
        "SELECT item, item, COUNT(*), COUNT(*) FROM bids WHERE item = 'a' GROUP BY item",
        &["a a 2 2"],
    );
}

#[test]
fn columns_not_listed_are_null() {
    check(
        "a STRING, b INT",
        "(b) SELECT quantity FROM bids WHERE quantity = 5",
        &["- 5"],
    );
}

#[test]
fn a_row_that_a_function_refuses_is_named() {
    let script = format!(
        "{BIDS}CREATE TABLE out (n BIGINT) WITH ('connector' = 'blackhole'); INSERT INTO out SELECT half(price) FROM bids;"
    );
    let tables = Tables::from([("bids".to_owned(), vec![bids()])]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime starts");
    let failed = runtime.block_on(batch::run(
        &script,
        "out",
        &tables,
        &loader::environment(),
        0,
    ));
    let text = failed.expect_err("1 is odd").to_string();
    assert!(
        text.contains(
            "function half of module 0123456789ab failed: \
             the function failed for 1 rows; row 0: it is odd"
        ),
        "{text}"
    );
}

#[test]
fn what_a_batch_lacks_is_said() {
    let script = format!(
        "{BIDS}CREATE TABLE out (n BIGINT) WITH ('connector' = 'blackhole'); INSERT INTO out SELECT price FROM bids;"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime starts");
    let run = |insert: &str, tables: Tables| {
        let result = runtime.block_on(batch::run(
            &script,
            insert,
            &tables,
            &loader::environment(),
            0,
        ));
        result.expect_err("something is missing").to_string()
    };
    assert_eq!(
        run("elsewhere", Tables::new()),
        "the script has no INSERT INTO elsewhere"
    );
    assert_eq!(
        run("out", Tables::new()),
        "no rows were given for table bids"
    );
    let narrow = bids().project(&[0]).expect("there is a first column");
    let tables = Tables::from([("bids".to_owned(), vec![narrow])]);
    assert_eq!(
        run("out", tables),
        "the rows given for table bids have no column price"
    );
}
