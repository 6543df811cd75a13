//! Who leads: whoever comes while nobody does, for all who come meanwhile.
//!
//! The role ends under the lock under which nobody was found to wait, so nobody can come in
//! between and wait for a leader that has gone. On its way to the next one it is a value: if that
//! one has gone, dropping the value leads.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use tokio::sync::oneshot;

use crate::sync::Mutex;

#[cfg(all(test, scheduler = "loom"))]
mod schedules;

/// What a leader does.
pub(super) trait Work: Sized {
    type Request;
    /// What became of a request.
    type Written;
    /// What only the leader touches.
    type Tail;
    /// Bytes written with one call, unless one request has more.
    const BATCH_BYTES: u64;
    /// Bytes after which the leader's role is handed on.
    const LEADERSHIP_BYTES: u64;

    fn bytes(request: &Self::Request) -> u64;

    /// Who is told what became of a request; `None`: its sender is the leader.
    fn reply(request: &mut Self::Request) -> &mut Option<Reply<Self>>;

    /// Does all requests and replies to each; what became of the one without a reply goes to
    /// `own`. Returns how many bytes that were.
    fn write(
        &self,
        tail: &mut Self::Tail,
        requests: impl Iterator<Item = Self::Request>,
        own: &mut Option<Self::Written>,
    ) -> u64;

    /// What a leader that panicked wrote is unknown: nobody may write after it.
    fn leader_panicked(&self);
}

pub(super) type Reply<W> = oneshot::Sender<Outcome<W>>;

/// What a sender that is not the leader hears.
pub(super) enum Outcome<W: Work> {
    Done(W::Written),
    /// Nobody leads any more: the sender goes on with its own request.
    Lead(Leadership<W>),
}

/// A request that is written, or that waits for whoever leads.
pub(super) type Entered<W> = Result<<W as Work>::Written, oneshot::Receiver<Outcome<W>>>;

/// Who wrote a request.
pub(super) enum Finished<T> {
    /// Its sender, which had the role.
    Led(T),
    Told(T),
}

pub(super) struct Combiner<W: Work> {
    pub work: W,
    queue: Mutex<Queue<W::Request>>,
    /// The leader's own; nobody else locks it.
    tail: Mutex<W::Tail>,
}

/// Guards who waits and whether somebody writes.
struct Queue<R> {
    requests: VecDeque<R>,
    led: bool,
}

impl<W: Work> Combiner<W> {
    pub(super) fn new(work: W, tail: W::Tail) -> Self {
        let queue = Queue {
            requests: VecDeque::new(),
            led: false,
        };
        Self {
            work,
            queue: Mutex::new(queue),
            tail: Mutex::new(tail),
        }
    }

    pub(super) fn is_led(&self) -> bool {
        self.queue.lock().led
    }

    /// Writes the requests and what else is queued, or queues them behind the leader.
    pub(super) fn enter(
        self: &Arc<Self>,
        mut requests: Vec<W::Request>,
    ) -> SmallVec<[Entered<W>; 1]> {
        let mut queue = self.queue.lock();
        let leads = !std::mem::replace(&mut queue.led, true);
        let waiting = requests.iter_mut().skip(usize::from(leads));
        let waiting = waiting.map(|request| {
            let (reply, outcome) = oneshot::channel();
            *W::reply(request) = Some(reply);
            Err(outcome)
        });
        if !leads {
            let entered = waiting.collect();
            queue.requests.extend(requests);
            return entered;
        }
        drop(queue);
        let waiting: SmallVec<[Entered<W>; 1]> = waiting.collect();
        let mut entered = smallvec![Ok(self.lead(requests))];
        entered.extend(waiting);
        entered
    }

    /// Leads until nobody waits or enough is written; returns what became of the first of
    /// `requests`, to which nobody else is told the outcome.
    fn lead(self: &Arc<Self>, mut requests: Vec<W::Request>) -> W::Written {
        let watch = LeaderWatch { combiner: self };
        let mut tail = self.tail.lock();
        let mut written = None;
        let mut led = 0;
        loop {
            let batch = requests.drain(..);
            led += self.work.write(&mut tail, batch, &mut written);
            let mut queue = self.queue.lock();
            if queue.requests.is_empty() {
                queue.led = false;
                break;
            }
            if led >= W::LEADERSHIP_BYTES {
                let next = queue.requests.pop_front();
                drop(queue);
                drop(tail);
                self.hand_over(next);
                break;
            }
            let mut bytes = 0;
            while bytes < W::BATCH_BYTES {
                let Some(request) = queue.requests.pop_front() else {
                    break;
                };
                bytes += W::bytes(&request);
                requests.push(request);
            }
        }
        drop(watch);
        written.expect("every request of a batch is answered")
    }

    fn hand_over(self: &Arc<Self>, next: Option<W::Request>) {
        let Some(mut request) = next else { return };
        let reply = W::reply(&mut request).take();
        let leadership = Leadership {
            combiner: self.clone(),
            request: Some(Box::new(request)),
        };
        if let Some(reply) = reply {
            // If the sender has gone, dropping the role hands it on.
            let _ = reply.send(Outcome::Lead(leadership));
        }
    }
}

/// Resolves once a request is written, by its sender if the role comes to it; `None` if it
/// never will be.
pub(super) async fn finish<W: Work>(entered: Entered<W>) -> Option<Finished<W::Written>> {
    match entered {
        Ok(written) => Some(Finished::Led(written)),
        Err(outcome) => match outcome.await.ok()? {
            Outcome::Done(written) => Some(Finished::Told(written)),
            Outcome::Lead(leadership) => Some(Finished::Led(leadership.lead())),
        },
    }
}

/// The leader's role on its way to the next one. If that one has gone, its request is written
/// all the same, and the role goes on.
pub(super) struct Leadership<W: Work> {
    combiner: Arc<Combiner<W>>,
    request: Option<Box<W::Request>>,
}

impl<W: Work> Leadership<W> {
    fn lead(mut self) -> W::Written {
        let request = self.request.take().expect("a role is taken up once");
        self.combiner.lead(vec![*request])
    }
}

impl<W: Work> Drop for Leadership<W> {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            // Nobody asks for the outcome any more.
            let _ = self.combiner.lead(vec![*request]);
        }
    }
}

/// If the leader panics, those who wait hear that their requests are not written.
struct LeaderWatch<'a, W: Work> {
    combiner: &'a Combiner<W>,
}

impl<W: Work> Drop for LeaderWatch<'_, W> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.combiner.work.leader_panicked();
            let mut queue = self.combiner.queue.lock();
            queue.led = false;
            queue.requests.clear();
        }
    }
}
