//! What waits to be appended, and how its sender learns the outcome.

use std::sync::Arc;

use model::record::Unplaced;
use model::{LogOffset, QueueId, QueueOffset, Timestamp, Topic};
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::Leadership;
use crate::Error;
use crate::dispatch::{Dispatch, KeyHashes, Tags};
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

/// Records that one sender appends at once.
pub(super) struct Request {
    pub members: Vec<Member>,
    pub bond: Bond,
    /// A topic that is deleted by the record.
    pub deletes: Option<Topic>,
    /// Whether the sender waits for the flush.
    pub waits: bool,
    /// `None`: the sender is the leader.
    pub reply: Option<oneshot::Sender<Outcome>>,
}

/// What the records of a request have to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bond {
    /// Nothing: each is written or refused by itself.
    Neighbours,
    /// All of them are written, or none.
    Group,
}

/// A record with all that is looked up without the leader.
pub(super) struct Member {
    pub record: Unplaced,
    pub tags: Tags,
    /// Offsets it takes in its own queue.
    pub count: u32,
    pub keys: KeyHashes,
    /// Its own queue; `None` if no queue shows it.
    pub head: Option<Arc<Head>>,
    pub lite: Vec<Arc<Head>>,
}

/// What a sender that is not the leader hears.
pub(super) enum Outcome {
    Done(Written),
    /// Nobody leads any more: the sender goes on with its own request.
    Lead(Leadership),
}

/// What became of a request.
#[derive(Default)]
pub(super) struct Written {
    /// One for each record, in their order; one in all for a group that was refused.
    pub results: Vec<Result<Appended, Error>>,
    /// Where the last record ends that was written; 0 if none was.
    pub end: u64,
    pub waits: bool,
}

impl Written {
    /// The results from `first` on were promised too early.
    pub(super) fn fail(&mut self, first: usize, error: &Error) {
        for result in &mut self.results[first..] {
            if result.is_ok() {
                *result = Err(error.again());
            }
        }
    }
}

impl Request {
    /// Looks up everything that does not need the leader.
    pub(super) fn new(
        records: impl IntoIterator<Item = Unplaced>,
        bond: Bond,
        index: &QueueIndex,
    ) -> Self {
        let mut waits = false;
        let member = |record| {
            let dispatch = Dispatch::of_new(&record);
            waits |= dispatch.waits;
            Member::new(record, dispatch, index)
        };
        Self {
            members: records.into_iter().map(member).collect(),
            bond,
            deletes: None,
            waits,
            reply: None,
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
    fn new(record: Unplaced, dispatch: Dispatch, index: &QueueIndex) -> Self {
        let head = |queue: &QueueId| index.get_or_insert(queue);
        Self {
            record,
            tags: dispatch.tags,
            count: dispatch.count,
            keys: dispatch.keys,
            head: dispatch.queue.as_ref().map(head),
            lite: dispatch.lite.iter().map(head).collect(),
        }
    }

    /// Looks those of its queues up again that were deleted meanwhile.
    pub(super) fn refresh(&mut self, index: &QueueIndex) {
        for head in self.head.iter_mut().chain(&mut self.lite) {
            if head.is_dead() {
                *head = index.get_or_insert(&head.id);
            }
        }
    }

    /// The queues that show the record, its own first.
    pub(super) fn heads(&mut self) -> SmallVec<[Arc<Head>; 1]> {
        let lite = std::mem::take(&mut self.lite);
        self.head.take().into_iter().chain(lite).collect()
    }
}
