//! Reads what the topics hold, and compares it with one batch over the files.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use bytes::Bytes;
use client::{Client, Filter};
use connect_runtime::Worker;
use format::{CsvRecord, CsvRecords, Decoder, Encoder, Format, Options};
use hdrhistogram::Histogram;
use model::{ConsumerGroup, StoredMessage, Topic};
use planner::{Environment, WasmFunctions};
use plugin_host::PluginHost;
use runtime::{Clock, Tasks};

use super::input::Input;
use super::{INPUT_TOPIC, JOB, OUTPUT_TOPIC};
use crate::failure::{Exit, Failure};

const READER: &str = "CID_MILLSTREAM_DEMO";
const AT_A_TIME: u32 = 4_096;
/// How late a flight may come: the watermark of the demo's job.
const LATENESS_MS: i64 = 5 * 60 * 1_000;
const HOUR_MS: i64 = 3_600_000;
const SHOWN_DIFFERENCES: usize = 10;

/// Messages in all queues of a topic; none if it does not exist.
pub async fn count(client: &Client, topic: &str) -> Result<u64> {
    let topic = Topic::parse(topic)?;
    let queues = client.admin().topic_offsets(&topic).await?;
    Ok(queues
        .iter()
        .map(|(_, offset)| (offset.max_offset - offset.min_offset).max(0) as u64)
        .sum())
}

/// How many messages a sink has committed.
pub async fn committed(connectors: &Worker, name: &str) -> Result<u64> {
    let positions = connectors
        .offsets(name)
        .await
        .map_err(|why| anyhow!("connector {name}: {why}"))?;
    let offsets = positions.iter().filter_map(|(_, offset)| {
        offset
            .get("kafka_offset")
            .and_then(serde_json::Value::as_u64)
    });
    Ok(offsets.sum())
}

/// Every message of a topic, queue by queue.
async fn messages(client: &Client, topic: &str) -> Result<Vec<StoredMessage>> {
    let consumer = client.pull_consumer(ConsumerGroup::parse(READER)?);
    let mut all = Vec::new();
    for queue in consumer.queues(&Topic::parse(topic)?).await? {
        let mut next = consumer.min_offset(&queue).await?;
        loop {
            let pulled = consumer
                .pull(
                    &queue,
                    next,
                    AT_A_TIME,
                    &Filter::All,
                    std::time::Duration::ZERO,
                )
                .await?;
            next = pulled.next;
            if pulled.messages.is_empty() && next >= pulled.max {
                break;
            }
            all.extend(pulled.messages);
        }
    }
    Ok(all)
}

/// The rows of the output topic.
pub async fn streamed(client: &Client, input: &Input) -> Result<RecordBatch> {
    let stored = messages(client, OUTPUT_TOPIC).await?;
    let bodies: Vec<Bytes> = stored
        .into_iter()
        .map(|stored| stored.message.body)
        .collect();
    rows(input, &bodies)
}

/// Results as rows of the output table, from a JSON object each.
pub fn rows(input: &Input, bodies: &[Bytes]) -> Result<RecordBatch> {
    let schema = plan(input)?.table(OUTPUT_TOPIC)?.persisted_schema();
    let (rows, undecodable) =
        Decoder::new(Format::Json, schema, Options::default())?.decode(bodies);
    ensure!(
        undecodable.is_empty(),
        "a result cannot be read: {}",
        undecodable[0].why
    );
    Ok(rows)
}

/// The same query over the whole files, by DataFusion alone.
pub async fn batch(input: &Input) -> Result<RecordBatch> {
    let planned = plan(input)?;
    let mut tables = HashMap::new();
    for (table, file) in [
        (INPUT_TOPIC, "flights-20k.csv"),
        ("airports", "airports.csv"),
    ] {
        tables.insert(
            table.to_owned(),
            vec![csv(planned.table(table)?, &input.folder.join(file))?],
        );
    }
    let results = planner::batch::run(
        &input.script,
        OUTPUT_TOPIC,
        &tables,
        &planned.environment,
        0,
    )
    .await?;
    let schema = planned.table(OUTPUT_TOPIC)?.persisted_schema();
    let renamed = results.iter().map(|batch| {
        Ok(RecordBatch::try_new(
            schema.clone(),
            batch.columns().to_vec(),
        )?)
    });
    Ok(concat_batches(
        &schema,
        &renamed.collect::<Result<Vec<_>>>()?,
    )?)
}

/// How many rows there are, if both hold the same ones equally often; else what differs.
pub fn compare(place: &str, streamed: &RecordBatch, batch: &RecordBatch) -> Result<usize> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for (rows, sign) in [(streamed, 1), (batch, -1)] {
        let encoder = Encoder::new(Format::Json, rows.schema(), Options::default())?;
        for row in encoder.encode(rows)? {
            *counts
                .entry(String::from_utf8_lossy(&row).into_owned())
                .or_default() += sign;
        }
    }
    let different: Vec<_> = counts.iter().filter(|(_, count)| **count != 0).collect();
    if different.is_empty() {
        return Ok(batch.num_rows());
    }
    let shown = different
        .iter()
        .take(SHOWN_DIFFERENCES)
        .map(|(row, count)| match **count {
            count if count > 0 => format!("only in the {place} ({count} times): {row}"),
            count => format!("only in the batch ({} times): {row}", -count),
        });
    bail!(
        Failure::new(
            Exit::Partial,
            "demo.different",
            format!(
                "the {place} does not hold the batch's result: {} rows in the {place}, {} in the batch, {} differ",
                streamed.num_rows(),
                batch.num_rows(),
                different.len()
            )
        )
        .why(shown.collect::<Vec<_>>().join("\n"))
    )
}

