//! Appends records: whoever finds no leader becomes it and writes for all who wait.
//!
//! A record is encoded and looked up on its sender's own task. The leader takes everything
//! queued, gives out log offset, queue offset and store time, and writes it with one call; one
//! connection alone runs with no hand-off at all, and under load the batches grow by
//! themselves. After some megabytes the role goes to the first who waits, so that no
//! connection becomes everybody's writer.
//!
//! ```text
//!  append ─ queue ─┬─ leader: place · pwritev · stage · publish ─ answer   (async)
//!                  └─ the others wait                           └ flush ─ answer  (sync)
//! ```

mod batch;
mod request;
mod write;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use model::record::{GroupSeal, Unplaced};
use model::{Checksum, Message, Timestamp, Topic, system_topics};
use parking_lot::Mutex;
use runtime::Clock;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use batch::CopyBuffer;
pub use request::Appended;
use request::{Outcome, OwnAnswers, Reply, Request, Written};

use crate::dispatch::TOMBSTONES;
use crate::fence::Fence;
use crate::flusher::Flusher;
use crate::guard::Guard;
use crate::health::Health;
use crate::hot_ring::HotRing;
use crate::publisher::Publisher;
use crate::queue_index::QueueIndex;
use crate::segment::Segment;
use crate::segments::Segments;
use crate::{Error, Flush, Settings};

/// Bytes written with one call, unless one request has more.
const BATCH_BYTES: u64 = 256 << 10;
/// Bytes after which the leader's role is handed on.
const LEADERSHIP_BYTES: u64 = 8 << 20;

/// What became of the records of one request.
type Many = SmallVec<[Appended; 1]>;
type Answers = Vec<Result<Written, Error>>;
type Outcomes = Vec<oneshot::Receiver<Outcome>>;

/// Appends to the log. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Appender {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Arc<Settings>,
    clock: Clock,
    segments: Arc<Segments>,
    ring: Arc<HotRing>,
    index: Arc<QueueIndex>,
    publisher: Arc<Publisher>,
    flusher: Arc<Flusher>,
    health: Arc<Health>,
    guard: Guard,
    fence: Arc<Fence>,
    seal: GroupSeal,
    queue: Mutex<Queue>,
    /// The leader's own; nobody else locks it.
    tail: Mutex<Tail>,
}

/// Guards who waits and whether somebody writes.
#[derive(Default)]
struct Queue {
    requests: VecDeque<Request>,
    led: bool,
}

/// Where the log ends.
struct Tail {
    segment: Arc<Segment>,
    position: u64,
    last_stored: i64,
    buffer: CopyBuffer,
}

/// The leader's role on its way to the next one. If that one has gone, its request is written
/// all the same, and the role goes on.
pub(crate) struct Leadership {
    appender: Appender,
    request: Option<Box<Request>>,
}

/// What the appender works with.
pub(crate) struct Collaborators {
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub segments: Arc<Segments>,
    pub ring: Arc<HotRing>,
    pub index: Arc<QueueIndex>,
    pub publisher: Arc<Publisher>,
    pub flusher: Arc<Flusher>,
    pub health: Arc<Health>,
    pub guard: Guard,
    pub fence: Arc<Fence>,
}

