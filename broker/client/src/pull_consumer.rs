//! Reads queues where the caller says, and keeps a group's progress when the caller says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::{ConsumerGroup, QueueId, QueueOffset, Timestamp, Topic};
use protocol::headers::{
    Boundary, GetMaxOffset, OffsetReply, PullFlags, PullMessage, PullReply, QueryConsumerOffset,
    QueueOfTopic, SearchOffset, UpdateConsumerOffset,
};
use protocol::{ExtFields, Frame, ReadFields, RequestCode, ResponseCode};

use crate::connections::{refused, unreadable};
use crate::error::Address;
use crate::pulled::{PullStatus, Pulled, read};
use crate::route::Route;
use crate::{Client, Error, Filter};

/// How much later than asked a broker may answer a pull it holds.
const LATENESS: Duration = Duration::from_secs(15);

/// Reads queues for a group without taking part in its sharing of queues. Cheap to clone.
#[derive(Clone)]
pub struct PullConsumer {
    client: Client,
    group: ConsumerGroup,
    /// The one broker that is asked, where queue numbers alone do not tell.
    broker: Option<Arc<str>>,
}

impl Client {
    /// A consumer that reads where it is told to.
    pub fn pull_consumer(&self, group: ConsumerGroup) -> PullConsumer {
        PullConsumer {
            client: self.clone(),
            group,
            broker: None,
        }
    }
}

impl PullConsumer {
    /// The same consumer for the queues of one broker. Needed for topics on several brokers,
    /// whose queues share their numbers: without it they are refused as ambiguous.
    pub fn on_broker(&self, broker: &str) -> PullConsumer {
        PullConsumer {
            broker: Some(broker.into()),
            ..self.clone()
        }
    }

    pub fn group(&self) -> &ConsumerGroup {
        &self.group
    }

    /// Queues of the topic that can be read, by number.
    pub async fn queues(&self, topic: &Topic) -> Result<Vec<QueueId>, Error> {
        let route = self.client.routes().fresh(topic).await?;
        let own = |broker: &Arc<str>| self.broker.as_ref().is_none_or(|own| own == broker);
        let queues = route.readable.iter().filter(|queue| own(&queue.broker));
        Ok(queues.map(|queue| queue.id()).collect())
    }

    /// Up to `max` messages from `offset` on that the filter wants. Waits up to `hold` when there
    /// are none. May be dropped at any time.
    pub async fn pull(
        &self,
        queue: &QueueId,
        offset: QueueOffset,
        max: u32,
        filter: &Filter,
        hold: Duration,
    ) -> Result<Pulled, Error> {
        let expression = filter.expression();
        let flags = match hold.is_zero() {
            true => PullFlags::SUBSCRIPTION,
            false => PullFlags::SUBSCRIPTION | PullFlags::SUSPEND,
        };
        let header = PullMessage {
            group: self.group.as_str(),
            topic: queue.topic.as_str(),
            queue: wire_queue(queue),
            queue_offset: wire_offset(offset),
            max_messages: i32::try_from(max).unwrap_or(i32::MAX).max(1),
            flags,
            commit_offset: 0,
            suspend_timeout_ms: i64::try_from(hold.as_millis()).unwrap_or(i64::MAX),
            subscription: Some(&expression),
            subscription_version: 0,
            expression_type: Some(filter.language()),
            max_message_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
            broker: None,
        };
        let request = request(RequestCode::PULL_MESSAGE, &header).binary();
        let limit = hold.saturating_add(LATENESS);
        let (address, answer) = self.ask(queue, request, limit).await?;
        pulled(&address, answer, offset, filter)
    }

    /// How far the group has come; `None` when it has never said.
    pub async fn committed(&self, queue: &QueueId) -> Result<Option<QueueOffset>, Error> {
        self.committed_or(queue, Some(false)).await
    }

