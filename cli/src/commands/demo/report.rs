//! What the demo says, stage by stage.

use std::time::Duration;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::compute::{SortOptions, sort_to_indices, take_record_batch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use hdrhistogram::Histogram;

use crate::output;

/// Rows of the table of the worst hours.
const WORST: usize = 10;

pub fn stage(name: &str, what: &str) {
    output::line(&format!("{name:<17} {what}"));
}

pub fn rate(name: &str, what: &str, rows: u64, taken: Duration) {
    let rate = rows as f64 / taken.as_secs_f64().max(0.001);
    stage(
        name,
        &format!(
            "{what}: {rows} rows in {:.2} s, {rate:.0} rows/s",
            taken.as_secs_f64()
        ),
    );
}

pub fn latency(histogram: &Histogram<u64>) {
    let (p50, p99) = (
        histogram.value_at_quantile(0.5),
        histogram.value_at_quantile(0.99),
    );
    stage(
        "latency",
        &format!(
            "flight that closes an hour -> result: p50 {p50} ms, p99 {p99} ms over {} results",
            histogram.len()
        ),
    );
}

/// The airport-hours with the longest delays.
pub fn worst(rows: &RecordBatch) -> Result<()> {
    let delay = rows.schema().index_of("worst_delay")?;
    let options = SortOptions {
        descending: true,
        nulls_first: false,
    };
    let order = sort_to_indices(rows.column(delay), Some(options), Some(WORST))?;
    let worst = take_record_batch(rows, &order)?;
    let schema = worst.schema();
    let headings: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let format = FormatOptions::default();
    let columns = worst
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &format))
        .collect::<Result<Vec<_>, _>>()?;
    let cells = (0..worst.num_rows()).map(|row| {
        columns
            .iter()
            .map(|column| column.value(row).to_string())
            .collect()
    });
    output::line(&format!("\n{}\n", output::table(&headings, cells)));
    Ok(())
}
