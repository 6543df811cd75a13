//! One seeded run: a store, its senders and readers, and the ends it comes to.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use model::record::{Unplaced, decode};
use model::{Checksum, LogOffset, Message, Topic};
use runtime::{Clock, Faults, Rng, SimClock, SimDisk, Tasks};
use store::{Error, Flush, MessageStore, ReadLimit, Recovery, Settings};
use tokio::task::LocalSet;

use crate::history::{Content, History, Loss, Outcome, Sent, content, id_of};
use crate::old_files::OldFiles;

const ROOT: &str = "/store";
/// Bytes behind a message's number where all messages are alike.
const ALIKE: usize = 20;

/// How a life of the store ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Close,
    Kill,
    PowerLoss,
}

pub struct Plan {
    pub name: &'static str,
    pub flush: Flush,
    pub ends: Vec<End>,
    /// Faults of the disk while the store is open.
    pub faults: Option<fn(&Rng) -> Faults>,
}

struct World {
    rng: Rng,
    disk: SimDisk,
    clock: SimClock,
    settings: Settings,
    history: Rc<RefCell<History>>,
    next_id: Rc<RefCell<u64>>,
    old: OldFiles,
    /// All messages are of one size, so that old records begin where new ones end.
    alike: bool,
}

/// Number of the messages in old records: none that is sent has it.
const OLD: u64 = 9_999_999;

pub fn simulate(seed: u64, plan: &Plan) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let rng = Rng::seeded(seed);
        let settings = Settings {
            segment_bytes: 4_096 << rng.range(0..5),
            flush: plan.flush,
            flush_interval_ms: rng.range(1..40),
            checkpoint_interval_ms: rng.range(1..100),
            hot_bytes: 1 << rng.range(8..18),
            retention_hours: if rng.chance(0.5) { 0 } else { 1_000_000 },
            refuse_percent: 101,
            clean_percent: 101,
            ..Settings::default()
        };
        let alike = rng.chance(0.5);
        let sizes: &[usize] = if alike { &[ALIKE] } else { &[0, 17, 3, 44, 29] };
        let old = sizes.iter().map(|size| message("topic-1", 0, OLD, *size));
        let world = World {
            disk: SimDisk::new(rng.split("disk")),
            clock: SimClock::new(1_700_000_000_000),
            old: OldFiles::new(settings.segment_bytes, old.collect()),
            alike,
            settings,
            history: Rc::default(),
            next_id: Rc::new(RefCell::new(1)),
            rng,
        };
        let root = Path::new(ROOT);
        world.old.lay_first(world.disk.mount().as_ref(), root);
        let mut loss = Loss::None;
        for life in 0..world.rng.range(2..6) {
            let end = plan.ends[world.rng.range(0..plan.ends.len() as u64) as usize];
            loss = world.live(life, loss, end, plan).await;
        }
        let (store, _, tasks) = world.open("last").await;
        let last = content(&store).await;
        world.history.borrow_mut().check(&last, loss);
        tasks.stop(Duration::from_secs(1)).await;
    });
}

