//! Messages of a topic as a sink takes them.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use connect_sdk::{Error, RawRecord, Records, SinkBatch, Takes};
use format::Decoder;
use model::{QueueId, StoredMessage, properties};

use crate::broker::Pulled;
use crate::config::Config;
use crate::dead_letter::{Failed, Stage};

/// Turns what was pulled into batches of the shape the sink takes.
pub(super) struct Batches {
    /// `None` if bodies pass as they are.
    decoder: Option<Decoder>,
}

/// A batch for the sink, the messages its records came from, and those that are no records.
pub(super) struct Decoded {
    pub(super) batch: SinkBatch,
    pub(super) messages: Vec<StoredMessage>,
    pub(super) failed: Vec<Failed>,
}

impl Batches {
    pub(super) fn new(config: &Config, takes: Takes) -> Result<Self, Error> {
        let given = config.common.columns("schema");
        let schema: Option<SchemaRef> = match takes {
            Takes::Any => given,
            Takes::Columns(own) => match given.or(own) {
                Some(schema) => Some(schema),
                None => {
                    return Err(Error::config(
                        format!(
                            "connector {} needs to know the columns",
                            config.description.name
                        ),
                        "set schema, as in schema = \"id BIGINT, name STRING\"",
                    ));
                }
            },
        };
        let decoder = schema
            .map(|schema| Decoder::new(config.format, schema, config.format_options.clone()))
            .transpose()
            .map_err(|error| Error::config(error.to_string(), "change format or schema"))?;
        Ok(Self { decoder })
    }

    /// Turns the messages of one queue, from `first` on, into a batch.
    pub(super) fn make(&mut self, queue: &QueueId, first: u64, pulled: Pulled) -> Decoded {
        let next = pulled.next.0;
        let mut messages = pulled.messages;
        let bodies: Vec<bytes::Bytes> = messages
            .iter()
            .map(|stored| stored.message.body.clone())
            .collect();
        let (records, failed) = match &mut self.decoder {
            None => {
                let record = |stored: &StoredMessage| RawRecord {
                    key: stored
                        .message
                        .properties
                        .get(properties::KEYS)
                        .map(str::to_owned),
                    body: stored.message.body.clone(),
                    properties: properties_of(stored),
                };
                (
                    Records::Bytes(messages.iter().map(record).collect()),
                    Vec::new(),
                )
            }
            Some(decoder) => {
                let (batch, undecodable) = decoder.decode(&bodies);
                let bad: BTreeMap<usize, String> = undecodable
                    .into_iter()
                    .map(|bad| (bad.row, bad.why))
                    .collect();
                let failed = bad
                    .iter()
                    .map(|(row, why)| failed(&messages[*row], Stage::Decode, why.clone()))
                    .collect();
                let mut row = 0;
                messages.retain(|_| {
                    row += 1;
                    !bad.contains_key(&(row - 1))
                });
                (Records::Columns(batch), failed)
            }
        };
        let batch = SinkBatch {
            topic: queue.topic.as_str().to_owned(),
            queue: queue.number,
            records,
            offsets: messages
                .iter()
                .map(|stored| stored.queue_offset.0)
                .collect(),
            first,
            next,
        };
        Decoded {
            batch,
            messages,
            failed,
        }
    }
}

/// A message that cannot be handled.
pub(super) fn failed(stored: &StoredMessage, stage: Stage, why: String) -> Failed {
    let (topic, queue, offset) = (
        stored.message.topic.as_str(),
        stored.message.queue,
        stored.queue_offset.0,
    );
    Failed {
        original: stored.message.body.clone(),
        key: stored
            .message
            .properties
            .get(properties::KEYS)
            .map(str::to_owned),
        properties: properties_of(stored),
        origin: Some((topic.to_owned(), queue, offset)),
        place: format!("topic {topic} queue {queue} offset {offset}"),
        stage,
        why,
    }
}

fn properties_of(stored: &StoredMessage) -> Vec<(String, String)> {
    let own = |name: &str| name == properties::TAGS || !properties::is_reserved(name);
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    stored
        .message
        .properties
        .iter()
        .filter(|(name, _)| own(name))
        .map(pair)
        .collect()
}
