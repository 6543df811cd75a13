//! Looking messages up: by key, by id, by queue.

use bytes::{Bytes, BytesMut};
use delivery::Filter;
use model::{IndexKey, LogOffset, QueueId, QueueOffset, Timestamp, Topic};
use protocol::body::{self, ConsumeQueueEntry, QueryConsumeQueueReply};
use protocol::headers::{QueryConsumeQueue, QueryMessage, QueryMessageReply, ViewMessage};
use protocol::{Frame, ReadFields, Reply, ResponseCode};
use store::{MessageStore, Wanted};

use super::Identity;
use crate::respond::Refusal;
use crate::sessions::Sessions;

/// What looking messages up needs of the broker.
pub struct Queries<'a> {
    pub identity: &'a Identity,
    pub store: &'a MessageStore,
    pub sessions: &'a Sessions,
}

/// Most messages one query answers with.
const MESSAGES_LIMIT: i32 = 64;
/// How many messages are wanted of one unique key. RocketMQ: `defaultQueryMaxNum`.
const UNIQUE_MESSAGES: i32 = 32;
/// Most entries of a queue one answer carries.
const ENTRIES_LIMIT: i32 = 1_000;

impl Queries<'_> {
    /// Answers 12.
    pub async fn by_key(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = QueryMessage::read_fields(&request.header.ext)?;
        let key = match header.index {
            Some("T") => IndexKey::Tag(header.key),
            Some("U") => IndexKey::Unique(header.key),
            _ if header.unique_key => IndexKey::Unique(header.key),
            _ => IndexKey::Key(header.key),
        };
        let most = match header.unique_key {
            true => UNIQUE_MESSAGES,
            false => header.max_messages.clamp(0, MESSAGES_LIMIT),
        };
        let found = match Topic::stored(header.topic) {
            Ok(topic) => {
                let (begin, end) = (Timestamp(header.begin), Timestamp(header.end));
                self.store
                    .query(&topic, key, most as usize, begin, end)
                    .await?
            }
            Err(_) => Vec::new(),
        };
        if found.is_empty() {
            return Ok(Reply::new(ResponseCode::QUERY_NOT_FOUND)
                .remark("can not find message, maybe time range not correct")
                .header(&QueryMessageReply {
                    index_updated: 0,
                    index_updated_log_offset: 0,
                }));
        }
        // The index is part of an append, so it is as new as the log.
        let (_, end) = self.store.log_bounds();
        Ok(Reply::success()
            .header(&QueryMessageReply {
                index_updated: self.identity.clock.wall(),
                index_updated_log_offset: end.0 as i64,
            })
            .body(joined(&found)))
    }

    /// Answers 33.
    pub async fn by_offset(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = ViewMessage::read_fields(&request.header.ext)?;
        let missing = || {
            Refusal::code(
                ResponseCode::SYSTEM_ERROR,
                format!("can not find message by the offset, {}", header.log_offset),
            )
        };
        let at = u64::try_from(header.log_offset).map_err(|_| missing())?;
        match self.store.record_at(LogOffset(at)).await {
            Ok(record) => Ok(Reply::success().body(record)),
            Err(store::Error::NoSuchRecord { .. } | store::Error::Corrupt { .. }) => Err(missing()),
            Err(why) => Err(why.into()),
        }
    }

    /// Answers 321: the entries of a queue, and whether a group's filter keeps them.
    pub async fn queue_entries(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = QueryConsumeQueue::read_fields(&request.header.ext)?;
        let missing = || {
            Refusal::code(
                ResponseCode::SYSTEM_ERROR,
                format!("{}@{} is not exist!", header.queue, header.topic),
            )
        };
        let number = u32::try_from(header.queue).map_err(|_| missing())?;
        let queue = QueueId::new(Topic::stored(header.topic)?, number);
        let bounds = self.store.bounds(&queue).ok_or_else(missing)?;
        let mut reply = QueryConsumeQueueReply {
            max_queue_index: bounds.max.0 as i64,
            min_queue_index: bounds.min.0 as i64,
            queue_data: Some(Vec::new()),
            ..QueryConsumeQueueReply::default()
        };
        let subscription = header
            .group
            .and_then(|group| self.sessions.subscription(group, header.topic)?.1);
        reply.filter_data = header.group.map(|group| match &subscription {
            Some(_) => "null".to_owned(),
            None => format!("{group}@{} is not online!", header.topic),
        });
        let filter: Option<Filter> = subscription
            .as_ref()
            .and_then(|subscription| subscription.filter.clone().ok());
        let count = header.count.clamp(0, ENTRIES_LIMIT) as usize;
        let from = QueueOffset(u64::try_from(header.index).unwrap_or(0));
        for entry in self.store.entries(&queue, from, count).await? {
            reply
                .queue_data
                .get_or_insert_default()
                .push(ConsumeQueueEntry {
                    eval: filter.as_ref().is_some_and(|filter| filter.entry(&entry)),
                    physic_offset: entry.log_offset.0 as i64,
                    physic_size: entry.size as i32,
                    tags_code: entry.tags_code,
                    ..ConsumeQueueEntry::default()
                });
        }
        reply.subscription_data = subscription.map(|subscription| subscription.data);
        Ok(Reply::success().body(body::encode(&reply)))
    }
}

fn joined(records: &[Bytes]) -> Bytes {
    let mut body = BytesMut::with_capacity(records.iter().map(Bytes::len).sum());
    for record in records {
        body.extend_from_slice(record);
    }
    body.freeze()
}
