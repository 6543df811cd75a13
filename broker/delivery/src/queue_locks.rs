//! Which consumer of a group may read an ordered queue.
//!
//! A lock has an owner and an end. Its owner renews it; everybody else waits for the end. Locks
//! are forgotten on restart: consumers ask again and meet each other here, not in the store.

use std::collections::HashMap;
use std::time::Duration;

use model::{ConsumerGroup, QueueId};
use parking_lot::Mutex;
use runtime::{Clock, Moment};

/// How long a lock lives after its owner last asked. RocketMQ: `rebalance.lockMaxLiveTime`.
const LIFE: Duration = Duration::from_secs(60);

/// Queue locks of all groups.
pub struct QueueLocks {
    clock: Clock,
    /// Guards a plain map; held for one request's queues.
    groups: Mutex<HashMap<ConsumerGroup, HashMap<QueueId, Lock>>>,
}

struct Lock {
    owner: String,
    renewed: Moment,
}

impl Lock {
    fn is_over(&self, now: Moment) -> bool {
        now.since(self.renewed) > LIFE
    }
}

impl QueueLocks {
    pub fn new(clock: Clock) -> QueueLocks {
        QueueLocks {
            clock,
            groups: Mutex::default(),
        }
    }

    /// Locks or renews what is free or the client's own; returns what it then owns of `queues`.
    pub fn lock(&self, group: &ConsumerGroup, client: &str, queues: &[QueueId]) -> Vec<QueueId> {
        let now = self.clock.now();
        let mut groups = self.groups.lock();
        let locks = groups.entry(group.clone()).or_default();
        let mut owned = Vec::with_capacity(queues.len());
        for queue in queues {
            let free = locks
                .get(queue)
                .is_none_or(|lock| lock.owner == client || lock.is_over(now));
            if free {
                locks.insert(
                    queue.clone(),
                    Lock {
                        owner: client.to_owned(),
                        renewed: now,
                    },
                );
                owned.push(queue.clone());
            }
        }
        owned
    }

    /// Gives back what the client owns of `queues`.
    pub fn unlock(&self, group: &str, client: &str, queues: &[QueueId]) {
        let mut groups = self.groups.lock();
        let Some(locks) = groups.get_mut(group) else {
            return;
        };
        for queue in queues {
            if locks.get(queue).is_some_and(|lock| lock.owner == client) {
                locks.remove(queue);
            }
        }
        if locks.is_empty() {
            groups.remove(group);
        }
    }

    /// Takes back every lock of a group that is no more.
    pub fn forget(&self, group: &str) {
        self.groups.lock().remove(group);
    }

    /// Whether any queue of the group is locked now: the group consumes in order.
    pub fn is_ordered(&self, group: &str) -> bool {
        let now = self.clock.now();
        self.groups
            .lock()
            .get(group)
            .is_some_and(|locks| locks.values().any(|lock| !lock.is_over(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Topic;
    use runtime::SimClock;

    fn queue(number: u32) -> QueueId {
        QueueId::new(Topic::parse("orders").expect("a valid topic"), number)
    }

    fn group() -> ConsumerGroup {
        ConsumerGroup::parse("billing").expect("a valid group")
    }

    #[test]
    fn one_client_owns_a_queue_until_it_gives_it_back() {
        let locks = QueueLocks::new(SimClock::new(0).clock());
        assert_eq!(
            locks.lock(&group(), "a", &[queue(0), queue(1)]),
            [queue(0), queue(1)]
        );
        assert_eq!(locks.lock(&group(), "b", &[queue(1), queue(2)]), [queue(2)]);
        locks.unlock("billing", "b", &[queue(1)]);
        assert_eq!(
            locks.lock(&group(), "b", &[queue(1)]),
            [],
            "b cannot give back what a owns"
        );
        locks.unlock("billing", "a", &[queue(1)]);
        assert_eq!(locks.lock(&group(), "b", &[queue(1)]), [queue(1)]);
    }

    #[test]
    fn a_lock_ends_unless_its_owner_renews_it() {
        let clock = SimClock::new(0);
        let locks = QueueLocks::new(clock.clock());
        locks.lock(&group(), "a", &[queue(0)]);
        clock.advance(Duration::from_secs(50));
        assert_eq!(locks.lock(&group(), "a", &[queue(0)]), [queue(0)]);
        clock.advance(Duration::from_secs(50));
        assert_eq!(locks.lock(&group(), "b", &[queue(0)]), []);
        assert!(locks.is_ordered("billing"));
        clock.advance(Duration::from_secs(11));
        assert!(!locks.is_ordered("billing"));
        assert_eq!(locks.lock(&group(), "b", &[queue(0)]), [queue(0)]);
    }
}
