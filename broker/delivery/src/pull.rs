//! Reads messages of one queue for a consumer, and waits for them if asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use metadata::{CommittedOffsets, TopicConfig, Topics};
use model::{ConsumerGroup, QueueId, QueueOffset};
use runtime::Clock;
use store::{MessageStore, ReadLimit, ReadStatus};

use crate::Error;
use crate::filter::Filter;
use crate::long_polls::LongPolls;

/// Most messages one answer carries.
const MESSAGES_LIMIT: usize = 8_192;
/// Most bytes one answer carries; the first message always goes.
const BYTES_LIMIT: usize = 256 << 10;
/// RocketMQ never gives more messages than this. Who asks for more reads in bulk, and gets
/// [`BULK_BYTES_LIMIT`].
const BULK: usize = 160;
const BULK_BYTES_LIMIT: usize = 4 << 20;

/// One request for messages.
#[derive(Clone, Debug)]
pub struct Pull {
    pub group: ConsumerGroup,
    pub queue: QueueId,
    pub offset: QueueOffset,
    pub max_messages: usize,
    pub filter: Filter,
    pub hold: Hold,
}

/// What happens when there is nothing new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    AnswerAtOnce,
    /// Wait so long for a message.
    UpTo(Duration),
}

/// How an answer is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullStatus {
    Found,
    /// The queue has no newer message.
    NoNewMessage,
    /// There were messages, and none matched: go on at `next` at once.
    NoneMatched,
    /// The offset is outside the queue, or an administrator has moved the group: go on at `next`.
    OffsetMoved,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Pulled {
    pub status: PullStatus,
    /// Whole records as they lie in the log.
    pub records: Vec<Bytes>,
    pub next: QueueOffset,
    pub min: QueueOffset,
    pub end: QueueOffset,
}

/// Serves pulls. Cheap to clone.
#[derive(Clone)]
pub struct Pulls {
    store: MessageStore,
    topics: Arc<Topics>,
    offsets: Arc<CommittedOffsets>,
    polls: LongPolls,
    clock: Clock,
    /// Of all clones together, in microseconds.
    longest_look: Arc<AtomicU64>,
}

impl Pulls {
    pub fn new(
        store: MessageStore,
        topics: Arc<Topics>,
        offsets: Arc<CommittedOffsets>,
        polls: LongPolls,
        clock: Clock,
    ) -> Pulls {
        Pulls {
            store,
            topics,
            offsets,
            polls,
            clock,
            longest_look: Arc::default(),
        }
    }

    /// The longest time one look at a queue took, without any waiting for messages.
    pub fn longest_look(&self) -> Duration {
        Duration::from_micros(self.longest_look.load(Ordering::Relaxed))
    }

    /// The topic's settings, if the queue may be read.
    pub fn readable(&self, queue: &QueueId) -> Result<Arc<TopicConfig>, Error> {
        let topic = &queue.topic;
        let known = self.topics.get(topic.as_str());
        // Nobody makes a light topic: it is there with the first message copied into its queue.
        let light = || {
            topic
                .is_lite()
                .then(|| Arc::new(TopicConfig::with_queues(1)))
        };
        let config = known.or_else(light).ok_or_else(|| Error::NoSuchTopic {
            topic: topic.to_string(),
        })?;
        if !config.permission.readable() {
            return Err(Error::Forbidden {
                topic: topic.clone(),
                what: "readable",
            });
        }
        if queue.number >= config.read_queues {
            return Err(Error::NoSuchQueue {
                queue: queue.clone(),
                queues: config.read_queues,
            });
        }
        Ok(config)
    }

    /// Answers at once, or when a matching message arrives, or when the hold is over.
    pub async fn pull(&self, pull: &Pull) -> Result<Pulled, Error> {
        let first = self.look(pull).await?;
        let Hold::UpTo(limit) = pull.hold else {
            return Ok(first);
        };
        if first.status != PullStatus::NoNewMessage {
            return Ok(first);
        }
        let interest = pull.filter.interest();
        let mut waiting = self.polls.wait(&pull.queue, &pull.group, interest)?;
        // Registered now: look again, or a message that came in between would be slept through.
        let second = self.look(pull).await?;
        if second.status != PullStatus::NoNewMessage {
            return Ok(second);
        }
        // Woken or not, the last look is the answer: a woken request never waits again.
        self.clock.timeout(limit, waiting.arrived()).await.ok();
        self.look(pull).await
    }

    /// One look at the queue, without waiting.
    async fn look(&self, pull: &Pull) -> Result<Pulled, Error> {
        if let Some(moved) = self.offsets.take_reset(pull.group.as_str(), &pull.queue) {
            let bounds = self.store.bounds(&pull.queue).unwrap_or_default();
            return Ok(Pulled {
                status: PullStatus::OffsetMoved,
                records: Vec::new(),
                next: moved,
                min: bounds.min,
                end: bounds.max,
            });
        }
        let limit = ReadLimit {
            messages: pull.max_messages.clamp(1, MESSAGES_LIMIT),
            bytes: if pull.max_messages > BULK {
                BULK_BYTES_LIMIT
            } else {
                BYTES_LIMIT
            },
        };
        let began = self.clock.now();
        let read = self
            .store
            .read(&pull.queue, pull.offset, limit, &pull.filter)
            .await?;
        let took = self.clock.now().since(began).as_micros();
        self.longest_look
            .fetch_max(u64::try_from(took).unwrap_or(u64::MAX), Ordering::Relaxed);
        let status = match read.status {
            ReadStatus::Found => PullStatus::Found,
            ReadStatus::NoMatchedMessage | ReadStatus::MessageWasRemoving => {
                PullStatus::NoneMatched
            }
            ReadStatus::OffsetOverflowOne | ReadStatus::OffsetFoundNull => PullStatus::NoNewMessage,
            ReadStatus::NoMatchedLogicQueue | ReadStatus::NoMessageInQueue
                if pull.offset == QueueOffset(0) =>
            {
                PullStatus::NoNewMessage
            }
            ReadStatus::NoMatchedLogicQueue
            | ReadStatus::NoMessageInQueue
            | ReadStatus::OffsetTooSmall
            | ReadStatus::OffsetOverflowBadly => PullStatus::OffsetMoved,
        };
        Ok(Pulled {
            status,
            records: read.records,
            next: read.next,
            min: read.min,
            end: read.max,
        })
    }
}
