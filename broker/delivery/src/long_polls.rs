//! Keeps pull requests that found nothing, and wakes them when their queue grows.
//!
//! A request waits in exactly one place, so a wake-up needs no search. [`LongPolls::arrived`] is
//! called after the queue entry is readable, never before: otherwise a woken reader could look
//! and find nothing. A caller registers first and looks once more afterwards, so that a message
//! that arrives in between is not slept through.

use std::collections::HashMap;
use std::sync::Arc;

use model::QueueId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Held requests in the whole broker.
const TOTAL_LIMIT: usize = 100_000;
/// Held requests of one queue.
const QUEUE_LIMIT: usize = 1_024;

/// Requests that wait for a message. Cheap to clone.
#[derive(Clone, Default)]
pub struct LongPolls {
    /// Guards a plain map; waiters are woken after it is released.
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    queues: HashMap<QueueId, Vec<Waiter>>,
    total: usize,
    next: u64,
}

struct Waiter {
    number: u64,
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

/// Too many requests are held already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{in_use} pull requests are held for this {what}, the limit is {limit}")]
pub struct Full {
    pub what: &'static str,
    pub in_use: usize,
    pub limit: usize,
}

/// A registered wait. Dropping it takes the request out.
pub struct Waiting {
    queue: QueueId,
    number: u64,
    arrived: oneshot::Receiver<()>,
    held: Arc<Mutex<Held>>,
}

impl LongPolls {
    /// Registers a request for the next matching message of the queue.
    pub fn wait(&self, queue: &QueueId, interest: Interest) -> Result<Waiting, Full> {
        let mut held = self.held.lock();
        if held.total >= TOTAL_LIMIT {
            return Err(Full {
                what: "broker",
                in_use: held.total,
                limit: TOTAL_LIMIT,
            });
        }
        let in_use = held.queues.get(queue).map_or(0, Vec::len);
        if in_use >= QUEUE_LIMIT {
            return Err(Full {
                what: "queue",
                in_use,
                limit: QUEUE_LIMIT,
            });
        }
        let (wake, arrived) = oneshot::channel();
        held.next += 1;
        held.total += 1;
        let number = held.next;
        held.queues.entry(queue.clone()).or_default().push(Waiter {
            number,
            interest,
            wake,
        });
        Ok(Waiting {
            queue: queue.clone(),
            number,
            arrived,
            held: self.held.clone(),
        })
    }

    /// Wakes the requests that a message with this tags code concerns.
    pub fn arrived(&self, queue: &QueueId, tags_code: i64) {
        let mut woken = Vec::new();
        {
            let mut held = self.held.lock();
            if held.total == 0 {
                return;
            }
            let Some(waiters) = held.queues.get_mut(queue) else {
                return;
            };
            woken.extend(waiters.extract_if(.., |waiter| waiter.interest.covers(tags_code)));
            if waiters.is_empty() {
                held.queues.remove(queue);
            }
            held.total -= woken.len();
        }
        for waiter in woken {
            // The request may have timed out this very moment.
            waiter.wake.send(()).ok();
        }
    }

    /// Wakes every request of a queue, whatever it waits for: the queue was reset or deleted.
    pub fn wake_all(&self, queue: &QueueId) {
        let woken = {
            let mut held = self.held.lock();
            let woken = held.queues.remove(queue).unwrap_or_default();
            held.total -= woken.len();
            woken
        };
        for waiter in woken {
            waiter.wake.send(()).ok();
        }
    }

    /// Requests held at this moment.
    pub fn held(&self) -> usize {
        self.held.lock().total
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
        let mut held = self.held.lock();
        let Some(waiters) = held.queues.get_mut(&self.queue) else {
            return;
        };
        let Some(place) = waiters
            .iter()
            .position(|waiter| waiter.number == self.number)
        else {
            return;
        };
        waiters.swap_remove(place);
        if waiters.is_empty() {
            held.queues.remove(&self.queue);
        }
        held.total -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Topic;

    fn queue(number: u32) -> QueueId {
        QueueId::new(Topic::parse("orders").expect("a valid topic"), number)
    }

    fn is_woken(waiting: &mut Waiting) -> bool {
        waiting.arrived.try_recv().is_ok()
    }

    #[test]
    fn an_arrival_wakes_only_those_it_concerns() {
        let polls = LongPolls::default();
        let mut any = polls.wait(&queue(0), Interest::Any).expect("there is room");
        let mut tagged = polls
            .wait(&queue(0), Interest::Tags([7].into()))
            .expect("there is room");
        let mut other = polls.wait(&queue(1), Interest::Any).expect("there is room");
        polls.arrived(&queue(0), 8);
        assert!(is_woken(&mut any) && !is_woken(&mut tagged) && !is_woken(&mut other));
        polls.arrived(&queue(0), 7);
        assert!(is_woken(&mut tagged));
        assert_eq!(polls.held(), 1);
    }

    #[test]
    fn a_request_that_gave_up_is_forgotten() {
        let polls = LongPolls::default();
        let first = polls.wait(&queue(0), Interest::Any).expect("there is room");
        let second = polls.wait(&queue(0), Interest::Any).expect("there is room");
        drop(first);
        assert_eq!(polls.held(), 1);
        drop(second);
        assert_eq!(polls.held(), 0);
    }

    #[test]
    fn a_crowded_queue_refuses_with_the_numbers() {
        let polls = LongPolls::default();
        let held: Vec<_> = (0..QUEUE_LIMIT)
            .map(|_| polls.wait(&queue(0), Interest::Any).expect("there is room"))
            .collect();
        let full = polls
            .wait(&queue(0), Interest::Any)
            .err()
            .expect("the queue is full");
        assert_eq!(
            full.to_string(),
            "1024 pull requests are held for this queue, the limit is 1024"
        );
        assert!(polls.wait(&queue(1), Interest::Any).is_ok());
        drop(held);
        assert!(polls.wait(&queue(0), Interest::Any).is_ok());
    }

    #[test]
    fn a_reset_wakes_everybody() {
        let polls = LongPolls::default();
        let mut tagged = polls
            .wait(&queue(0), Interest::Tags([7].into()))
            .expect("there is room");
        polls.wake_all(&queue(0));
        assert!(is_woken(&mut tagged));
        assert_eq!(polls.held(), 0);
    }
}