impl World {
    async fn live(&self, life: u64, loss: Loss, end: End, plan: &Plan) -> Loss {
        let root = Path::new(ROOT);
        self.old.lay_waiting(self.disk.mount().as_ref(), root);
        let power_failed = self.recover_again_and_again(life).await;
        let loss = if power_failed { Loss::Suffix } else { loss };
        let (store, _, tasks) = self.open(&format!("life {life}")).await;
        let found = content(&store).await;
        self.history.borrow_mut().check(&found, loss);
        if let Some(faults) = plan.faults {
            self.disk.arm(faults(&self.rng));
        }
        let mut senders = Vec::new();
        for sender in 0..self.rng.range(1..5) {
            let sender = Sender {
                store: store.clone(),
                rng: self.rng.split(&format!("sender {life} {sender}")),
                history: self.history.clone(),
                next_id: self.next_id.clone(),
                number: life * 100 + sender,
                clock: self.clock.clock(),
                sync: plan.flush == Flush::Sync,
                alike: self.alike,
            };
            senders.push(tokio::task::spawn_local(sender.run()));
        }
        let reader = tokio::task::spawn_local(read_along(
            store.clone(),
            self.clock.clock(),
            self.history.clone(),
        ));
        for _ in 0..self.rng.range(1..30) {
            self.clock
                .run(Duration::from_millis(self.rng.range(0..20)))
                .await;
            if self.rng.chance(0.1) {
                self.clean(&store).await;
            }
        }
        let loss = self.end(&store, end).await;
        reader.abort();
        for sender in senders {
            sender.abort();
            if let Err(error) = sender.await
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        self.disk.disarm();
        let report = tasks.stop(Duration::from_secs(1)).await;
        assert_eq!(report.panics, []);
        if loss == Loss::None {
            // A process that dies leaves its writes to the kernel.
            drop(store);
        }
        loss
    }

    /// All but the newest segments go, in a run that keeps nothing.
    async fn clean(&self, store: &MessageStore) {
        if self.settings.retention_hours == 0 {
            let end = store.log_bounds().1.0;
            let mut history = self.history.borrow_mut();
            history.deletable = LogOffset(end - end % self.settings.segment_bytes);
        }
        // What fails has to be mended by the next start.
        let _ = store.clean().await;
    }

    async fn end(&self, store: &MessageStore, end: End) -> Loss {
        match end {
            End::Close => {
                // A failing disk may refuse: then it was no orderly stop, which is a kill.
                if store.close().await.is_err() {
                    self.disk.kill();
                }
                Loss::None
            }
            End::Kill => {
                self.disk.kill();
                Loss::None
            }
            End::PowerLoss => {
                self.disk.crash();
                Loss::Suffix
            }
        }
    }

    async fn open(&self, name: &str) -> (MessageStore, Recovery, Tasks) {
        let clock = self.clock.clock();
        let tasks = Tasks::simulated(clock.clone(), self.rng.split(name));
        let (store, report) = MessageStore::open(
            PathBuf::from(ROOT),
            self.settings.clone(),
            self.disk.mount(),
            clock,
            tasks.clone(),
        )
        .unwrap_or_else(|error| panic!("{name}: {error}"));
        (store, report, tasks)
    }

    /// A start that is cut short by another crash, and a start after a start, find the same.
    /// Returns whether the power failed before the first start was through.
    async fn recover_again_and_again(&self, life: u64) -> bool {
        let mut power_failed = false;
        let mut before: Option<(Content, u64)> = None;
        for attempt in 0..2 {
            if self.rng.chance(0.5) {
                self.disk.power_fails_after(self.rng.range(0..20));
                let clock = self.clock.clock();
                let tasks = Tasks::simulated(clock.clone(), self.rng.split("short"));
                let settings = self.settings.clone();
                let opened = MessageStore::open(
                    ROOT.into(),
                    settings,
                    self.disk.mount(),
                    clock,
                    tasks.clone(),
                );
                drop(opened);
                self.disk.crash();
                tasks.stop(Duration::from_secs(1)).await;
                power_failed |= before.is_none();
            }
            let (store, report, tasks) = self.open(&format!("recovery {life} {attempt}")).await;
            let now = (content(&store).await, report.end.0);
            self.disk.kill();
            tasks.stop(Duration::from_secs(1)).await;
            if let Some(before) = before.replace(now.clone()) {
                assert_eq!(before, now, "R1: recovering again changes nothing");
            }
        }
        power_failed
    }
}

struct Sender {
    store: MessageStore,
    rng: Rng,
    history: Rc<RefCell<History>>,
    next_id: Rc<RefCell<u64>>,
    number: u64,
    clock: Clock,
    sync: bool,
    alike: bool,
}

impl Sender {
    async fn run(self) {
        for _ in 0..self.rng.range(1..80) {
            let group = !self.alike && self.rng.chance(0.3);
            let count = if group { self.rng.range(1..6) } else { 1 };
            let number = *self.next_id.borrow();
            let messages: Vec<(u64, Message)> = (0..count).map(|_| self.message(number)).collect();
            let records: Vec<Unplaced> = messages
                .iter()
                .map(|(_, message)| encode(message))
                .collect();
            let ids: Vec<u64> = messages.iter().map(|(id, _)| *id).collect();
            let result = if group {
                self.store.append_together(records).await
            } else {
                let record = records.into_iter().next().expect("one record");
                self.store
                    .append(record)
                    .await
                    .map(|appended| vec![appended])
            };
            self.note(&ids, result);
            if self.rng.chance(0.2) {
                self.clock
                    .sleep(Duration::from_millis(self.rng.range(1..12)))
                    .await;
            }
        }
    }

