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
use futures::future::join_all;
use model::record::{GroupSeal, Unplaced};
use model::{Checksum, Message, Timestamp, Topic};
use runtime::SteadyWall;
use smallvec::{SmallVec, smallvec};
use tokio::sync::oneshot;

use batch::CopyBuffer;
pub use request::Appended;
use request::{Bond, Outcome, Request, Written};

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
use crate::sync::Mutex;
use crate::{Error, Flush, Records, Settings};

/// Bytes written with one call, unless one request has more.
const BATCH_BYTES: u64 = 256 << 10;
/// Bytes after which the leader's role is handed on.
const LEADERSHIP_BYTES: u64 = 8 << 20;

/// Appends to the log. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Appender {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Arc<Settings>,
    time: Arc<SteadyWall>,
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

/// A request that is written, or that waits for whoever leads.
type Entered = Result<Written, oneshot::Receiver<Outcome>>;

/// What became of records that were gathered.
pub struct Gathered<E = Error> {
    /// Of those that have nothing to do with each other.
    pub each: Vec<Result<Appended, E>>,
    pub groups: Vec<Result<Vec<Appended>, E>>,
}

/// What the appender works with.
pub(crate) struct Collaborators {
    pub settings: Arc<Settings>,
    pub time: Arc<SteadyWall>,
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
        let buffer = CopyBuffer::new(with.ring.clone());
        let shared = Shared {
            settings: with.settings,
            time: with.time,
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
                buffer,
            }),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(crate) async fn append_together(&self, records: Records) -> Result<Vec<Appended>, Error> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let request = Request::new(records, Bond::Group, &self.shared.index);
        self.run(request).await?.results.into_iter().collect()
    }

    /// Appends records that have nothing to do with each other. Those that arrived together
    /// are written together.
    pub(crate) async fn append_each(&self, records: Records) -> Vec<Result<Appended, Error>> {
        let count = records.len();
        let request = Request::new(records, Bond::Neighbours, &self.shared.index);
        each_of(self.run(request).await, count)
    }

    /// Appends what was gathered, with as few writes as that takes.
    pub(crate) async fn append_gathered(&self, each: Records, groups: Vec<Records>) -> Gathered {
        let count = each.len();
        let groups = groups.into_iter().map(|group| (group, Bond::Group));
        let all = std::iter::once((each, Bond::Neighbours)).chain(groups);
        let requests = all.map(|(records, bond)| Request::new(records, bond, &self.shared.index));
        let entered = self.enter(requests.collect()).into_iter();
        let outcomes = join_all(entered.map(|entered| self.finish(entered))).await;
        let mut outcomes = outcomes.into_iter();
        let each = outcomes.next().expect("each request has an outcome");
        let group = |written: Written| written.results.into_iter().collect();
        Gathered {
            each: each_of(each, count),
            groups: outcomes.map(|outcome| outcome.and_then(group)).collect(),
        }
    }

    /// Writes down that all records of a topic so far no longer count.
    pub(crate) async fn bury(&self, topic: Topic) -> Result<(), Error> {
        let tombstones = Topic::parse(TOMBSTONES).expect("our own name keeps the rule");
        let mut message = Message::new(
            tombstones,
            0,
            Bytes::copy_from_slice(topic.as_str().as_bytes()),
        );
        message.born = Timestamp(self.shared.time.now());
        let record = Unplaced::encode(&message, message.born_host, Checksum::Record)?;
        let mut request = Request::new(record.into(), Bond::Neighbours, &self.shared.index);
        request.deletes = Some(topic);
        let mut results = self.run(request).await?.results;
        results
            .pop()
            .expect("one record gives one result")
            .map(drop)
    }

    /// Resolves once every append that was under way is written or refused, given that later
    /// ones are refused.
    pub(crate) async fn settle(&self) {
        while self.shared.queue.lock().led {
            // The role may be on its way to a task that has yet to run.
            tokio::task::yield_now().await;
        }
    }

    async fn run(&self, request: Request) -> Result<Written, Error> {
        let entered = self.enter(vec![request]).pop();
        let entered = entered.expect("each request has entered");
        self.finish(entered).await
    }

    async fn finish(&self, entered: Entered) -> Result<Written, Error> {
        let mut written = match entered {
            Ok(written) => written,
            Err(outcome) => match outcome.await {
                Ok(Outcome::Done(written)) => return Ok(written),
                Ok(Outcome::Lead(leadership)) => leadership.lead(),
                Err(_) => return Err(Error::Closed),
            },
        };
        // The leader waits for the flush by itself.
        if self.shared.settings.flush == Flush::Sync && written.end > 0 {
            if !written.waits {
                self.shared.flusher.when_durable(written.end, drop);
            } else if let Err(error) = self.shared.flusher.durable(written.end).await {
                written.fail(0, &error);
            }
        }
        Ok(written)
    }

    /// Writes the requests and what else is queued, or queues them behind the leader.
    fn enter(&self, mut requests: Vec<Request>) -> SmallVec<[Entered; 1]> {
        let mut queue = self.shared.queue.lock();
        let leads = !std::mem::replace(&mut queue.led, true);
        let waiting = requests.iter_mut().skip(usize::from(leads));
        let waiting = waiting.map(|request| {
            let (reply, outcome) = oneshot::channel();
            request.reply = Some(reply);
            Err(outcome)
        });
        if !leads {
            let entered = waiting.collect();
            queue.requests.extend(requests);
            return entered;
        }
        drop(queue);
        let waiting: SmallVec<[Entered; 1]> = waiting.collect();
        let mut entered = smallvec![Ok(self.lead(requests))];
        entered.extend(waiting);
        entered
    }

    /// Leads until nobody waits or enough is written; returns what became of the first of
    /// `requests`, to which nobody else is told the outcome.
    fn lead(&self, mut requests: Vec<Request>) -> Written {
        let watch = LeaderWatch {
            shared: &self.shared,
        };
        let mut tail = self.shared.tail.lock();
        let mut written = None;
        let mut led = 0;
        loop {
            let batch = requests.drain(..);
            led += self.shared.write(&mut tail, batch, &mut written);
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
        written.expect("every request of a batch is answered")
    }

    fn hand_over(&self, next: Option<Request>) {
        let Some(mut request) = next else { return };
        let reply = request.reply.take();
        let leadership = Leadership {
            appender: self.clone(),
            request: Some(Box::new(request)),
        };
        if let Some(reply) = reply {
            // If the sender has gone, dropping the role hands it on.
            let _ = reply.send(Outcome::Lead(leadership));
        }
    }
}

fn each_of(outcome: Result<Written, Error>, count: usize) -> Vec<Result<Appended, Error>> {
    match outcome {
        Ok(written) => written.results,
        Err(error) => (0..count).map(|_| Err(error.again())).collect(),
    }
}

impl Leadership {
    fn lead(mut self) -> Written {
        let request = self.request.take().expect("a role is taken up once");
        self.appender.lead(vec![*request])
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
