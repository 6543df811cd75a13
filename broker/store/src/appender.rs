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
mod combiner;
mod request;
mod slot;
mod write;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use model::record::{GroupSeal, Unplaced};
use model::{Checksum, Message, Timestamp, Topic};
use runtime::SteadyWall;

use batch::CopyBuffer;
use combiner::{Combiner, Entered, Finished};
pub use request::Appended;
use request::{Bond, Request, Written};

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
use crate::{Error, Flush, Records, Settings};

/// Appends to the log. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Appender {
    combiner: Arc<Combiner<Writer>>,
}

/// Writes for all who wait, whoever has it do so.
struct Writer {
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
}

/// Where the log ends.
struct Tail {
    segment: Arc<Segment>,
    position: u64,
    /// Up to where everybody's records go: the rest is for what makes room on a full disk, until
    /// there is a segment to go on in.
    free_to: u64,
    /// Where the segment's fresh space begins, of which a flush is dearer than of space that was
    /// written before. Nobody looks where nobody waits for a flush.
    fresh_from: u64,
    last_stored: i64,
    buffer: CopyBuffer,
}

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
        let writer = Writer {
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
        };
        let tail = Tail {
            free_to: write::free_to(&segment),
            segment,
            position,
            // What an earlier life has filled, nobody knows.
            fresh_from: position,
            last_stored,
            buffer,
        };
        Self {
            combiner: Arc::new(Combiner::new(writer, tail)),
        }
    }

    pub(crate) async fn append_together(&self, records: Records) -> Result<Vec<Appended>, Error> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let request = Request::new(records, Bond::Group, &self.writer().index);
        self.run(request).await?.results.into_iter().collect()
    }

    /// Appends records that have nothing to do with each other. Those that arrived together
    /// are written together.
    pub(crate) async fn append_each(&self, records: Records) -> Vec<Result<Appended, Error>> {
        let count = records.len();
        let request = Request::new(records, Bond::Neighbours, &self.writer().index);
        each_of(self.run(request).await, count)
    }

    /// Appends what was gathered, with as few writes as that takes.
    pub(crate) async fn append_gathered(&self, each: Records, groups: Vec<Records>) -> Gathered {
        let count = each.len();
        let groups = groups.into_iter().map(|group| (group, Bond::Group));
        let all = std::iter::once((each, Bond::Neighbours)).chain(groups);
        let requests = all.map(|(records, bond)| Request::new(records, bond, &self.writer().index));
        let entered = self.combiner.enter(requests.collect()).into_iter();
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
        message.born = Timestamp(self.writer().time.now());
        let record = Unplaced::encode(&message, message.born_host, Checksum::Record)?;
        let mut request = Request::new(record.into(), Bond::Neighbours, &self.writer().index);
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
        while self.combiner.is_led() {
            // The role may be on its way to a task that has yet to run.
            tokio::task::yield_now().await;
        }
    }

    async fn run(&self, request: Request) -> Result<Written, Error> {
        let entered = self.combiner.enter(vec![request]).pop();
        let entered = entered.expect("each request has entered");
        self.finish(entered).await
    }

    async fn finish(&self, entered: Entered<Writer>) -> Result<Written, Error> {
        let mut written = match combiner::finish(entered).await {
            Some(Finished::Led(written)) => written,
            Some(Finished::Told(written)) => return Ok(written),
            None => return Err(Error::Closed),
        };
        // The leader waits for the flush by itself.
        if self.writer().settings.flush == Flush::Sync && written.end > 0 {
            if !written.waits {
                self.writer().flusher.when_durable(written.end, drop);
            } else if let Err(error) = self.writer().flusher.durable(written.end).await {
                written.fail(0, &error);
            }
        }
        Ok(written)
    }

    fn writer(&self) -> &Writer {
        &self.combiner.work
    }
}

fn each_of(outcome: Result<Written, Error>, count: usize) -> Vec<Result<Appended, Error>> {
    match outcome {
        Ok(written) => written.results,
        Err(error) => (0..count).map(|_| Err(error.again())).collect(),
    }
}
