//! The queues of a topic that a job reads, and where it is in each.
//!
//! A topic may get more queues while it is read. The client asks for its routes again every 30
//! seconds, and a queue that a route names for the first time is read from its earliest message
//! on. From then on it is like every other: its position is committed with the epoch, and it holds
//! the watermark back until it has brought a row or is idle. A watermark never goes back, though:
//! rows that came to a new queue before it was found are late if the other queues have carried
//! the watermark past them by then. Where it trails by these 30 seconds, none are.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::{Client, NewTopic, PullConsumer, Route};
use model::{QueueId, QueueOffset, Timestamp, Topic};

use super::start::Start;
use crate::BoxError;

/// Queues of a topic that a source makes because it is not there.
const QUEUES: u32 = 8;

/// Every queue that is read at present.
pub(super) struct Queues {
    client: Client,
    consumer: PullConsumer,
    topic: Topic,
    /// The route whose queues these are.
    route: Arc<Route>,
    pub(super) all: Vec<Queue>,
}

/// One queue and how far it is read.
pub(super) struct Queue {
    pub(super) id: QueueId,
    pub(super) name: Arc<str>,
    pub(super) next: QueueOffset,
    pub(super) end: QueueOffset,
    /// Where the last poll began.
    pub(super) began: QueueOffset,
}

impl Queue {
    fn new(id: QueueId, next: QueueOffset) -> Queue {
        Queue {
            name: format!("{}/{}", id.topic, id.number).into(),
            id,
            next,
            end: next,
            began: next,
        }
    }
}

impl Queues {
    /// The queues of a topic, each behind its position. A job that has none yet begins as `start`
    /// says; otherwise a queue without one came while the job stood still, and none of it was read.
    pub(super) async fn open(
        client: &Client,
        consumer: &PullConsumer,
        topic: &Topic,
        start: Start,
        positions: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Queues, BoxError> {
        let ids = match consumer.queues(topic).await {
            Err(client::Error::NoRoute { .. }) => {
                let new = NewTopic::new(topic.clone(), QUEUES);
                client.admin().create_topic(&new).await?;
                consumer.queues(topic).await?
            }
            found => found?,
        };
        let start = if positions.is_empty() {
            start
        } else {
            Start::Earliest
        };
        let mut queues = Queues {
            client: client.clone(),
            consumer: consumer.clone(),
            topic: topic.clone(),
            route: client.route(topic).await?,
            all: Vec::with_capacity(ids.len()),
        };
        for id in ids {
            let mut queue = Queue::new(id, QueueOffset(0));
            let next = match positions.get(&*queue.name) {
                Some(position) => read_position(position)?,
                None => first(consumer, &queue.id, start).await?,
            };
            (queue.next, queue.end, queue.began) = (next, next, next);
            queues.all.push(queue);
        }
        Ok(queues)
    }

    /// Adds the queues that the topic has got since.
    pub(super) async fn grow(&mut self) -> Result<(), BoxError> {
        let route = self.client.route(&self.topic).await?;
        if Arc::ptr_eq(&route, &self.route) {
            return Ok(());
        }
        for id in route.readable.iter().map(|queue| queue.id()) {
            if self.all.iter().all(|known| known.id != id) {
                let next = first(&self.consumer, &id, Start::Earliest).await?;
                tracing::info!(topic = %id.topic, queue = id.number, "a new queue is read");
                self.all.push(Queue::new(id, next));
            }
        }
        self.route = route;
        Ok(())
    }
}

async fn first(
    consumer: &PullConsumer,
    queue: &QueueId,
    start: Start,
) -> Result<QueueOffset, BoxError> {
    Ok(match start {
        Start::Earliest => consumer.min_offset(queue).await?,
        Start::Committed => match consumer.committed(queue).await? {
            Some(committed) => committed,
            None => consumer.min_offset(queue).await?,
        },
        Start::Latest => consumer.max_offset(queue).await?,
        Start::Timestamp(time) => consumer.offset_at(queue, Timestamp(time)).await?,
        Start::Offset(offset) => {
            let start = consumer.min_offset(queue).await?;
            let end = consumer.max_offset(queue).await?;
            QueueOffset(offset).min(end).max(start)
        }
    })
}

/// The form in which a queue's position is kept: its next offset.
pub(super) fn read_position(position: &[u8]) -> Result<QueueOffset, BoxError> {
    let bytes = position
        .try_into()
        .map_err(|_| format!("a kept position has {} bytes, not 8", position.len()))?;
    Ok(QueueOffset(u64::from_be_bytes(bytes)))
}
