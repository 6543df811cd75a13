//! Reads a topic: every queue in its order, decoded to Arrow in one go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use client::{Client, Filter, PullConsumer};
use dataflow::{ColumnKind, Source};
use format::Decoder;
use futures::future::try_join_all;
use model::{ConsumerGroup, StoredMessage, properties};

use super::TopicOptions;
use super::envelope::deletion;
use super::queues::Queues;
use crate::BoxError;
use crate::source::{BadRecord, PollLimits, Polled, PolledQueue, SourceReader, Sources};

/// The group of readers whose table names none: it only reads, its offsets are the job's.
const READER: &str = "CID_MILLSTREAM_JOB";
/// Messages asked for at a time from one queue.
const AT_A_TIME: u32 = 4_096;

/// Opens the sources of a job that are topics.
pub struct TopicSources {
    client: Client,
}

impl TopicSources {
    pub fn new(client: Client) -> TopicSources {
        TopicSources { client }
    }
}

#[async_trait]
impl Sources for TopicSources {
    async fn open(
        &mut self,
        source: &Source,
        positions: BTreeMap<String, Vec<u8>>,
    ) -> Result<Box<dyn SourceReader>, BoxError> {
        match source.table.connector() {
            Some("rocketmq") => Ok(Box::new(
                TopicReader::open(&self.client, source, &positions).await?,
            )),
            other => {
                let what = other.unwrap_or("none");
                Err(format!("table {} has the connector {what:?}, and a job reads rocketmq; bring the rows into a topic with a connector", source.table.name).into())
            }
        }
    }
}

struct TopicReader {
    consumer: PullConsumer,
    filter: Filter,
    decoder: Decoder,
    schema: SchemaRef,
    columns: Vec<Origin>,
    queues: Queues,
}

/// Where a column of the source comes from.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// This column of the decoded body.
    Body(usize),
    Topic,
    Queue,
    Offset,
    Timestamp,
    Tags,
    Keys,
}

impl TopicReader {
    async fn open(
        client: &Client,
        source: &Source,
        positions: &BTreeMap<String, Vec<u8>>,
    ) -> Result<TopicReader, BoxError> {
        let options = TopicOptions::of(&source.table)?;
        let group = options
            .group
            .clone()
            .map_or_else(|| ConsumerGroup::parse(READER), Ok)?;
        let consumer = client.pull_consumer(group);
        let queues = Queues::open(client, &consumer, &options.topic, options.start, positions);
        let queues = queues.await?;
        let filter = match (&options.sql, &options.tag) {
            (Some(condition), _) => Filter::sql(condition.clone()),
            (None, Some(tags)) => Filter::tags(tags)?,
            (None, None) => Filter::All,
        };
        let (columns, body) = origins(source)?;
        let schema = Arc::new(Schema::new(
            source
                .columns
                .iter()
                .map(|position| source.table.columns[*position].field())
                .collect::<Vec<_>>(),
        ));
        let decoder = Decoder::new(options.format, Arc::new(body), options.format_options)?;
        Ok(TopicReader {
            consumer,
            filter,
            decoder,
            schema,
            columns,
            queues,
        })
    }

    /// Messages of every queue, none if nothing came within `linger`.
    async fn pull(&mut self, limits: PollLimits) -> Result<Vec<Vec<StoredMessage>>, BoxError> {
        let queues = &mut self.queues.all;
        let mut pulled: Vec<Vec<StoredMessage>> = queues.iter().map(|_| Vec::new()).collect();
        let (mut rows, mut bytes) = (0, 0);
        let mut hold = Duration::ZERO;
        loop {
            let share = (limits.rows.saturating_sub(rows) / queues.len().max(1)).max(1);
            let max = AT_A_TIME.min(u32::try_from(share).unwrap_or(u32::MAX));
            let (consumer, filter) = (&self.consumer, &self.filter);
            let asked = queues
                .iter()
                .map(|queue| consumer.pull(&queue.id, queue.next, max, filter, hold));
            let answers = try_join_all(asked).await?;
            let mut came = 0;
            for ((queue, own), answer) in queues.iter_mut().zip(&mut pulled).zip(answers) {
                queue.next = answer.next;
                queue.end = answer.max;
                came += answer.messages.len();
                bytes += answer
                    .messages
                    .iter()
                    .map(|message| message.size as usize)
                    .sum::<usize>();
                own.extend(answer.messages);
            }
            rows += came;
            let behind = queues.iter().any(|queue| queue.next < queue.end);
            let full = rows >= limits.rows || bytes >= limits.bytes;
            if full || (rows > 0 && !behind) || (came == 0 && !hold.is_zero()) {
                return Ok(pulled);
            }
            if came == 0 && !behind {
                if limits.linger.is_zero() {
                    return Ok(pulled);
                }
                hold = limits.linger;
            }
        }
    }
}

