//! The heads of all queues, found by their queues.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use model::{QueueId, Topic};

use super::head::{Head, State};

/// The heads, found by their queues.
#[derive(Default)]
pub(super) struct Heads {
    pub(super) by_queue: HashSet<ByQueue, foldhash::fast::RandomState>,
    /// The names that the heads of a topic share.
    pub(super) topics: HashSet<Topic, foldhash::fast::RandomState>,
}

/// A head as its queue: what a million queues cost is counted in bytes.
pub(super) struct ByQueue(pub(super) Arc<Head>);

impl Borrow<QueueId> for ByQueue {
    fn borrow(&self) -> &QueueId {
        &self.0.id
    }
}

impl Hash for ByQueue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl PartialEq for ByQueue {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ByQueue {}

impl Heads {
    pub(super) fn get(&self, queue: &QueueId) -> Option<&Arc<Head>> {
        self.by_queue.get(queue).map(|head| &head.0)
    }

    pub(super) fn insert(&mut self, queue: &QueueId, state: State) -> Arc<Head> {
        let topic = match self.topics.get(&queue.topic) {
            Some(topic) => topic.clone(),
            None => {
                self.topics.insert(queue.topic.clone());
                queue.topic.clone()
            }
        };
        let head = Arc::new(Head::new(QueueId::new(topic, queue.number), state));
        self.by_queue.insert(ByQueue(head.clone()));
        head
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Head>> {
        self.by_queue.iter().map(|head| &head.0)
    }
}
