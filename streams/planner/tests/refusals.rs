//! What a user reads when a script cannot be planned, word for word.
//!
//! `refusals.txt` holds statements and, below a line of dashes, the text they are refused with.
//! Each statement stands behind the tables below. `MILLSTREAM_BLESS=1 cargo test -p planner
//! --test refusals` writes what the planner says now.

#![allow(clippy::disallowed_methods)]

mod loader;

use planner::plan;
use std::fs;

/// Five lines, so that a statement begins on line 6.
const TABLES: &str = "\
CREATE TABLE flights (origin STRING, delay BIGINT, at TIMESTAMP(3), proctime AS PROCTIME(), WATERMARK FOR at AS at)
  WITH ('connector' = 'rocketmq', 'topic' = 'flights', 'format' = 'json');
CREATE TABLE airports (iata STRING, city STRING) WITH ('connector' = 'file', 'path' = 'a.csv', 'format' = 'csv');
CREATE TABLE out (a STRING, b BIGINT) WITH ('connector' = 'rocketmq', 'topic' = 'out', 'format' = 'json');
CREATE TABLE plain (a STRING, b BIGINT) WITH ('connector' = 'lines');
";

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/refusals.txt");
const BETWEEN_CASES: &str = "\n================\n";
const ABOVE_TEXT: &str = "\n----------------\n";

#[test]
fn every_refusal_says_what_where_why_and_what_now() {
    let cases = fs::read_to_string(FILE).expect("the cases are there");
    let mut written = Vec::new();
    for case in cases.trim_end().split(BETWEEN_CASES) {
        let statement = case.split(ABOVE_TEXT.trim_end()).next().unwrap_or_default();
        let said = match plan(&format!("{TABLES}{statement}"), &loader::environment()) {
            Ok(_) => "it was planned".to_owned(),
            Err(errors) => errors.to_string(),
        };
        written.push(format!("{statement}{ABOVE_TEXT}{said}"));
    }
    let written = format!("{}\n", written.join(BETWEEN_CASES));
    if std::env::var_os("MILLSTREAM_BLESS").is_some() {
        fs::write(FILE, &written).expect("the file is writable");
        return;
    }
    for (case, said) in cases.split(BETWEEN_CASES).zip(written.split(BETWEEN_CASES)) {
        assert_eq!(said.trim_end(), case.trim_end(), "\n{said}\n");
    }
    assert!(
        !written.contains("it was planned"),
        "a case is no refusal any more"
    );
}

#[test]
fn findings_have_places_and_codes_for_programs() {
    let script = format!("{TABLES}INSERT INTO out SELECT orgin, delay FROM flights;");
    let errors = plan(&script, &loader::environment())
        .err()
        .expect("there is no such column");
    let found: Vec<_> = errors
        .iter()
        .map(|error| (error.code, error.line, error.column, error.length))
        .collect();
    assert_eq!(found, [("sql.column.unknown", 6, 24, 5)]);
}

#[test]
fn text_that_is_no_sql_is_refused_and_never_panics() {
    let bits = [
        "'",
        "`",
        "(",
        ")",
        ",",
        ";",
        "SELECT",
        "FROM",
        "CREATE TABLE",
        "TABLE(",
        "TUMBLE(",
        "INSERT INTO out",
        "*",
        "flights",
        "GROUP BY",
        "EMIT",
        "/*+ X */",
        "\"",
        "é",
        "\u{0}",
        "INTERVAL '1'",
        "HOUR",
        "AS",
        "=>",
        "1e999",
        "--",
        "WITH",
        "BEGIN",
    ];
    let mut seed = 7_u64;
    for _ in 0..3000 {
        let mut script = TABLES.to_owned();
        for _ in 0..8 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let bit = bits[usize::try_from(seed >> 33).unwrap_or(0) % bits.len()];
            script.push_str(bit);
            script.push(' ');
        }
        let _ = plan(&script, &loader::environment());
    }
}

#[test]
fn a_very_long_expression_is_refused_or_planned_but_never_ends_the_process() {
    for length in [10, 65, 66, 5_000, 100_000] {
        let sum = vec!["delay"; length].join(" + ");
        let script = format!("{TABLES}INSERT INTO out SELECT origin, {sum} FROM flights;");
        let planned = plan(&script, &loader::environment());
        assert_eq!(
            planned.is_ok(),
            length < 66,
            "{length} terms: {:?}",
            planned.err()
        );
    }
    let nested = format!(
        "{TABLES}INSERT INTO out SELECT origin, {}delay{} FROM flights;",
        "(".repeat(5_000),
        ")".repeat(5_000)
    );
    assert!(plan(&nested, &loader::environment()).is_err());
}

#[test]
fn views_that_double_with_every_view_are_refused_before_they_fill_the_memory() {
    let mut script = format!("{TABLES}CREATE VIEW v0 AS SELECT origin, delay FROM flights;");
    for number in 1..40 {
        let below = number - 1;
        script += &format!(
            "CREATE VIEW v{number} AS SELECT * FROM v{below} UNION ALL SELECT * FROM v{below};"
        );
    }
    let errors = plan(&script, &loader::environment())
        .err()
        .expect("that is a trillion rows for one");
    assert_eq!(
        errors.iter().map(|error| error.code).collect::<Vec<_>>(),
        ["sql.depth"]
    );
}

#[test]
fn views_over_views_are_refused_before_they_exhaust_the_stack() {
    let mut script = format!("{TABLES}CREATE VIEW v0 AS SELECT origin, delay FROM flights;");
    for number in 1..60 {
        script += &format!(
            "CREATE VIEW v{number} AS SELECT origin, delay + 1 AS delay FROM v{};",
            number - 1
        );
    }
    let errors = plan(&script, &loader::environment())
        .err()
        .expect("sixty views are too many");
    assert_eq!(
        errors.iter().map(|error| error.code).collect::<Vec<_>>(),
        ["sql.depth"]
    );
}
