//! What the runtime asks of a broker. One implementation speaks to a real one, another lives
//! in the tests.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use model::{ConsumerGroup, Message, QueueId, QueueOffset, StoredMessage, Topic};

/// Why the broker did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// It could not be asked, or did not answer. The request may have been carried out.
    #[error("the broker cannot be reached: {why}")]
    Unavailable {
        /// The address and what the system said.
        why: String,
    },
    /// A newer generation has taken the job over.
    #[error("a newer generation of {job} is running")]
    Fenced {
        /// The job.
        job: String,
    },
    /// It refused, and will refuse again.
    #[error("the broker refused: {why}")]
    Refused {
        /// Its words.
        why: String,
    },
}

/// Everything that must appear together or not at all.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The connector's job.
    pub job: String,
    /// From [`Broker::fence`]; an older one is refused.
    pub generation: u64,
    /// The task.
    pub shard: u32,
    /// One more than the last; the last one again is a repetition and changes nothing.
    pub epoch: u64,
    /// Whose offsets are committed.
    pub group: Option<ConsumerGroup>,
    /// The next offset of each queue that moved.
    pub offsets: Vec<(QueueId, QueueOffset)>,
    /// Messages to append.
    pub outputs: Vec<Message>,
    /// Names and values to keep with the shard; an empty value forgets the name.
    pub positions: Vec<(String, String)>,
}

/// What the broker keeps of one shard of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardState {
    /// The last committed epoch, 0 if there was none.
    pub epoch: u64,
    /// The names and values kept with it.
    pub positions: BTreeMap<String, String>,
}

/// What a pull found.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The messages, in order.
    pub messages: Vec<StoredMessage>,
    /// The offset to go on from. It may lie beyond the last message.
    pub next: QueueOffset,
}

/// The offsets a queue holds: from `min` up to, but without, `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first message.
    pub min: QueueOffset,
    /// Behind the last message.
    pub max: QueueOffset,
}

/// A broker, as far as connectors need one.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Takes `job` over: commits of every older generation are refused from now on.
    async fn fence(&self, job: &str) -> Result<u64, BrokerError>;

    /// Rows, offsets and positions, all or nothing, durable when this returns. After
    /// [`BrokerError::Unavailable`] the same commit may be tried again: it happens once.
    async fn commit(&self, commit: Commit) -> Result<(), BrokerError>;

    /// What is kept of one shard.
    async fn shard(&self, job: &str, shard: u32) -> Result<ShardState, BrokerError>;

    /// Makes the topic with so many queues unless it is there; returns how many it has.
    async fn ensure_topic(&self, topic: &Topic, queues: u32) -> Result<u32, BrokerError>;

    /// How many queues can be read; `None` if there is no such topic.
    async fn queues(&self, topic: &Topic) -> Result<Option<u32>, BrokerError>;

    /// What a queue holds now.
    async fn bounds(&self, queue: &QueueId) -> Result<Bounds, BrokerError>;

    /// Where a group goes on, if it has ever committed.
    async fn committed(
        &self,
        group: &ConsumerGroup,
        queue: &QueueId,
    ) -> Result<Option<QueueOffset>, BrokerError>;

    /// Up to `max` messages from `from` on. Waits up to `wait` if there is none; then the
    /// answer may be empty. Cancel-safe.
    async fn pull(
        &self,
        group: &ConsumerGroup,
        queue: &QueueId,
        from: QueueOffset,
        max: usize,
        wait: Duration,
    ) -> Result<Pulled, BrokerError>;

    /// Every record of a namespace, by key.
    async fn records(&self, namespace: &str) -> Result<BTreeMap<String, String>, BrokerError>;

    /// Keeps a record, durable when this returns.
    async fn put_record(&self, namespace: &str, key: &str, value: &str) -> Result<(), BrokerError>;

    /// Forgets a record.
    async fn remove_record(&self, namespace: &str, key: &str) -> Result<(), BrokerError>;
}
