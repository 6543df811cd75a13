//! What an application chooses about a push consumer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{ConsumerGroup, Timestamp};
use protocol::body::{ConsumeFromWhere, MessageModel};
use runtime::Disk;

/// How a push consumer shares, begins and paces its work.
#[derive(Clone)]
pub struct PushSettings {
    pub group: ConsumerGroup,
    /// Whether the group's members share the messages, or each gets all of them.
    pub model: MessageModel,
    /// Whether each queue's messages are handled one after the other, failures included.
    pub ordered: bool,
    /// Where a queue begins in which the group has committed nothing.
    pub from: ConsumeFrom,
    /// Batches handled at a time, unless order matters: then it is one for each queue.
    pub concurrency: usize,
    /// Most messages of a batch. RocketMQ: `consumeMessageBatchMaxSize`.
    pub batch: usize,
    /// Most messages asked for at once. RocketMQ: `pullBatchSize`.
    pub pull: u32,
    /// Times a message comes again before it is given up. By default as the group is set on
    /// the broker, and without end when order matters. RocketMQ: `maxReconsumeTimes`.
    pub retries: Option<u32>,
    /// Rest before a failed batch comes again where order matters.
    pub suspend: Duration,
    /// Messages of one queue held here before no more are asked for. RocketMQ:
    /// `pullThresholdForQueue`.
    pub held_messages: usize,
    /// Bytes of them. RocketMQ: `pullThresholdSizeForQueue`.
    pub held_bytes: usize,
    /// Where a broadcasting consumer keeps how far it has come; without it, only in memory.
    pub kept_in: Option<(Arc<dyn Disk>, PathBuf)>,
}

/// Where a group begins in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumeFrom {
    /// With what comes from now on. A small young topic is read from its start all the same:
    /// the broker answers so, because a group's first members may be later than its messages.
    End,
    Start,
    /// With the first message stored at or after this time.
    Time(Timestamp),
}

impl PushSettings {
    /// As RocketMQ's consumers begin: shared, concurrent, from the end.
    pub fn new(group: ConsumerGroup) -> PushSettings {
        PushSettings {
            group,
            model: MessageModel::Clustering,
            ordered: false,
            from: ConsumeFrom::End,
            concurrency: 20,
            batch: 1,
            pull: 32,
            retries: None,
            suspend: Duration::from_secs(1),
            held_messages: 1_000,
            held_bytes: 100 << 20,
            kept_in: None,
        }
    }

    pub(crate) fn shares(&self) -> bool {
        self.model == MessageModel::Clustering
    }

    /// Whether a queue must be locked at its broker before it is read.
    pub(crate) fn locks(&self) -> bool {
        self.ordered && self.shares()
    }
}

impl ConsumeFrom {
    pub(crate) fn on_wire(self) -> ConsumeFromWhere {
        match self {
            ConsumeFrom::End => ConsumeFromWhere::LastOffset,
            ConsumeFrom::Start => ConsumeFromWhere::FirstOffset,
            ConsumeFrom::Time(_) => ConsumeFromWhere::Timestamp,
        }
    }
}