#[async_trait]
impl SourceReader for TopicReader {
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, BoxError> {
        self.queues.grow().await?;
        for queue in &mut self.queues.all {
            queue.began = queue.next;
        }
        let pulled = self.pull(limits).await?;
        // Told apart before they are decoded: to some formats an empty body is a row.
        let deletions: Vec<Option<String>> = pulled
            .iter()
            .flatten()
            .map(|stored| deletion(&stored.message))
            .collect();
        let bodies: Vec<Bytes> = pulled
            .iter()
            .flatten()
            .zip(&deletions)
            .filter(|(_, deletion)| deletion.is_none())
            .map(|(stored, _)| stored.message.body.clone())
            .collect();
        let (body, undecodable) = self.decoder.decode(&bodies);
        let mut bad = vec![None; bodies.len()];
        for undecodable in undecodable {
            let row = undecodable.row;
            bad[row] = Some(undecodable);
        }
        let mut polled = Polled {
            rows: RecordBatch::new_empty(self.schema.clone()),
            originals: Vec::new(),
            offsets: Vec::new(),
            queues: Vec::new(),
            undecodable: Vec::new(),
        };
        let mut kept = Vec::with_capacity(bodies.len());
        let mut decoded = bad.into_iter();
        let mut fates = deletions.into_iter().map(|deletion| match deletion {
            Some(why) => Some((Bytes::new(), why)),
            None => decoded.next().flatten().map(|bad| (bad.original, bad.why)),
        });
        for (number, (queue, messages)) in self.queues.all.iter().zip(&pulled).enumerate() {
            let before = kept.len();
            for stored in messages {
                let offset = stored.queue_offset.0 as i64;
                match fates.next().flatten() {
                    Some((bytes, why)) => polled.undecodable.push(BadRecord {
                        queue: number,
                        offset,
                        bytes,
                        why,
                    }),
                    None => {
                        polled.originals.push(stored.message.body.clone());
                        polled.offsets.push(offset);
                        kept.push(stored);
                    }
                }
            }
            polled.queues.push(PolledQueue {
                name: queue.name.clone(),
                rows: kept.len() - before,
                position: queue.next.0.to_be_bytes().to_vec(),
                at_end: queue.next >= queue.end,
            });
        }
        let columns = self
            .columns
            .iter()
            .map(|origin| origin.column(&body, &kept))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(kept.len()));
        polled.rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(polled)
    }

    fn unread(&mut self) {
        for queue in &mut self.queues.all {
            queue.next = queue.began;
        }
    }
}

impl Origin {
    fn column(self, body: &RecordBatch, messages: &[&StoredMessage]) -> ArrayRef {
        let text = |name: &'static str| -> ArrayRef {
            Arc::new(
                messages
                    .iter()
                    .map(|stored| stored.message.properties.get(name))
                    .collect::<StringArray>(),
            )
        };
        match self {
            Origin::Body(column) => body.column(column).clone(),
            Origin::Topic => Arc::new(
                messages
                    .iter()
                    .map(|stored| Some(stored.message.topic.as_str()))
                    .collect::<StringArray>(),
            ),
            Origin::Queue => Arc::new(
                messages
                    .iter()
                    .map(|stored| stored.message.queue as i32)
                    .collect::<Int32Array>(),
            ),
            Origin::Offset => Arc::new(
                messages
                    .iter()
                    .map(|stored| stored.queue_offset.0 as i64)
                    .collect::<Int64Array>(),
            ),
            Origin::Timestamp => Arc::new(
                messages
                    .iter()
                    .map(|stored| Some(stored.stored.0))
                    .collect::<TimestampMillisecondArray>(),
            ),
            Origin::Tags => text(properties::TAGS),
            Origin::Keys => text(properties::KEYS),
        }
    }
}

/// Where each column of the source comes from, and the schema of what is decoded.
fn origins(source: &Source) -> Result<(Vec<Origin>, Schema), BoxError> {
    let mut body = Vec::new();
    let mut origins = Vec::with_capacity(source.columns.len());
    for position in &source.columns {
        let column = &source.table.columns[*position];
        origins.push(match &column.kind {
            ColumnKind::Metadata { key, .. } => match key.as_str() {
                "topic" => Origin::Topic,
                "queue" => Origin::Queue,
                "offset" => Origin::Offset,
                "timestamp" => Origin::Timestamp,
                "tags" => Origin::Tags,
                "keys" => Origin::Keys,
                other => return Err(format!("a message has no metadata {other:?}").into()),
            },
            ColumnKind::Physical => {
                body.push(column.field());
                Origin::Body(body.len() - 1)
            }
            ColumnKind::Computed(_) => {
                return Err(
                    format!("column {} is computed and cannot be read", column.name).into(),
                );
            }
        });
    }
    Ok((origins, Schema::new(body)))
}
