//! Keeps pull requests that found nothing, and wakes them when their queue grows.
//!
//! A request waits in exactly one place, so a wake-up needs no search. [`LongPolls::arrived`] is
//! called after the queue entry is readable, never before: otherwise a woken reader could look
//! and find nothing. A caller registers first and looks once more afterwards, so that a message
//! that arrives in between is not slept through.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::{ConsumerGroup, QueueId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::refused::{Refused, Resource};

/// When a refused client asks again, unless it has its own mind: Java's wait so long.
const RETRY: Duration = Duration::from_secs(3);

/// How many requests may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollLimits {
    /// In the whole broker.
    pub total: usize,
    /// Of one group at one queue.
    pub of_queue: usize,
}

impl Default for PollLimits {
    fn default() -> PollLimits {
        PollLimits {
            total: 100_000,
            of_queue: 1_024,
        }
    }
}

/// Requests that wait for a message. Cheap to clone.
#[derive(Clone, Default)]
pub struct LongPolls {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    limits: PollLimits,
    /// Guards plain maps; waiters are woken after it is released.
    held: Mutex<Held>,
    refused: AtomicU64,
}

#[derive(Default)]
struct Held {
    queues: HashMap<QueueId, Vec<Waiter>>,
    total: usize,
    next: u64,
}

struct Waiter {
    number: u64,
    group: ConsumerGroup,
    interest: Interest,
    wake: oneshot::Sender<()>,
}

/// Which arrivals wake a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Every message.
    Any,
    /// Messages with one of these tags codes.
    Tags(Arc<[i64]>),
}

impl Interest {
    fn covers(&self, tags_code: i64) -> bool {
        match self {
            Interest::Any => true,
            Interest::Tags(codes) => codes.contains(&tags_code),
        }
    }
}

/// A registered wait. Dropping it takes the request out.
pub struct Waiting {
    queue: QueueId,
    number: u64,
    arrived: oneshot::Receiver<()>,
    shared: Arc<Shared>,
}

impl LongPolls {
    pub fn new(limits: PollLimits) -> LongPolls {
        let shared = Shared {
            limits,
            ..Shared::default()
        };
        LongPolls {
            shared: Arc::new(shared),
        }
    }

    /// Registers a request for the next matching message of the queue.
    pub fn wait(
        &self,
        queue: &QueueId,
        group: &ConsumerGroup,
        interest: Interest,
    ) -> Result<Waiting, Refused> {
        let mut held = self.shared.held.lock();
        if let Some(refused) = self.full(&held, queue, group) {
            drop(held);
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            return Err(refused);
        }
        let (wake, arrived) = oneshot::channel();
        held.next += 1;
        held.total += 1;
        let number = held.next;
        held.queues.entry(queue.clone()).or_default().push(Waiter {
            number,
            group: group.clone(),
            interest,
            wake,
        });
        Ok(Waiting {
            queue: queue.clone(),
            number,
            arrived,
            shared: self.shared.clone(),
        })
    }

    fn full(&self, held: &Held, queue: &QueueId, group: &ConsumerGroup) -> Option<Refused> {
        let limits = self.shared.limits;
        let refused = |resource, limit: usize, in_use: usize, holder| Refused {
            resource,
            limit: limit as u64,
            in_use: in_use as u64,
            holder,
            retry_after: RETRY,
        };
        if held.total >= limits.total {
            let holder = format!("the consumers of {} queues", held.queues.len());
            return Some(refused(Resource::Polls, limits.total, held.total, holder));
        }
        let waiters = held.queues.get(queue)?;
        if waiters.len() < limits.of_queue {
            return None;
        }
        let in_use = waiters.iter().filter(|one| one.group == *group).count();
        (in_use >= limits.of_queue).then(|| {
            let (topic, number) = (&queue.topic, queue.number);
            let holder = format!("group {group} at queue {number} of topic {topic}");
            refused(Resource::PollsOfQueue, limits.of_queue, in_use, holder)
        })
    }

    /// Wakes the requests that a message with this tags code concerns.
    pub fn arrived(&self, queue: &QueueId, tags_code: i64) {
        self.wake_where(queue, |waiter| waiter.interest.covers(tags_code));
    }

    /// Wakes every request of a queue, whatever it waits for: the queue was reset or deleted.
    pub fn wake_all(&self, queue: &QueueId) {
        self.wake_where(queue, |_| true);
    }

    fn wake_where(&self, queue: &QueueId, concerned: impl Fn(&Waiter) -> bool) {
        let woken = {
            let mut held = self.shared.held.lock();
            if held.total == 0 {
                return;
            }
            held.take(queue, concerned)
        };
        for waiter in woken {
            // The request may have timed out this very moment.
            waiter.wake.send(()).ok();
        }
    }

