//! What waits to be appended, and how its sender learns the outcome.

use std::sync::Arc;

use model::record::Unplaced;
use model::{LogOffset, QueueId, QueueOffset, Timestamp, Topic};
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::Leadership;
use crate::Error;
use crate::dispatch::Dispatch;
use crate::queue_index::{Head, QueueIndex};

/// Where a record went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    pub queue: QueueId,
    /// Its offset in its queue, of its first message if it holds several; 0 for a record that
    /// no queue shows.
    pub queue_offset: QueueOffset,
    pub log_offset: LogOffset,
    pub stored: Timestamp,
    /// Bytes of the record.
    pub size: u32,
}

/// Records that go to the log together.
pub(super) struct Request {
    pub members: SmallVec<[Member; 1]>,
    /// A topic that is deleted by this record.
    pub deletes: Option<Topic>,
    /// Whether the sender waits for the flush.
    pub waits: bool,
    pub reply: Reply,
}

/// Where the outcome goes.
pub(super) enum Reply {
    /// The sender is the leader, and this is its so manieth request.
    Own(usize),
    Other(oneshot::Sender<Outcome>),
}

/// Outcomes of the leader's own requests, by their numbers.
pub(super) type OwnAnswers = Vec<Option<Result<Written, Error>>>;

impl Reply {
    pub(super) fn give(self, result: Result<Written, Error>, own: &mut OwnAnswers) {
        match self {
            // Whoever asked may have gone.
            Self::Other(reply) => drop(reply.send(Outcome::Done(result))),
            Self::Own(number) => own[number] = Some(result),
        }
    }
}

pub(super) struct Member {
    pub record: Unplaced,
    pub dispatch: Dispatch,
    pub head: Option<Arc<Head>>,
    pub lite: SmallVec<[Arc<Head>; 1]>,
}

/// What a sender that is not the leader hears.
pub(super) enum Outcome {
    Done(Result<Written, Error>),
    /// Nobody leads any more: the sender goes on with its own request.
    Lead(Leadership),
}

/// Records that are in the kernel.
pub(super) struct Written {
    pub appended: SmallVec<[Appended; 1]>,
    /// Where the last of them ends.
    pub end: u64,
    pub waits: bool,
}

impl Request {
    /// Looks up everything that does not need the leader.
    pub(super) fn new(records: impl IntoIterator<Item = Unplaced>, index: &QueueIndex) -> Self {
        let members: SmallVec<[Member; 1]> = records
            .into_iter()
            .map(|record| Member::new(record, index))
            .collect();
        let waits = members
            .iter()
            .any(|member| member.record.properties().get(model::properties::WAIT) != Some("false"));
        Self {
            members,
            deletes: None,
            waits,
            reply: Reply::Own(0),
        }
    }

    /// Bytes it takes, but for what the leader adds.
    pub(super) fn bytes(&self) -> u64 {
        self.members
            .iter()
            .map(|member| member.record.len() as u64)
            .sum()
    }
}

impl Member {
    fn new(record: Unplaced, index: &QueueIndex) -> Self {
        let dispatch = Dispatch::of_new(&record);
        let mut member = Self {
            record,
            dispatch,
            head: None,
            lite: SmallVec::new(),
        };
        member.find_heads(index);
        member
    }

    /// Looks its queues up again if one of them was deleted meanwhile.
    pub(super) fn refresh(&mut self, index: &QueueIndex) {
        let heads = self.head.iter().chain(&self.lite);
        if heads.into_iter().any(|head| head.is_dead()) {
            self.find_heads(index);
        }
    }

    fn find_heads(&mut self, index: &QueueIndex) {
        self.head = self
            .dispatch
            .queue
            .as_ref()
            .map(|queue| index.get_or_insert(queue));
        self.lite = self
            .dispatch
            .lite
            .iter()
            .map(|queue| index.get_or_insert(queue))
            .collect();
    }
}
