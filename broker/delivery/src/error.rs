//! Why a message could not be delivered, or not taken in.

use model::{ConsumerGroup, LogOffset, NameError, QueueId, RecordError, Topic};

use crate::refused::Refused;

/// What callers tell apart; only the server knows which wire code each becomes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("topic {topic} does not exist")]
    NoSuchTopic { topic: String },
    #[error("topic {topic} is not {what}")]
    Forbidden { topic: Topic, what: &'static str },
    #[error("queue {} of topic {} does not exist: it has {queues}", queue.number, queue.topic)]
    NoSuchQueue { queue: QueueId, queues: u32 },
    #[error("consumer group {group} does not exist")]
    NoSuchGroup { group: String },
    #[error("consumer group {group} may not consume: {why}")]
    GroupRefused {
        group: ConsumerGroup,
        why: &'static str,
    },
    #[error("the filter cannot be read: {why}")]
    Filter { why: String },
    #[error("this message cannot be stored: {why}")]
    Illegal { why: String },
    #[error("no message starts at log offset {at}")]
    NoSuchMessage { at: LogOffset },
    #[error(
        "job {job} is at generation {current}, and generation {asked} is over: another process has taken the job"
    )]
    Fenced {
        job: String,
        asked: u64,
        current: u64,
    },
    #[error("job {job} shard {shard} has committed epoch {last}; epoch {asked} cannot follow it")]
    EpochOrder {
        job: String,
        shard: u32,
        last: u64,
        asked: u64,
    },
    #[error("job {job} shard {shard} is committing an epoch already")]
    EpochInFlight { job: String, shard: u32 },
    /// A limit is reached; the same request may succeed later.
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("a stored message cannot be read: {0}")]
    Record(#[from] RecordError),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Metadata(#[from] metadata::Error),
}
