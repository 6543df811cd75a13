//! The flights job as a batch over the real files, against sums made by hand.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod loader;

use arrow::{
    array::{Array, AsArray, RecordBatch},
    csv::ReaderBuilder,
    datatypes::{
        DataType, Decimal128Type, Field, Float64Type, Int64Type, Schema, TimestampMillisecondType,
    },
};
use planner::batch::{self, Tables};
use std::{collections::BTreeMap, fs::File, sync::Arc};

/// The file as text columns, named by its header.
fn read(name: &str) -> Vec<RecordBatch> {
    let path = format!(
        "{}/../../examples/flights/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    let header = std::fs::read_to_string(&path).expect("the file is there");
    let columns = header
        .lines()
        .next()
        .expect("it has a header")
        .split(',')
        .map(|name| Field::new(name, DataType::Utf8, true));
    let schema = Arc::new(Schema::new(columns.collect::<Vec<_>>()));
    let reader = ReaderBuilder::new(schema)
        .with_header(true)
        .build(File::open(&path).expect("the file is there"));
    reader
        .expect("it is CSV")
        .map(|batch| batch.expect("its rows are whole"))
        .collect()
}

/// Flights, sum of delays and worst delay.
type Figures = (i64, i64, i64);

/// Per airport and hour of departure, from the text of the file alone.
fn by_hand(flights: &[RecordBatch]) -> BTreeMap<(String, String), Figures> {
    let mut hours = BTreeMap::new();
    for batch in flights {
        let text = |name: &str| {
            batch
                .column_by_name(name)
                .expect("the file has it")
                .as_string::<i32>()
                .clone()
        };
        let (dates, delays, origins) = (text("date"), text("delay"), text("origin"));
        for row in 0..batch.num_rows() {
            let delay: i64 = delays.value(row).parse().expect("a delay is a number");
            let hour = dates.value(row)[..13].replace(' ', "T");
            let figures = hours
                .entry((origins.value(row).to_owned(), hour))
                .or_insert((0, 0, i64::MIN));
            *figures = (figures.0 + 1, figures.1 + delay, figures.2.max(delay));
        }
    }
    hours
}

#[test]
fn every_airport_hour_of_the_flights_job_is_what_its_flights_add_up_to() {
    let script = include_str!("../../../examples/flights/airport-delays.sql");
    let (flights, airports) = (read("flights-20k.csv"), read("airports.csv"));
    let expected = by_hand(&flights);
    let tables = Tables::from([
        ("flights".to_owned(), flights),
        ("airports".to_owned(), airports),
    ]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime starts");
    let environment = loader::environment();
    let rows = runtime
        .block_on(batch::run(
            script,
            "airport_delays",
            &tables,
            &environment,
            0,
        ))
        .expect("the job runs");

    let mut found = BTreeMap::new();
    let mut miles = 0_i128;
    for batch in &rows {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .unwrap_or_else(|| panic!("no column {name}"))
        };
        let starts = column("hour_start").as_primitive::<TimestampMillisecondType>();
        let counts = column("flights").as_primitive::<Int64Type>();
        let means = column("mean_delay").as_primitive::<Float64Type>();
        let worst = column("worst_delay").as_primitive::<Int64Type>();
        let distances = column("miles").as_primitive::<Decimal128Type>();
        assert_eq!(distances.null_count(), 0, "every airport is known");
        for row in 0..batch.num_rows() {
            let start = starts
                .value_as_datetime(row)
                .expect("a window has a start")
                .format("%Y-%m-%dT%H")
                .to_string();
            let origin = column("origin").as_string::<i32>().value(row).to_owned();
            let total = (means.value(row) * counts.value(row) as f64).round() as i64;
            found.insert(
                (origin, start),
                (counts.value(row), total, worst.value(row)),
            );
            miles += distances.value(row);
        }
    }
    assert_eq!(found, expected);
    let mean_miles = miles as f64 / 1000.0 / 20_000.0;
    assert!(
        (600.0..800.0).contains(&mean_miles),
        "a flight of this file is about 700 miles long, not {mean_miles}"
    );
}
