//! Turns the change at a sink into messages.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::array::UInt32Array;
use arrow::row::{RowConverter, SortField};
use bytes::Bytes;
use dataflow::{Changelog, Delta, Sink};
use format::Encoder;

use super::TopicOptions;
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
    /// Positions of the primary key among the written columns.
    key: Vec<usize>,
    tag: Option<String>,
}

impl TopicEncoder {
    fn new(sink: &Sink) -> Result<TopicEncoder, BoxError> {
        let options = TopicOptions::of(&sink.table)?;
        let schema = sink.table.persisted_schema();
        let key = sink.table.primary_key.iter().filter_map(|position| {
            let name = &sink.table.columns.get(*position)?.name;
            schema.index_of(name).ok()
        });
        Ok(TopicEncoder {
            topic: options.topic.to_string(),
            key: key.collect(),
            encoder: Encoder::new(options.format, schema, options.format_options)?,
            changelog: sink.changelog,
            tag: options.tag,
        })
    }

    fn record(&self, key: Bytes, body: Option<Bytes>) -> OutputRecord {
        let properties = self
            .tag
            .iter()
            .map(|tag| (model::properties::TAGS.to_owned(), tag.clone()))
            .collect();
        OutputRecord {
            destination: self.topic.clone(),
            key,
            body,
            properties,
        }
    }

    /// Every row as often as its weight says. Withdrawals never arrive here.
    fn appended(&self, delta: &Delta) -> Result<Vec<OutputRecord>, BoxError> {
        let bodies = self.encoder.encode(delta.batch())?;
        let keys = self.keys(delta.batch())?;
        let mut records = Vec::with_capacity(bodies.len());
        for (row, body) in bodies.into_iter().enumerate() {
            let weight = delta.weight(row);
            if weight < 0 {
                return Err("a row was withdrawn from a sink that only appends".into());
            }
            let key = keys.get(row).cloned().unwrap_or_default();
            records.extend(std::iter::repeat_n(
                self.record(key, Some(body)),
                weight as usize,
            ));
        }
        Ok(records)
    }

    /// One record per key: its newest content, or its deletion.
    fn upserted(&self, delta: &Delta) -> Result<Vec<OutputRecord>, BoxError> {
        let delta = delta.consolidate()?;
        let keys = self.keys(delta.batch())?;
        let mut newest: BTreeMap<&Bytes, Option<usize>> = BTreeMap::new();
        for (row, key) in keys.iter().enumerate() {
            let content = newest.entry(key).or_default();
            if delta.weight(row) > 0 {
                *content = Some(row);
            }
        }
        let rows: Vec<u32> = newest.values().flatten().map(|row| *row as u32).collect();
        let kept = delta.take(&UInt32Array::from(rows))?;
        let mut bodies = self.encoder.encode(kept.batch())?.into_iter();
        Ok(newest
            .into_iter()
            .map(|(key, content)| self.record(key.clone(), content.and_then(|_| bodies.next())))
            .collect())
    }

    /// Bytes that are equal exactly for equal keys; nothing without a primary key.
    fn keys(&self, rows: &RecordBatch) -> Result<Vec<Bytes>, BoxError> {
        if self.key.is_empty() {
            return Ok(Vec::new());
        }
        let columns: Vec<_> = self
            .key
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
