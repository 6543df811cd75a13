//! How far each group has been handed messages, whether it has committed them or not.

use std::collections::{BTreeMap, HashMap};

use model::{ConsumerGroup, QueueId, QueueOffset};
use parking_lot::Mutex;

/// The last offset each group asked for, by queue. Forgotten on restart, as in RocketMQ.
#[derive(Default)]
pub struct PullProgress {
    /// Guards a plain map; held for one lookup or change.
    groups: Mutex<HashMap<ConsumerGroup, HashMap<QueueId, QueueOffset>>>,
}

impl PullProgress {
    pub fn pulled(&self, group: &ConsumerGroup, queue: &QueueId, offset: QueueOffset) {
        let mut groups = self.groups.lock();
        if let Some(known) = groups.get_mut(group).and_then(|group| group.get_mut(queue)) {
            *known = offset;
            return;
        }
        groups
            .entry(group.clone())
            .or_default()
            .insert(queue.clone(), offset);
    }

    pub fn get(&self, group: &str, queue: &QueueId) -> Option<QueueOffset> {
        self.groups.lock().get(group)?.get(queue).copied()
    }

    /// Every group with every queue it reads.
    pub fn all(&self) -> BTreeMap<ConsumerGroup, BTreeMap<QueueId, QueueOffset>> {
        let groups = self.groups.lock();
        let sorted = |queues: &HashMap<QueueId, QueueOffset>| {
            queues
                .iter()
                .map(|(queue, at)| (queue.clone(), *at))
                .collect()
        };
        groups
            .iter()
            .map(|(group, queues)| (group.clone(), sorted(queues)))
            .collect()
    }

    pub fn remove_group(&self, group: &str) {
        self.groups.lock().remove(group);
    }

    pub fn remove_topic(&self, topic: &str) {
        for queues in self.groups.lock().values_mut() {
            queues.retain(|queue, _| queue.topic.as_str() != topic);
        }
    }
}
