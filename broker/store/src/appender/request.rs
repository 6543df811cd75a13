//! What waits to be appended, and how its sender learns the outcome.

use std::sync::Arc;

use model::record::Run;
use model::{LogOffset, QueueId, QueueOffset, Timestamp, Topic, system_topics};

use super::Writer;
use super::combiner::Reply;
use crate::dispatch::{Dispatch, KeyHashes, TOMBSTONES, Tags};
use crate::losses::LOST;
use crate::queue_index::{Head, QueueIndex};
use crate::{Error, Records};

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
    pub run: Run,
    /// One for each record of the run.
    pub members: Vec<Member>,
    pub bond: Bond,
    /// They are written though the disk is too full for others.
    pub though_full: bool,
    /// A topic that is deleted by the record.
    pub deletes: Option<Topic>,
    /// Whether the sender waits for the flush.
    pub waits: bool,
    /// `None`: the sender is the leader.
    pub reply: Option<Reply<Writer>>,
}

/// What the records of a request have to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bond {
    /// Nothing: each is written or refused by itself.
    Neighbours,
    /// All of them are written, or none.
    Group,
}

/// What is looked up of a record without the leader.
pub(super) struct Member {
    /// The queue it was sent to.
    pub queue: QueueId,
    pub tags: Tags,
    /// Offsets it takes in its own queue.
    pub count: u32,
    pub inner_batch: bool,
    pub keys: KeyHashes,
    /// Its own queue; `None` if no queue shows it.
    pub head: Option<Arc<Head>>,
    pub lite: Vec<Arc<Head>>,
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
    pub(super) fn new(records: Records, bond: Bond, index: &QueueIndex) -> Self {
        let mut waits = false;
        let mut heads = index
            .heads_of(records.dispatches.iter().filter_map(Dispatch::shown))
            .into_iter();
        let mut members = Vec::with_capacity(records.len());
        for dispatch in records.dispatches {
            waits |= dispatch.waits;
            let head = if dispatch.is_shown {
                heads.next()
            } else {
                None
            };
            members.push(Member::new(dispatch, head, index));
        }
        Self {
            run: records.run,
            members,
            bond,
            though_full: records.though_full,
            deletes: None,
            waits,
            reply: None,
        }
    }
}

impl Member {
    fn new(dispatch: Dispatch, head: Option<Arc<Head>>, index: &QueueIndex) -> Self {
        let lite = dispatch.lite.iter();
        Self {
            lite: lite.map(|queue| index.get_or_insert(queue)).collect(),
            queue: dispatch.queue,
            tags: dispatch.tags,
            count: dispatch.count,
            inner_batch: dispatch.inner_batch,
            keys: dispatch.keys,
            head,
        }
    }

    /// Only the store itself writes what recovery obeys.
    pub(super) fn refuse_reserved(&self) -> Result<(), Error> {
        let topic = &self.queue.topic;
        if matches!(topic.as_str(), TOMBSTONES | LOST | system_topics::GROUP) {
            return Err(Error::Reserved {
                topic: topic.clone(),
            });
        }
        Ok(())
    }

    /// Looks those of its queues up again that were deleted meanwhile.
    pub(super) fn refresh(&mut self, index: &QueueIndex) {
        for head in self.head.iter_mut().chain(&mut self.lite) {
            if head.is_dead() {
                *head = index.get_or_insert(&head.id);
            }
        }
    }
}
