//! Turns the change at a sink into messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::array::UInt32Array;
use arrow::row::{RowConverter, SortField};
use bytes::Bytes;
use dataflow::{Changelog, Delta, Sink};
use format::Encoder;

use super::TopicOptions;
use super::envelope::{Envelope, Named, delete};
use crate::sink::{SinkEncoder, Sinks};
use crate::{BoxError, OutputRecord};

/// Opens encoders for tables that are topics.
#[derive(Clone, Copy, Debug, Default)]
pub struct TopicSinks;

impl Sinks for TopicSinks {
    fn open(&mut self, sink: &Sink) -> Result<Box<dyn SinkEncoder>, BoxError> {
        match sink.table.connector() {
            Some("rocketmq") => Ok(Box::new(TopicEncoder::new(sink)?)),
            Some("blackhole") => Ok(Box::new(Nothing)),
            other => Err(format!(
                "table {} has the connector {:?}, and a job writes to rocketmq and blackhole",
                sink.table.name,
                other.unwrap_or("none")
            )
            .into()),
        }
    }
}

/// Takes everything and writes nothing.
struct Nothing;

impl SinkEncoder for Nothing {
    fn encode(&mut self, _: &Delta) -> Result<Vec<OutputRecord>, BoxError> {
        Ok(Vec::new())
    }
}

struct TopicEncoder {
    topic: String,
    encoder: Encoder,
    changelog: Changelog,
    envelope: Envelope,
    /// Positions of the body's columns among the written ones.
    body: Vec<usize>,
}

impl TopicEncoder {
    fn new(sink: &Sink) -> Result<TopicEncoder, BoxError> {
        let options = TopicOptions::of(&sink.table)?;
        let written = sink.table.persisted_schema();
        let envelope = Envelope::new(&sink.table, &written, &options)?;
        let body = envelope.body(&written);
        let columns = Arc::new(written.project(&body)?);
        Ok(TopicEncoder {
            topic: options.topic.to_string(),
            encoder: Encoder::new(options.format, columns, options.format_options)?,
            changelog: sink.changelog,
            envelope,
            body,
        })
    }

    fn bodies(&self, rows: &RecordBatch) -> Result<Vec<Bytes>, BoxError> {
        Ok(self.encoder.encode(&rows.project(&self.body)?)?)
    }

    fn record(&self, key: Bytes, body: Option<Bytes>, properties: Named) -> OutputRecord {
        OutputRecord {
            destination: self.topic.clone(),
            key,
            body,
            properties,
        }
    }

    /// Every row as often as its weight says. Withdrawals never arrive here.
    fn appended(&self, delta: &Delta) -> Result<Vec<OutputRecord>, BoxError> {
        let bodies = self.bodies(delta.batch())?;
        let properties = self.envelope.properties(delta.batch())?;
        let keys = self.keys(delta.batch())?;
        let mut records = Vec::with_capacity(bodies.len());
        for (row, (body, properties)) in bodies.into_iter().zip(properties).enumerate() {
            let weight = delta.weight(row);
            if weight < 0 {
                return Err("a row was withdrawn from a sink that only appends".into());
            }
            let key = keys.get(row).cloned().unwrap_or_default();
            records.extend(std::iter::repeat_n(
                self.record(key, Some(body), properties),
                weight as usize,
            ));
        }
        Ok(records)
    }

    /// One record per key: its newest content, or the deletion of its last.
    fn upserted(&self, delta: &Delta) -> Result<Vec<OutputRecord>, BoxError> {
        let delta = delta.consolidate()?;
        let keys = self.keys(delta.batch())?;
        let mut newest: BTreeMap<&Bytes, u32> = BTreeMap::new();
        for (row, key) in (0..).zip(&keys) {
            let content = newest.entry(key).or_insert(row);
            if delta.weight(row as usize) > 0 {
                *content = row;
            }
        }
        let rows: UInt32Array = newest.values().copied().collect();
        let newest_rows = delta.take(&rows)?;
        let bodies = self.bodies(newest_rows.batch())?;
        let properties = self.envelope.properties(newest_rows.batch())?;
        let mut records = Vec::with_capacity(newest.len());
        for (row, (key, (body, mut properties))) in newest
            .into_keys()
            .zip(bodies.into_iter().zip(properties))
            .enumerate()
        {
            let body = (newest_rows.weight(row) > 0).then_some(body);
            if body.is_none() {
                delete(&mut properties);
            }
            records.push(self.record(key.clone(), body, properties));
        }
        Ok(records)
    }

    /// Bytes that are equal exactly for equal keys; nothing without a primary key.
    fn keys(&self, rows: &RecordBatch) -> Result<Vec<Bytes>, BoxError> {
        let key = self.envelope.key();
        if key.is_empty() {
            return Ok(Vec::new());
        }
        let columns: Vec<_> = key
            .iter()
            .map(|position| rows.column(*position).clone())
            .collect();
        let fields = columns
            .iter()
            .map(|column| SortField::new(column.data_type().clone()))
            .collect();
        let converted = RowConverter::new(fields)?.convert_columns(&columns)?;
        Ok(converted
            .iter()
            .map(|key| Bytes::copy_from_slice(key.as_ref()))
            .collect())
    }
}