    /// As [`PullConsumer::committed`]; for a queue so young that nobody can have missed much of
    /// it, the broker may say the start instead of nothing.
    pub(crate) async fn committed_or_young(
        &self,
        queue: &QueueId,
    ) -> Result<Option<QueueOffset>, Error> {
        self.committed_or(queue, None).await
    }

    async fn committed_or(
        &self,
        queue: &QueueId,
        zero_if_not_found: Option<bool>,
    ) -> Result<Option<QueueOffset>, Error> {
        let header = QueryConsumerOffset {
            group: self.group.as_str(),
            topic: queue.topic.as_str(),
            queue: wire_queue(queue),
            zero_if_not_found,
            broker: None,
        };
        let code = RequestCode::QUERY_CONSUMER_OFFSET;
        let (address, answer) = self.ask_soon(queue, request(code, &header)).await?;
        match answer.header.response_code() {
            ResponseCode::SUCCESS => Ok(Some(offset(&address, code, &answer)?)),
            ResponseCode::QUERY_NOT_FOUND => Ok(None),
            _ => Err(refused(&address, code, &answer)),
        }
    }

    /// Keeps how far the group has come: `offset` is the next message it wants. The group is
    /// made if the broker does not know it and may make groups.
    pub async fn commit(&self, queue: &QueueId, offset: QueueOffset) -> Result<(), Error> {
        let header = UpdateConsumerOffset {
            group: self.group.as_str(),
            topic: queue.topic.as_str(),
            queue: Some(wire_queue(queue)),
            commit_offset: Some(wire_offset(offset)),
            broker: None,
        };
        let code = RequestCode::UPDATE_CONSUMER_OFFSET;
        let (address, answer) = self.ask_soon(queue, request(code, &header)).await?;
        match answer.header.response_code() {
            ResponseCode::SUCCESS => Ok(()),
            ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST => {
                // Brokers make a group when it first pulls, not when it first commits.
                self.pull(queue, offset, 1, &Filter::All, Duration::ZERO)
                    .await?;
                let (address, answer) = self.ask_soon(queue, request(code, &header)).await?;
                success(&address, code, &answer)
            }
            _ => Err(refused(&address, code, &answer)),
        }
    }

    /// The queue's first offset.
    pub async fn min_offset(&self, queue: &QueueId) -> Result<QueueOffset, Error> {
        let header = QueueOfTopic {
            topic: queue.topic.as_str(),
            queue: wire_queue(queue),
            broker: None,
        };
        self.offset_by(
            queue,
            RequestCode::GET_MIN_OFFSET,
            request(RequestCode::GET_MIN_OFFSET, &header),
        )
        .await
    }

    /// The offset behind the queue's last message.
    pub async fn max_offset(&self, queue: &QueueId) -> Result<QueueOffset, Error> {
        let header = GetMaxOffset {
            topic: queue.topic.as_str(),
            queue: wire_queue(queue),
            committed: true,
            broker: None,
        };
        self.offset_by(
            queue,
            RequestCode::GET_MAX_OFFSET,
            request(RequestCode::GET_MAX_OFFSET, &header),
        )
        .await
    }

    /// The first message stored at or after a time; behind the last one when all are older.
    pub async fn offset_at(&self, queue: &QueueId, time: Timestamp) -> Result<QueueOffset, Error> {
        let header = SearchOffset {
            topic: queue.topic.as_str(),
            queue: wire_queue(queue),
            timestamp: time.0,
            boundary: Boundary::Lower,
            broker: None,
        };
        let code = RequestCode::SEARCH_OFFSET_BY_TIMESTAMP;
        self.offset_by(queue, code, request(code, &header)).await
    }

    async fn offset_by(
        &self,
        queue: &QueueId,
        code: RequestCode,
        request: Frame,
    ) -> Result<QueueOffset, Error> {
        let (address, answer) = self.ask_soon(queue, request).await?;
        success(&address, code, &answer)?;
        offset(&address, code, &answer)
    }

