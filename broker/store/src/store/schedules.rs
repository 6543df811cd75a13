//! A whole store whose senders, readers, retention and end meet in orders that shuttle draws.
//!
//! The store's own tasks and blocking jobs take turns on one thread, as in any simulated run, and
//! are interrupted at every lock and atomic by those who use the store. A model in which somebody
//! waits for ever fails by itself: shuttle finds nobody who could go on, or no end.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use model::Message;
use model::record::decode;
use runtime::{Rng, SimClock, SimDisk};
use shuttle::future::block_on;
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config, Runner};

use super::*;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Schedules tried of each kind; `SHUTTLE_SCHEDULES` tries more.
const SCHEDULES: usize = 120;
const SEED: u64 = 1;
/// Changes of priority in a schedule that mostly lets one thread run.
const CHANGES: usize = 4;
const STACK_BYTES: usize = 1 << 20;

const SENDERS: u64 = 3;
const MESSAGES: u64 = 8;
/// A segment holds three or four messages.
const SEGMENT_BYTES: u64 = 4_096;
const BODY_BYTES: usize = 1_000;

/// Runs in as many orders by chance, and in as many that mostly let one thread run.
fn explore(run: fn()) {
    let count = std::env::var("SHUTTLE_SCHEDULES").ok();
    let count = count.and_then(|count| count.parse().ok());
    let count = count.unwrap_or(SCHEDULES);
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.silence_warnings = true;
    let random = RandomScheduler::new_from_seed(SEED, count);
    Runner::new(random, config.clone()).run(run);
    let mostly_one = PctScheduler::new_from_seed(SEED, CHANGES, count);
    Runner::new(mostly_one, config).run(run);
}

/// Waits for a future; it has nothing to do until somebody else has had a turn.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    block_on(poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            thread::yield_now();
        }
        polled
    }))
}

/// The thread on which the store's tasks and jobs take turns.
struct Machine {
    tasks: Tasks,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Machine {
    fn start(clock: Clock, rng: Rng) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().expect("a runtime");
        let tasks = {
            let _entered = runtime.enter();
            Tasks::simulated(clock, rng)
        };
        let over = Arc::new(AtomicBool::new(false));
        let seen = over.clone();
        let thread = thread::spawn(move || {
            while !seen.load(Ordering::Acquire) {
                // Never idle, or it would hold up all threads that shuttle runs.
                runtime.block_on(tokio::task::yield_now());
                thread::yield_now();
            }
        });
        Self {
            tasks,
            over,
            thread,
        }
    }

    fn stop(self) {
        let report = wait(self.tasks.stop(Duration::from_secs(1)));
        assert_eq!((report.panics, report.unfinished), (vec![], vec![]));
        self.over.store(true, Ordering::Release);
        self.thread.join().expect("the tasks come to their end");
    }
}

/// A disk, and how stores on it are opened.
struct World {
    disk: SimDisk,
    clock: SimClock,
    rng: Rng,
    settings: Settings,
}