impl SinkEncoder for TopicEncoder {
    fn encode(&mut self, delta: &Delta) -> Result<Vec<OutputRecord>, BoxError> {
        match self.changelog {
            Changelog::Append => self.appended(delta),
            Changelog::Upsert => self.upserted(delta),
            Changelog::Retract => Err("a topic takes inserts, or upserts by primary key".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, StringArray};

    /// The encoder of the one sink of a script over a table of pages and tags.
    fn encoder(sink: &str) -> TopicEncoder {
        let script = format!(
            "CREATE TABLE hits (page STRING, city STRING)
               WITH ('connector' = 'rocketmq', 'topic' = 'hits', 'format' = 'json');
             {sink}"
        );
        let environment = planner::Environment::new("job");
        let plan = planner::plan(&script, &environment).unwrap_or_else(|why| panic!("{why}"));
        let (_, sink) = plan.dataflow.sinks().next().expect("a sink");
        TopicEncoder::new(sink).expect("an encoder")
    }

    /// Each record as its body, `-` if it has none, and its properties.
    #[track_caller]
    fn check(encoder: &mut TopicEncoder, delta: &Delta, expected: &[&str]) {
        let records = encoder.encode(delta).expect("records");
        let text = |record: &OutputRecord| {
            let body = record.body.as_deref();
            let body = body.map_or("-".into(), String::from_utf8_lossy);
            let named = record.properties.iter();
            let named: Vec<String> = named
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            [body.into_owned(), named.join(" ")]
                .join(" ")
                .trim()
                .to_owned()
        };
        let texts: Vec<String> = records.iter().map(text).collect();
        assert_eq!(texts, expected);
    }

    fn delta(columns: &[(&str, ArrayRef)], weights: &[i64]) -> Delta {
        let batch = RecordBatch::try_from_iter(columns.iter().cloned()).expect("a batch");
        Delta::weighted(batch, weights.to_vec().into()).expect("a weight for each row")
    }

    fn texts(texts: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(texts.to_vec()))
    }

    const PER_PAGE: &str = "
        CREATE TABLE per_page (page STRING, city STRING, n BIGINT, PRIMARY KEY (city, page) NOT ENFORCED)
          WITH ('connector' = 'rocketmq', 'topic' = 'per_page', 'format' = 'json');
        INSERT INTO per_page SELECT page, city, COUNT(*) FROM hits GROUP BY page, city;";

    #[test]
    fn an_upsert_names_its_row_and_a_deletion_says_that_it_is_one() {
        let change = delta(
            &[
                (
                    "page",
                    texts(&[Some("/a"), Some("/a"), Some("/b"), Some("/b")]),
                ),
                (
                    "city",
                    texts(&[
                        Some("New York"),
                        Some("New York"),
                        Some("Kiel"),
                        Some("Kiel"),
                    ]),
                ),
                ("n", Arc::new(Int64Array::from(vec![1, 2, 7, 7]))),
            ],
            &[-1, 1, 1, -2],
        );
        check(
            &mut encoder(PER_PAGE),
            &change,
            &[
                r#"- KEYS=Kiel /b MILLSTREAM_KEY={"city":"Kiel","page":"/b"} MILLSTREAM_OP=DELETE"#,
                r#"{"page":"/a","city":"New York","n":2} KEYS=New%20York /a MILLSTREAM_KEY={"city":"New York","page":"/a"}"#,
            ],
        );
    }

    const TAGGED: &str = "
        CREATE TABLE tagged (page STRING, label STRING METADATA FROM 'tags', `keys` STRING METADATA)
          WITH ('connector' = 'rocketmq', 'topic' = 'tagged', 'format' = 'json', 'tag' = 'other');
        INSERT INTO tagged SELECT page, city, page FROM hits;";

    #[test]
    fn metadata_columns_become_tag_and_keys_and_no_part_of_the_body() {
        let rows = delta(
            &[
                ("page", texts(&[Some("/a"), Some("/b")])),
                ("label", texts(&[Some("de"), None])),
                ("keys", texts(&[Some("k1 k2"), None])),
            ],
            &[1, 2],
        );
        check(
            &mut encoder(TAGGED),
            &rows,
            &[
                r#"{"page":"/a"} TAGS=de KEYS=k1 k2"#,
                r#"{"page":"/b"} TAGS=other"#,
                r#"{"page":"/b"} TAGS=other"#,
            ],
        );
    }

    #[test]
    fn a_key_that_no_message_has_room_for_is_refused() {
        let long = "x".repeat(20_000);
        let rows = delta(
            &[
                ("page", texts(&[Some(&long)])),
                ("city", texts(&[Some(&long)])),
                ("n", Arc::new(Int64Array::from(vec![1]))),
            ],
            &[1],
        );
        let why = encoder(PER_PAGE)
            .encode(&rows)
            .expect_err("no room")
            .to_string();
        assert!(why.contains("have room for"), "{why}");
    }
}