    async fn ask_soon(&self, queue: &QueueId, request: Frame) -> Result<(Address, Frame), Error> {
        self.ask(queue, request, self.client.request_timeout())
            .await
    }

    /// Asks the queue's broker. A route that led nowhere is looked up again for the next call.
    async fn ask(
        &self,
        queue: &QueueId,
        request: Frame,
        limit: Duration,
    ) -> Result<(Address, Frame), Error> {
        let routes = self.client.routes();
        let route = routes.of(&queue.topic).await?;
        let address = match self.locate(&route, queue) {
            // The topic may have grown since.
            Err(Error::NoQueue { .. }) => {
                self.locate(&*routes.fresh(&queue.topic).await?, queue)?
            }
            found => found?,
        };
        let answer = self
            .client
            .connections()
            .ask(&address, request, limit)
            .await;
        if matches!(answer, Err(Error::Unreachable { .. })) {
            routes.forget(&queue.topic);
        }
        Ok((address, answer?))
    }

    fn locate(&self, route: &Route, queue: &QueueId) -> Result<Address, Error> {
        match &self.broker {
            None => Ok(route.locate(queue)?.1.clone()),
            Some(broker) => route.master(broker).cloned().ok_or_else(|| Error::NoQueue {
                queue: queue.clone(),
                access: "such",
            }),
        }
    }
}

/// Understands the answer to a pull.
pub(crate) fn pulled(
    address: &Address,
    answer: Frame,
    from: QueueOffset,
    filter: &Filter,
) -> Result<Pulled, Error> {
    let code = RequestCode::PULL_MESSAGE;
    let status = match answer.header.response_code() {
        ResponseCode::SUCCESS => PullStatus::Found,
        ResponseCode::PULL_NOT_FOUND => PullStatus::NoNewMessage,
        ResponseCode::PULL_RETRY_IMMEDIATELY => PullStatus::NoneMatched,
        ResponseCode::PULL_OFFSET_MOVED => PullStatus::OffsetMoved,
        _ => return Err(refused(address, code, &answer)),
    };
    let header = PullReply::read_fields(&answer.header.ext).map_err(unreadable(address, code))?;
    let (messages, rest) = match status {
        PullStatus::Found => read(answer.body, from, filter).map_err(|why| Error::BadReply {
            address: address.clone(),
            asked: code,
            why: why.to_string(),
        })?,
        _ => (Vec::new(), None),
    };
    Ok(Pulled {
        status,
        messages,
        next: rest.unwrap_or_else(|| read_offset(header.next_begin_offset)),
        min: read_offset(header.min_offset),
        max: read_offset(header.max_offset),
    })
}

pub(crate) fn request(code: RequestCode, header: &impl protocol::WriteFields) -> Frame {
    Frame::request(code, ExtFields::of(header), Bytes::new())
}

pub(crate) fn success(address: &Address, asked: RequestCode, answer: &Frame) -> Result<(), Error> {
    match answer.header.response_code() {
        ResponseCode::SUCCESS => Ok(()),
        _ => Err(refused(address, asked, answer)),
    }
}

/// The offset an answer carries.
pub(crate) fn offset(
    address: &Address,
    asked: RequestCode,
    answer: &Frame,
) -> Result<QueueOffset, Error> {
    let header =
        OffsetReply::read_fields(&answer.header.ext).map_err(unreadable(address, asked))?;
    Ok(read_offset(header.offset))
}

fn read_offset(offset: i64) -> QueueOffset {
    QueueOffset(u64::try_from(offset).unwrap_or(0))
}

pub(crate) fn wire_offset(offset: QueueOffset) -> i64 {
    i64::try_from(offset.0).unwrap_or(i64::MAX)
}

pub(crate) fn wire_queue(queue: &QueueId) -> i32 {
    i32::try_from(queue.number).unwrap_or(i32::MAX)
}