impl World {
    fn new(flush: Flush) -> Self {
        let rng = Rng::seeded(thread_rng().r#gen());
        let settings = Settings {
            segment_bytes: SEGMENT_BYTES,
            flush,
            hot_bytes: BODY_BYTES,
            retention_hours: 0,
            refuse_percent: 101,
            clean_percent: 101,
            ..Settings::default()
        };
        Self {
            disk: SimDisk::new(rng.split("disk")),
            clock: SimClock::new(1_700_000_000_000),
            rng,
            settings,
        }
    }

    fn open(&self, name: &str) -> (MessageStore, Machine) {
        let clock = self.clock.clock();
        let machine = Machine::start(clock.clone(), self.rng.split(name));
        let settings = self.settings.clone();
        let (root, disk) = ("/store".into(), self.disk.mount());
        let opened = MessageStore::open(root, settings, disk, clock, machine.tasks.clone());
        (opened.expect("the store opens").0, machine)
    }
}

/// A message that was acknowledged.
#[derive(Clone)]
struct Kept {
    body: Bytes,
    appended: Appended,
}

/// Sends messages until all are acknowledged or the store is closed.
fn send(store: &MessageStore, sender: u64, acknowledged: &AtomicU64) -> Vec<Kept> {
    let mut kept: Vec<Kept> = Vec::new();
    for number in 0..MESSAGES {
        let mut body = format!("{sender} {number} ").into_bytes();
        body.resize(BODY_BYTES, b'x');
        let topic = Topic::parse("topic").expect("a topic");
        let message = Message::new(topic, 0, body);
        let host: SocketAddr = "127.0.0.1:10911".parse().expect("an address");
        let record = Unplaced::encode(&message, host, Checksum::Record).expect("it is small");
        match wait(store.append(record)) {
            Ok(appended) => {
                let body = message.body.clone();
                kept.push(Kept { body, appended });
            }
            Err(Error::Closed) => break,
            Err(error) => panic!("an append fails: {error}"),
        }
        acknowledged.fetch_add(1, Ordering::AcqRel);
        read(store, &kept[thread_rng().gen_range(0..kept.len())]);
    }
    kept
}

/// What was acknowledged reads as it was sent, or is gone with its segment.
fn read(store: &MessageStore, message: &Kept) {
    let at = message.appended.log_offset;
    match wait(store.record_at(at)) {
        Ok(record) => {
            let record = decode(&record).expect("a whole record");
            assert_eq!(record.message.body, message.body, "at {at}");
        }
        Err(error) => assert!(at < store.log_bounds().0, "{error} at {at}"),
    }
}

/// Deletes what may go, again and again, while the clock moves on.
fn clean(store: &MessageStore, clock: &SimClock, over: &AtomicBool) {
    while !over.load(Ordering::Acquire) {
        clock.advance(Duration::from_millis(1));
        store.shared.clean(true).expect("it cleans up");
        for _ in 0..thread_rng().gen_range(0..40) {
            thread::yield_now();
        }
    }
}

/// Nothing that was acknowledged is missing, and no segment was given out twice.
fn check(store: &MessageStore, kept: &[Kept]) {
    let segments = store.shared.segments.all();
    for (before, after) in segments.iter().zip(&segments[1..]) {
        assert_eq!(before.end(), after.start, "the log has no gap");
    }
    let min = store.log_bounds().0;
    for message in kept {
        let at = message.appended.log_offset;
        if at >= min {
            let record = wait(store.record_at(at)).expect("it is there");
            let record = decode(&record).expect("a whole record");
            assert_eq!(record.message.body, message.body, "at {at}");
        }
    }
    let mut offsets: Vec<u64> = kept.iter().map(|one| one.appended.queue_offset.0).collect();
    offsets.sort_unstable();
    let all: Vec<u64> = (0..offsets.len() as u64).collect();
    assert_eq!(offsets, all, "each offset is given out once");
}

/// Senders over small segments while the oldest go and come back, then the end and a new start.
fn live(flush: Flush, closes_early: bool) {
    let world = World::new(flush);
    let (store, machine) = world.open("first");
    let (acknowledged, over) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (store, acknowledged) = (store.clone(), acknowledged.clone());
            thread::spawn(move || send(&store, sender, &acknowledged))
        })
        .collect();
    let cleaner = {
        let (store, clock, over) = (store.clone(), world.clock.clone(), over.clone());
        thread::spawn(move || clean(&store, &clock, &over))
    };
    let enough = match closes_early {
        true => thread_rng().gen_range(0..SENDERS * MESSAGES),
        false => SENDERS * MESSAGES,
    };
    while acknowledged.load(Ordering::Acquire) < enough {
        thread::yield_now();
    }
    // The owner of a store stops whoever cleans before it closes, but nobody who sends.
    over.store(true, Ordering::Release);
    cleaner.join().expect("the cleaner comes to its end");
    wait(store.close()).expect("it closes");
    let kept = senders.into_iter();
    let kept = kept.flat_map(|sender| sender.join().expect("a sender comes to its end"));
    let kept: Vec<Kept> = kept.collect();
    assert!(kept.len() as u64 >= enough);
    check(&store, &kept);
    machine.stop();
    drop(store);
    let (store, machine) = world.open("second");
    check(&store, &kept);
    wait(store.close()).expect("it closes again");
    machine.stop();
}

#[test]
fn nothing_acknowledged_is_missing_when_segments_come_back() {
    explore(|| live(Flush::Async, false));
}

#[test]
fn nothing_acknowledged_is_missing_when_senders_wait_for_the_flush() {
    explore(|| live(Flush::Sync, false));
}

#[test]
fn a_store_closes_while_messages_are_sent() {
    explore(|| live(Flush::Async, true));
}

#[test]
fn a_store_closes_while_senders_wait_for_the_flush() {
    explore(|| live(Flush::Sync, true));
}
