//! A store on a simulated disk and clock, for tests that look at one thing.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use model::record::{Unplaced, view};
use model::{Checksum, IndexKey, LogOffset, Message, QueueId, QueueOffset, Timestamp, Topic};
use runtime::{Rng, SimClock, SimDisk, Tasks};
use store::{Appended, Boundary, Error, MessageStore, Read, ReadLimit, Recovery, Settings};

pub struct House {
    pub store: MessageStore,
    pub report: Recovery,
    pub disk: SimDisk,
    pub clock: SimClock,
    pub settings: Settings,
    tasks: Tasks,
}

pub const ROOT: &str = "/store";

impl House {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            segment_bytes: 64 << 10,
            hot_bytes: 32 << 10,
            retention_hours: 1_000_000,
            refuse_percent: 101,
            clean_percent: 101,
            ..Settings::default()
        };
        change(&mut settings);
        let disk = SimDisk::new(Rng::seeded(1));
        let clock = SimClock::new(1_700_000_000_000);
        Self::open(disk, clock, settings).expect("an empty store opens")
    }

    pub fn open(disk: SimDisk, clock: SimClock, settings: Settings) -> Result<Self, Error> {
        let tasks = Tasks::simulated(clock.clock(), Rng::seeded(2));
        let (store, report) = MessageStore::open(
            ROOT.into(),
            settings.clone(),
            disk.mount(),
            clock.clock(),
            tasks.clone(),
        )?;
        Ok(Self {
            store,
            report,
            disk,
            clock,
            settings,
            tasks,
        })
    }

    pub async fn append(&self, message: &Message) -> Appended {
        self.store
            .append(encode(message))
            .await
            .expect("it is appended")
    }

    /// What a consumer without filters gets from queue 0.
    pub async fn read(&self, topic: &str, from: u64, limit: ReadLimit) -> Result<Read, Error> {
        let queue = queue(topic, 0);
        self.store
            .read(&queue, QueueOffset(from), limit, &store::Everything)
            .await
    }

    /// Closed in order and opened again.
    pub async fn reopened(self) -> Self {
        self.store.close().await.expect("it closes");
        self.again().await.expect("it opens again")
    }

    /// Killed and opened again.
    pub async fn killed(self) -> Self {
        self.disk.kill();
        self.again().await.expect("it opens again")
    }

    /// Opened again after whatever was done to its disk.
    pub async fn again(self) -> Result<Self, Error> {
        self.disk.disarm();
        self.tasks.stop(Duration::from_secs(1)).await;
        Self::open(self.disk, self.clock, self.settings)
    }

    /// Lets all that runs beside come to rest.
    pub async fn settled(&self) {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    }

    pub fn forget_checkpoints(&self) {
        let heads = Path::new(ROOT).join("millstream/heads");
        self.disk
            .mount()
            .remove_dir_all(&heads)
            .expect("they are removed");
    }

    pub async fn query(
        &self,
        topic: &Topic,
        key: IndexKey<'_>,
        limit: usize,
        begin: i64,
        end: i64,
    ) -> Vec<LogOffset> {
        let found = self
            .store
            .query(topic, key, limit, Timestamp(begin), Timestamp(end))
            .await;
        let found = found.expect("the query is answered");
        found
            .iter()
            .map(|bytes| view(bytes).expect("a record").log_offset)
            .collect()
    }

    pub async fn offset_at(&self, topic: &str, time: i64, boundary: Boundary) -> u64 {
        let found = self
            .store
            .offset_at(&queue(topic, 0), Timestamp(time), boundary)
            .await;
        found.expect("the search is answered").0
    }
}

pub fn queue(topic: &str, number: u32) -> QueueId {
    QueueId::new(Topic::parse(topic).expect("a topic"), number)
}

pub fn message(topic: &str, number: u32, body: &str) -> Message {
    let queue = queue(topic, number);
    Message::new(queue.topic, queue.number, body.to_owned())
}

pub fn tagged(topic: &str, number: u32, tag: &str) -> Message {
    let mut message = message(topic, number, tag);
    message.properties.set(model::properties::TAGS, tag);
    message
}

pub fn encode(message: &Message) -> Unplaced {
    let host: SocketAddr = "127.0.0.1:10911".parse().expect("an address");
    Unplaced::encode(message, host, Checksum::Record).expect("a small message")
}