    /// Requests held at this moment.
    pub fn held(&self) -> usize {
        self.shared.held.lock().total
    }

    /// Requests that were not held because there were too many, since the start.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }
}

impl Held {
    fn take(&mut self, queue: &QueueId, chosen: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let Some(waiters) = self.queues.get_mut(queue) else {
            return Vec::new();
        };
        let taken: Vec<Waiter> = waiters.extract_if(.., |waiter| chosen(waiter)).collect();
        if waiters.is_empty() {
            self.queues.remove(queue);
        }
        self.total -= taken.len();
        taken
    }

    fn remove(&mut self, queue: &QueueId, number: u64) {
        let Some(waiters) = self.queues.get_mut(queue) else {
            return;
        };
        let Some(place) = waiters.iter().position(|waiter| waiter.number == number) else {
            return;
        };
        waiters.swap_remove(place);
        if waiters.is_empty() {
            self.queues.remove(queue);
        }
        self.total -= 1;
    }
}

impl Waiting {
    /// Resolves when a matching message is readable.
    pub async fn arrived(&mut self) {
        // A sender is dropped only after sending, or together with the whole broker.
        (&mut self.arrived).await.ok();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.held.lock().remove(&self.queue, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Topic;

    fn queue(number: u32) -> QueueId {
        QueueId::new(Topic::parse("orders").expect("a valid topic"), number)
    }

    fn group(name: &str) -> ConsumerGroup {
        ConsumerGroup::parse(name).expect("a valid group")
    }

    fn is_woken(waiting: &mut Waiting) -> bool {
        waiting.arrived.try_recv().is_ok()
    }

    #[test]
    fn an_arrival_wakes_only_those_it_concerns() {
        let polls = LongPolls::default();
        let mut any = polls
            .wait(&queue(0), &group("g"), Interest::Any)
            .expect("there is room");
        let mut tagged = polls
            .wait(&queue(0), &group("g"), Interest::Tags([7].into()))
            .expect("there is room");
        let mut other = polls
            .wait(&queue(1), &group("g"), Interest::Any)
            .expect("there is room");
        polls.arrived(&queue(0), 8);
        assert!(is_woken(&mut any) && !is_woken(&mut tagged) && !is_woken(&mut other));
        polls.arrived(&queue(0), 7);
        assert!(is_woken(&mut tagged));
        assert_eq!(polls.held(), 1);
    }

    #[test]
    fn a_request_that_gave_up_is_forgotten() {
        let polls = LongPolls::default();
        let first = polls
            .wait(&queue(0), &group("g"), Interest::Any)
            .expect("there is room");
        let second = polls
            .wait(&queue(0), &group("g"), Interest::Any)
            .expect("there is room");
        drop(first);
        assert_eq!(polls.held(), 1);
        drop(second);
        assert_eq!(polls.held(), 0);
    }

    #[test]
    fn a_crowded_group_is_refused_with_the_numbers_and_no_other() {
        let polls = LongPolls::default();
        let wait = |queue, name| polls.wait(&queue, &group(name), Interest::Any);
        let held: Vec<_> = (0..PollLimits::default().of_queue)
            .map(|_| wait(queue(0), "billing").expect("there is room"))
            .collect();
        let full = wait(queue(0), "billing").err().expect("the group is full");
        assert_eq!(
            full.to_string(),
            "waiting pulls (limits.polls-of-queue): 1024 of 1024 are in use, held by group billing \
             at queue 0 of topic orders; try again in 3000 ms"
        );
        assert!(wait(queue(0), "shipping").is_ok());
        assert!(wait(queue(1), "billing").is_ok());
        drop(held);
        assert!(wait(queue(0), "billing").is_ok());
        assert_eq!(polls.refused(), 1);
    }

    #[test]
    fn a_crowded_broker_is_refused_with_the_numbers() {
        let polls = LongPolls::new(PollLimits {
            total: 2,
            of_queue: 9,
        });
        let wait = |number| polls.wait(&queue(number), &group("billing"), Interest::Any);
        let _held = (wait(0).expect("room"), wait(1).expect("room"));
        let full = wait(2).err().expect("the broker is full");
        assert_eq!(
            full.to_string(),
            "waiting pulls (limits.polls): 2 of 2 are in use, held by the consumers of 2 queues; \
             try again in 3000 ms"
        );
    }

    #[test]
    fn a_reset_wakes_everybody() {
        let polls = LongPolls::default();
        let mut tagged = polls
            .wait(&queue(0), &group("g"), Interest::Tags([7].into()))
            .expect("there is room");
        polls.wake_all(&queue(0));
        assert!(is_woken(&mut tagged));
        assert_eq!(polls.held(), 0);
    }
}