/// For each result, the time from the flight that closed its window, in the topic, to the result,
/// in its topic; in milliseconds. Results that left when the job was drained are not counted.
pub async fn latency(client: &Client, input: &str, output: &str) -> Result<Histogram<u64>> {
    let mut histogram = Histogram::new_with_bounds(1, 3_600_000, 3)?;
    let time_of = |stored: &StoredMessage, column: &str| -> Option<i64> {
        let row: serde_json::Value = serde_json::from_slice(&stored.message.body).ok()?;
        let text = row.get(column)?.as_str()?.replace('T', " ");
        let format = if text.contains('.') {
            "%Y-%m-%d %H:%M:%S%.f"
        } else {
            "%Y-%m-%d %H:%M:%S"
        };
        Some(
            chrono::NaiveDateTime::parse_from_str(&text, format)
                .ok()?
                .and_utc()
                .timestamp_millis(),
        )
    };
    // The watermark is the smallest over the queues: a window closes with the last of them.
    let mut queues: BTreeMap<u32, Vec<(i64, i64)>> = BTreeMap::new();
    for stored in messages(client, input).await? {
        let date = time_of(&stored, "date").context("a flight has a date")?;
        let queue = queues.entry(stored.message.queue).or_default();
        let newest = queue.last().map_or(date, |(newest, _)| date.max(*newest));
        queue.push((newest, stored.stored.0));
    }
    for result in messages(client, output).await? {
        let Some(start) = time_of(&result, "hour_start") else {
            continue;
        };
        let closes = start + HOUR_MS - 1 + LATENESS_MS;
        let closed = queues.values().map(|queue| {
            let first = queue.partition_point(|(newest, _)| *newest < closes);
            queue.get(first).map(|(_, stored)| *stored)
        });
        if let Some(closed) = closed
            .collect::<Option<Vec<_>>>()
            .and_then(|closed| closed.into_iter().max())
        {
            histogram.record(result.stored.0.saturating_sub(closed).max(1) as u64)?;
        }
    }
    Ok(histogram)
}

struct Planned {
    tables: Vec<dataflow::TableSpec>,
    environment: Environment,
}

impl Planned {
    fn table(&self, name: &str) -> Result<&dataflow::TableSpec> {
        self.tables
            .iter()
            .find(|table| table.name == name)
            .with_context(|| format!("the script declares no table {name}"))
    }
}

fn plan(input: &Input) -> Result<Planned> {
    let tasks = Tasks::new(Clock::real());
    let host = PluginHost::new(plugin_host::Settings::default(), &tasks)?;
    let folder = input.folder.clone();
    let functions = WasmFunctions::new(host, move |location: &str| {
        std::fs::read(folder.join(location))
    });
    let environment = Environment::new(JOB).with_functions(Arc::new(functions));
    let plan = planner::plan(&input.script, &environment)?;
    Ok(Planned {
        tables: plan.tables,
        environment,
    })
}

/// A CSV file with a header line as the table's physical columns.
fn csv(table: &dataflow::TableSpec, file: &std::path::Path) -> Result<RecordBatch> {
    let content = Bytes::from(
        std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?,
    );
    let mut reader = CsvRecords::new(&Options::default().csv);
    let (mut record, mut records, mut at) = (CsvRecord::default(), Vec::new(), 0);
    while let Some(taken) = reader.next(&content[at..], true, &mut record) {
        if taken == 0 {
            break;
        }
        if at > 0 && !record.is_empty() {
            records.push(content.slice(at..at + taken));
        }
        at += taken;
    }
    let (rows, undecodable) =
        Decoder::new(Format::Csv, table.physical_schema(), Options::default())?.decode(&records);
    ensure!(
        undecodable.is_empty(),
        "{}: {}",
        file.display(),
        undecodable[0].why
    );
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn hours(rows: &[(&str, i64)]) -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("airport", DataType::Utf8, true),
            Field::new("flights", DataType::Int64, true),
        ]);
        let airports = StringArray::from_iter_values(rows.iter().map(|row| row.0));
        let flights = Int64Array::from_iter_values(rows.iter().map(|row| row.1));
        RecordBatch::try_new(
            Arc::new(schema),
            vec![Arc::new(airports), Arc::new(flights)],
        )
        .expect("two columns of one length")
    }

    const BATCH: [(&str, i64); 3] = [("ATL", 3), ("JFK", 1), ("JFK", 1)];

    /// `expected` are the lines that name the differences.
    #[track_caller]
    fn check_differs(streamed: &[(&str, i64)], expected: &[&str]) {
        let different = compare("topic", &hours(streamed), &hours(&BATCH)).expect_err("it differs");
        let failure: Failure = different.downcast().expect("a failure that is told");
        assert_eq!(failure.code, "demo.different");
        assert_eq!(failure.why.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_same_rows_are_equal_in_any_order() {
        let streamed = hours(&[("JFK", 1), ("ATL", 3), ("JFK", 1)]);
        let rows = compare("topic", &streamed, &hours(&BATCH)).expect("they are equal");
        assert_eq!(rows, 3);
    }

    #[test]
    fn a_row_that_changed_is_missing_or_came_twice_is_named() {
        check_differs(
            &[("ATL", 4), ("JFK", 1), ("JFK", 1)],
            &[
                r#"only in the batch (1 times): {"airport":"ATL","flights":3}"#,
                r#"only in the topic (1 times): {"airport":"ATL","flights":4}"#,
            ],
        );
        check_differs(
            &[("ATL", 3), ("JFK", 1)],
            &[r#"only in the batch (1 times): {"airport":"JFK","flights":1}"#],
        );
        check_differs(
            &[("ATL", 3), ("ATL", 3), ("JFK", 1), ("JFK", 1)],
            &[r#"only in the topic (1 times): {"airport":"ATL","flights":3}"#],
        );
    }
}
