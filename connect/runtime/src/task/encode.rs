//! A source's records as messages of the topic.

use connect_sdk::{Error, RawRecord, Records};
use format::{Encoder, Format};
use model::{Message, Timestamp, Topic, java_hash, properties};

use crate::config::Config;

/// The most bytes of one commit: the broker takes frames of 16 MiB.
const COMMIT_BYTES: usize = 12 << 20;

/// Makes messages of records and chooses their queues.
pub(super) struct Messages {
    topic: Topic,
    queues: u32,
    format: Format,
    options: format::Options,
    key: Vec<String>,
    encoder: Option<Encoder>,
    /// Names the columns of the key, in the same encoder's way.
    keys: Option<Encoder>,
    /// Where the next record without a key goes.
    turn: u32,
}

impl Messages {
    pub(super) fn new(config: &Config, queues: u32) -> Self {
        Self {
            topic: config.topics[0].clone(),
            queues: queues.max(1),
            format: config.format,
            options: config.format_options.clone(),
            key: config.common.list("key"),
            encoder: None,
            keys: None,
            turn: 0,
        }
    }

    /// The messages of one batch, in order.
    pub(super) fn make(&mut self, records: Records, now: i64) -> Result<Vec<Message>, Error> {
        let records = match records {
            Records::Bytes(records) => records,
            Records::Columns(batch) => self.encode(&batch)?,
        };
        let bytes: usize = records.iter().map(|record| record.body.len()).sum();
        if bytes > COMMIT_BYTES {
            return Err(Error::config(
                format!("a batch has {bytes} bytes, a commit takes {COMMIT_BYTES}"),
                "set a smaller batch.rows",
            ));
        }
        Ok(records
            .into_iter()
            .map(|record| self.message(record, now))
            .collect())
    }

    fn message(&mut self, record: RawRecord, now: i64) -> Message {
        let queue = match &record.key {
            Some(key) => java_hash(key).unsigned_abs() % self.queues,
            None => {
                self.turn = (self.turn + 1) % self.queues;
                self.turn
            }
        };
        let mut message = Message::new(self.topic.clone(), queue, record.body);
        message.born = Timestamp(now);
        for (name, value) in &record.properties {
            message.properties.set(name, value);
        }
        if let Some(key) = &record.key {
            message.properties.set(properties::KEYS, key);
        }
        message
    }

    fn encode(&mut self, batch: &arrow::array::RecordBatch) -> Result<Vec<RawRecord>, Error> {
        if self
            .encoder
            .as_ref()
            .is_none_or(|encoder| *encoder.schema() != batch.schema())
        {
            let encoder = Encoder::new(self.format, batch.schema(), self.options.clone())
                .map_err(|error| Error::config(error.to_string(), "change format or schema"))?;
            self.encoder = Some(encoder);
        }
        let encoder = self.encoder.as_ref().expect("made above");
        let bodies = encoder
            .encode(batch)
            .map_err(|error| Error::poison(error.to_string()))?;
        let keys = self.keys_of(batch)?;
        let record = |(row, body): (usize, bytes::Bytes)| RawRecord {
            key: keys.as_ref().and_then(|keys| keys[row].clone()),
            body,
            properties: Vec::new(),
        };
        Ok(bodies.into_iter().enumerate().map(record).collect())
    }

    /// The text of the key columns of each row, joined by commas as CSV joins them.
    fn keys_of(
        &mut self,
        batch: &arrow::array::RecordBatch,
    ) -> Result<Option<Vec<Option<String>>>, Error> {
        if self.key.is_empty() {
            return Ok(None);
        }
        let schema = batch.schema();
        let place = |name: &String| {
            schema.index_of(name).map_err(|_| {
                let names: Vec<&str> = schema
                    .fields()
                    .iter()
                    .map(|field| field.name().as_str())
                    .collect();
                Error::config(
                    format!("key names \"{name}\", which the records do not have"),
                    format!("their columns are {}", names.join(", ")),
                )
            })
        };
        let places = self.key.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let columns = batch
            .project(&places)
            .expect("the places were found in the schema");
        if self
            .keys
            .as_ref()
            .is_none_or(|encoder| *encoder.schema() != columns.schema())
        {
            let encoder = Encoder::new(Format::Csv, columns.schema(), format::Options::default())
                .map_err(|error| {
                Error::config(
                    error.to_string(),
                    "choose columns of plain types for the key",
                )
            })?;
            self.keys = Some(encoder);
        }
        let encoder = self.keys.as_ref().expect("made above");
        let texts = encoder
            .encode(&columns)
            .map_err(|error| Error::poison(error.to_string()))?;
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            (!text.is_empty() && text != "\"\"").then_some(text)
        };
        Ok(Some(texts.iter().map(|bytes| text(bytes)).collect()))
    }
}