impl Appender {
    /// Goes on behind `position` in `segment`, with no store time before `last_stored`.
    pub(crate) fn new(
        with: Collaborators,
        segment: Arc<Segment>,
        position: u64,
        last_stored: i64,
    ) -> Self {
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let shared = Shared {
            settings: with.settings,
            clock: with.clock,
            segments: with.segments,
            ring: with.ring,
            index: with.index,
            publisher: with.publisher,
            flusher: with.flusher,
            health: with.health,
            guard: with.guard,
            fence: with.fence,
            seal: GroupSeal::new(nobody, Checksum::Record),
            queue: Mutex::default(),
            tail: Mutex::new(Tail {
                segment,
                position,
                last_stored,
                buffer: CopyBuffer::default(),
            }),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(crate) async fn append(&self, record: Unplaced) -> Result<Appended, Error> {
        refuse_reserved(&record)?;
        let request = Request::new([record], &self.shared.index);
        let mut appended = self.run(request).await?;
        Ok(appended.pop().expect("one record gives one answer"))
    }

    pub(crate) async fn append_together(
        &self,
        records: Vec<Unplaced>,
    ) -> Result<Vec<Appended>, Error> {
        records.iter().try_for_each(refuse_reserved)?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let request = Request::new(records, &self.shared.index);
        Ok(self.run(request).await?.into_vec())
    }

    /// Writes down that all records of a topic so far no longer count.
    pub(crate) async fn bury(&self, topic: Topic) -> Result<(), Error> {
        let tombstones = Topic::parse(TOMBSTONES).expect("our own name keeps the rule");
        let mut message = Message::new(
            tombstones,
            0,
            Bytes::copy_from_slice(topic.as_str().as_bytes()),
        );
        message.born = Timestamp(self.shared.clock.wall());
        let record = Unplaced::encode(&message, message.born_host, Checksum::Record)?;
        let mut request = Request::new([record], &self.shared.index);
        request.deletes = Some(topic);
        self.run(request).await.map(drop)
    }

    /// Resolves once every append that was under way is written or refused, given that later
    /// ones are refused.
    pub(crate) async fn settle(&self) {
        while self.shared.queue.lock().led {
            // The role may be on its way to a task that has yet to run.
            tokio::task::yield_now().await;
        }
    }

    /// Appends records that have nothing to do with each other. Those that arrived together
    /// are written together.
    pub(crate) async fn append_each(&self, records: Vec<Unplaced>) -> Vec<Result<Appended, Error>> {
        let mut refused = Vec::new();
        let mut requests = Vec::with_capacity(records.len());
        for (number, record) in records.into_iter().enumerate() {
            match refuse_reserved(&record) {
                Ok(()) => requests.push(Request::new([record], &self.shared.index)),
                Err(error) => refused.push((number, error)),
            }
        }
        let written = self.run_all(requests).await;
        let one = |mut appended: Many| appended.pop().expect("one record gives one answer");
        let mut results: Vec<_> = written.into_iter().map(|result| result.map(one)).collect();
        for (number, error) in refused {
            results.insert(number, Err(error));
        }
        results
    }

    async fn run(&self, request: Request) -> Result<Many, Error> {
        let mut results = self.run_all(vec![request]).await;
        results.pop().expect("one request gives one result")
    }

    async fn run_all(&self, requests: Vec<Request>) -> Vec<Result<Many, Error>> {
        let mut results = Vec::with_capacity(requests.len());
        match self.enter(requests) {
            Ok(written) => {
                for written in written {
                    results.push(self.acknowledge(written).await);
                }
            }
            Err(outcomes) => {
                for outcome in outcomes {
                    results.push(match outcome.await {
                        Ok(Outcome::Done(result)) => result.map(|written| written.appended),
                        Ok(Outcome::Lead(leadership)) => self.acknowledge(leadership.lead()).await,
                        Err(_) => Err(Error::Closed),
                    });
                }
            }
        }
        results
    }

    /// Waits for the flush where the sender waits for it.
    async fn acknowledge(&self, written: Result<Written, Error>) -> Result<Many, Error> {
        let written = written?;
        if self.shared.settings.flush == Flush::Sync {
            if written.waits {
                self.shared.flusher.durable(written.end).await?;
            } else {
                self.shared.flusher.when_durable(written.end, drop);
            }
        }
        Ok(written.appended)
    }

    /// Writes the requests and what else is queued, or queues them behind the leader.
    fn enter(&self, mut requests: Vec<Request>) -> Result<Answers, Outcomes> {
        let mut queue = self.shared.queue.lock();
        if !queue.led {
            queue.led = true;
            drop(queue);
            return Ok(self.lead(requests));
        }
        let outcomes = requests.iter_mut().map(|request| {
            let (reply, outcome) = oneshot::channel();
            request.reply = Reply::Other(reply);
            outcome
        });
        let outcomes = outcomes.collect();
        queue.requests.extend(requests);
        Err(outcomes)
    }

    /// Leads until nobody waits or enough is written; returns what became of `own`.
    fn lead(&self, mut own: Vec<Request>) -> Answers {
        let mut answers: OwnAnswers = Vec::with_capacity(own.len());
        for (number, request) in own.iter_mut().enumerate() {
            request.reply = Reply::Own(number);
            answers.push(None);
        }
        let watch = LeaderWatch {
            shared: &self.shared,
        };
        let mut tail = self.shared.tail.lock();
        let mut requests = own;
        let mut led = 0;
        loop {
            led += self
                .shared
                .write(&mut tail, requests.drain(..), &mut answers);
            let mut queue = self.shared.queue.lock();
            if queue.requests.is_empty() {
                queue.led = false;
                break;
            }
            if led >= LEADERSHIP_BYTES {
                let next = queue.requests.pop_front();
                drop(queue);
                drop(tail);
                self.hand_over(next);
                break;
            }
            let mut bytes = 0;
            while bytes < BATCH_BYTES {
                let Some(request) = queue.requests.pop_front() else {
                    break;
                };
                bytes += request.bytes();
                requests.push(request);
            }
        }
        drop(watch);
        let answered = |answer: Option<_>| answer.expect("every request of a batch is answered");
        answers.into_iter().map(answered).collect()
    }

    fn hand_over(&self, next: Option<Request>) {
        let Some(mut request) = next else { return };
        let reply = std::mem::replace(&mut request.reply, Reply::Own(0));
        let leadership = Leadership {
            appender: self.clone(),
            request: Some(Box::new(request)),
        };
        if let Reply::Other(reply) = reply {
            // If the sender has gone, dropping the role hands it on.
            let _ = reply.send(Outcome::Lead(leadership));
        }
    }
}

impl Leadership {
    fn lead(mut self) -> Result<Written, Error> {
        let request = self.request.take().expect("a role is taken up once");
        let mut answers = self.appender.lead(vec![*request]);
        answers.pop().expect("one request gives one answer")
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            // Nobody asks for the outcome any more.
            let _ = self.appender.lead(vec![*request]);
        }
    }
}

/// If the leader panics, what it wrote is unknown: nobody may lead after it.
struct LeaderWatch<'a> {
    shared: &'a Shared,
}

impl Drop for LeaderWatch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.health.break_with("an append panicked".into());
            let mut queue = self.shared.queue.lock();
            queue.led = false;
            queue.requests.clear();
        }
    }
}

/// Only the store itself writes what recovery obeys.
fn refuse_reserved(record: &Unplaced) -> Result<(), Error> {
    let topic = &record.queue().topic;
    if topic.as_str() == TOMBSTONES || topic.as_str() == system_topics::GROUP {
        return Err(Error::Reserved {
            topic: topic.clone(),
        });
    }
    Ok(())
}
