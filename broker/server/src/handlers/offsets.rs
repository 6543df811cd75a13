//! Where queues begin and end, and how far groups have come.

use delivery::Error;
use metadata::{Commit, CommittedOffsets, Groups, Topics};
use model::{ConsumerGroup, QueueId, QueueOffset, Timestamp, Topic};
use protocol::headers::{
    self, GetMaxOffset, OffsetReply, QueryConsumerOffset, QueueOfTopic, SearchOffset,
    StoreTimeReply, UpdateConsumerOffset,
};
use protocol::{Frame, ReadFields, Reply, ResponseCode};
use store::{Boundary, MessageStore};

use crate::respond::Refusal;

/// What questions about offsets need of the broker.
pub struct Offsets<'a> {
    pub store: &'a MessageStore,
    pub topics: &'a Topics,
    pub groups: &'a Groups,
    pub offsets: &'a CommittedOffsets,
}

impl Offsets<'_> {
    /// Answers 14. A group that is new to a small, young queue starts at its beginning.
    pub async fn query(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = QueryConsumerOffset::read_fields(&request.header.ext)?;
        let queue = queue(header.topic, header.queue)?;
        if let Some(offset) = self.offsets.get(header.group, &queue) {
            return Ok(offset_reply(offset));
        }
        let not_found =
            |remark: &'static str| Ok(Reply::new(ResponseCode::QUERY_NOT_FOUND).remark(remark));
        if header.zero_if_not_found == Some(false) {
            return not_found("Not found, do not set to zero, maybe this group boot first");
        }
        let bounds = self.store.bounds(&queue).unwrap_or_default();
        if bounds.min == QueueOffset(0) && self.head_is_hot(&queue).await? {
            return Ok(offset_reply(QueueOffset(0)));
        }
        not_found("Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first")
    }

    /// Whether the queue's first message is still in memory. An empty queue has none: its new
    /// groups begin where their client says.
    async fn head_is_hot(&self, queue: &QueueId) -> Result<bool, Refusal> {
        let head = self.store.entries(queue, QueueOffset(0), 1).await?;
        Ok(head
            .first()
            .is_some_and(|entry| self.store.is_hot(entry.log_offset)))
    }

    /// Answers 15.
    pub fn update(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = UpdateConsumerOffset::read_fields(&request.header.ext)?;
        let group = ConsumerGroup::parse(header.group)?;
        if self.groups.get(group.as_str()).is_none() {
            return Err(Error::NoSuchGroup {
                group: group.to_string(),
            }
            .into());
        }
        if self.topics.get(header.topic).is_none() && !header.topic.starts_with("%LMQ%") {
            return Err(Error::NoSuchTopic {
                topic: header.topic.to_owned(),
            }
            .into());
        }
        let (Some(number), Some(offset)) = (header.queue, header.commit_offset) else {
            return Err(Refusal::code(
                ResponseCode::INVALID_PARAMETER,
                "queueId and commitOffset are needed",
            ));
        };
        // Go commits -1 for a queue it has not read: there is nothing to keep.
        let Ok(offset) = u64::try_from(offset) else {
            return Ok(Reply::success());
        };
        match self
            .offsets
            .commit(&group, &queue(header.topic, number)?, QueueOffset(offset))
        {
            Commit::ResetPending => Ok(Reply::success().remark("Offset has been previously reset")),
            Commit::Stored | Commit::Repeated => Ok(Reply::success()),
        }
    }

    /// Answers 30.
    pub fn max(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = GetMaxOffset::read_fields(&request.header.ext)?;
        Ok(offset_reply(
            self.store
                .bounds(&queue(header.topic, header.queue)?)
                .unwrap_or_default()
                .max,
        ))
    }

    /// Answers 31.
    pub fn min(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = QueueOfTopic::read_fields(&request.header.ext)?;
        Ok(offset_reply(
            self.store
                .bounds(&queue(header.topic, header.queue)?)
                .unwrap_or_default()
                .min,
        ))
    }

    /// Answers 32.
    pub async fn earliest_store_time(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = QueueOfTopic::read_fields(&request.header.ext)?;
        let earliest = self
            .store
            .earliest(&queue(header.topic, header.queue)?)
            .await?;
        Ok(Reply::success().header(&StoreTimeReply {
            timestamp: earliest.map_or(-1, |time| time.0),
        }))
    }

    /// Answers 29.
    pub async fn search(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = SearchOffset::read_fields(&request.header.ext)?;
        let boundary = match header.boundary {
            headers::Boundary::Lower => Boundary::Lower,
            headers::Boundary::Upper => Boundary::Upper,
        };
        let offset = self
            .store
            .offset_at(
                &queue(header.topic, header.queue)?,
                Timestamp(header.timestamp),
                boundary,
            )
            .await?;
        Ok(offset_reply(offset))
    }
}

fn queue(topic: &str, number: i32) -> Result<QueueId, Refusal> {
    let number = u32::try_from(number).map_err(|_| {
        Refusal::code(
            ResponseCode::INVALID_PARAMETER,
            format!("queueId {number} is negative"),
        )
    })?;
    Ok(QueueId::new(Topic::stored(topic)?, number))
}

fn offset_reply(offset: QueueOffset) -> Reply {
    Reply::success().header(&OffsetReply {
        offset: offset.0 as i64,
    })
}