    fn message(&self, group: u64) -> (u64, Message) {
        let id = {
            let mut next = self.next_id.borrow_mut();
            *next += 1;
            *next - 1
        };
        let topic = format!("topic-{}", self.rng.range(0..3));
        let number = self.rng.range(0..2) as u32;
        let padding = match self.rng.range(0..10) {
            _ if self.alike => ALIKE,
            0 => self.rng.range(600..1_500) as usize,
            _ => self.rng.range(0..60) as usize,
        };
        let message = message(&topic, number, id, padding);
        let sent = Sent {
            id,
            queue: message.queue_id(),
            group,
            sender: self.number,
            outcome: Outcome::Unknown,
        };
        self.history.borrow_mut().sent.insert(id, sent);
        (id, message)
    }

    fn note(&self, ids: &[u64], result: Result<Vec<store::Appended>, Error>) {
        let mut history = self.history.borrow_mut();
        match result {
            Ok(appended) => {
                assert_eq!(appended.len(), ids.len());
                for (id, appended) in ids.iter().zip(appended) {
                    let sent = history.sent.get_mut(id).expect("it was noted");
                    assert_eq!(sent.queue, appended.queue);
                    sent.outcome = Outcome::Acknowledged {
                        appended,
                        durable: self.sync,
                    };
                }
            }
            Err(Error::DiskFull { .. } | Error::TooLarge { .. }) => {
                for id in ids {
                    history.sent.get_mut(id).expect("it was noted").outcome = Outcome::Refused;
                }
            }
            Err(_) => {}
        }
    }
}

/// A message whose number takes as many bytes as any other's.
fn message(topic: &str, queue: u32, id: u64, padding: usize) -> Message {
    let body = format!("{id:07} {}", "x".repeat(padding));
    Message::new(Topic::parse(topic).expect("a topic"), queue, body)
}

fn encode(message: &Message) -> Unplaced {
    let host: SocketAddr = "127.0.0.1:10911".parse().expect("an address");
    Unplaced::encode(message, host, Checksum::Record).expect("a small message")
}

/// Consumes the newest messages and notes what it saw.
async fn read_along(store: MessageStore, clock: Clock, history: Rc<RefCell<History>>) {
    let limit = ReadLimit {
        messages: 8,
        bytes: 8_000,
    };
    loop {
        for queue in store.queues() {
            let Some(bounds) = store.bounds(&queue) else {
                continue;
            };
            let from = bounds.max.0.saturating_sub(4).max(bounds.min.0);
            let read = store
                .read(&queue, model::QueueOffset(from), limit, &store::Everything)
                .await;
            for bytes in read.map(|read| read.records).unwrap_or_default() {
                let stored = decode(&bytes).expect("a record");
                let id = id_of(&stored.message.body);
                history.borrow_mut().seen.insert(id, stored.log_offset);
            }
            clock.sleep(Duration::from_millis(1)).await;
        }
        clock.sleep(Duration::from_millis(1)).await;
    }
}
