//! The heads of all queues, found by their queues.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use model::{QueueId, Topic};

use super::head::{Head, State};

/// What is known of every queue. A start fills it from a checkpoint, where a queue may be
/// named several times: what is said last counts.
#[derive(Default)]
pub(crate) struct Heads {
    by_queue: HashSet<ByQueue, foldhash::fast::RandomState>,
    /// The names that the heads of a topic share.
    topics: HashSet<Topic, foldhash::fast::RandomState>,
}

/// A head as its queue: what a million queues cost is counted in bytes.
struct ByQueue(Arc<Head>);

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
    /// Makes room for so many queues at once: a table that grows is moved as a whole.
    pub(crate) fn reserve(&mut self, queues: usize) {
        self.by_queue.reserve(queues);
    }

    pub(crate) fn get(&self, queue: &QueueId) -> Option<&Arc<Head>> {
        self.by_queue.get(queue).map(|head| &head.0)
    }

    /// The topic of this name if it has queues.
    pub(super) fn known_topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    /// The topic of this name, in the copy that its queues share; `None` if no topic is called
    /// so.
    pub(crate) fn topic(&mut self, name: &str) -> Option<Topic> {
        if let Some(topic) = self.topics.get(name) {
            return Some(topic.clone());
        }
        let topic = Topic::stored(name).ok()?;
        self.topics.insert(topic.clone());
        Some(topic)
    }

    /// Adds a queue that is not here yet.
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

    /// Sets what is known of a queue whose topic comes from [`Heads::topic`].
    pub(crate) fn set(&mut self, queue: QueueId, state: State) {
        match self.get(&queue) {
            Some(head) => head.set(state),
            None => {
                let head = Arc::new(Head::new(queue, state));
                self.by_queue.insert(ByQueue(head));
            }
        }
    }

    pub(crate) fn remove(&mut self, queue: &QueueId) {
        self.by_queue.remove(queue);
    }

    /// Forgets the queues of a topic and hands each to `forgotten`.
    pub(super) fn remove_topic(&mut self, topic: &Topic, mut forgotten: impl FnMut(&Arc<Head>)) {
        self.by_queue.retain(|ByQueue(head)| {
            let kept = head.id.topic != *topic;
            if !kept {
                forgotten(head);
            }
            kept
        });
        self.topics.remove(topic);
    }

    /// Forgets the names of topics that have no queues.
    pub(crate) fn forget_unused_names(&mut self) {
        self.topics.clear();
        let used = self.by_queue.iter().map(|head| &head.0.id.topic);
        for topic in used {
            if !self.topics.contains(topic) {
                self.topics.insert(topic.clone());
            }
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Head>> {
        self.by_queue.iter().map(|head| &head.0)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(end: u64) -> State {
        State {
            end,
            ..State::default()
        }
    }

    #[test]
    fn what_is_said_last_of_a_queue_counts() {
        let mut heads = Heads::default();
        for end in [7, 3] {
            let topic = heads.topic("t").expect("a topic");
            heads.set(QueueId::new(topic, 1), state(end));
        }
        let topic = heads.topic("t").expect("a topic");
        let head = heads.get(&QueueId::new(topic, 1)).expect("it is here");
        assert_eq!(head.with(|state| state.end), 3);
        assert_eq!(head.next(), 3);
        assert_eq!(heads.len(), 1);
    }

    #[test]
    fn queues_of_a_topic_share_its_name_and_the_last_takes_it_along() {
        let mut heads = Heads::default();
        for number in 0..2 {
            let topic = heads.topic("t").expect("a topic");
            heads.set(QueueId::new(topic, number), state(0));
        }
        let places = heads.all().map(|head| head.id.topic.as_str().as_ptr());
        let places: HashSet<_> = places.collect();
        assert_eq!(places.len(), 1);
        let topic = heads.topic("t").expect("a topic");
        heads.remove(&QueueId::new(topic.clone(), 0));
        heads.forget_unused_names();
        assert_eq!(heads.topics.len(), 1);
        heads.remove(&QueueId::new(topic, 1));
        heads.forget_unused_names();
        assert_eq!(heads.topics.len(), 0);
        assert_eq!(heads.topic(""), None);
    }
}
