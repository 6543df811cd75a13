//! Epoch commits and delayed messages through crashes, from seeds.
//!
//! A run appends on a simulated disk, loses the process or the power at any moment, opens again,
//! and goes on. `DELIVERY_SEED` repeats one seed, `DELIVERY_SEEDS` sets how many are tried.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use delivery::{
    EpochCommit, Epochs, Error, Failure, LongPolls, Publisher, QueueLocks, Retries, Schedule,
};
use metadata::{Durability, MemoryTables, Metadata};
use model::{ConsumerGroup, LogOffset, Message, QueueId, QueueOffset, Topic, properties, record};
use runtime::{Rng, SimClock, SimDisk, Tasks};
use store::{Appended, Flush, MessageStore, ReadLimit, Settings};
use tokio::task::LocalSet;

const PROGRESS: &str = "rmq_sys_SCHEDULE_PROGRESS";
const HOST: &str = "127.0.0.1:10911";

fn seeds(default: u64) -> Vec<u64> {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse().expect("a seed is a number"))
    };
    match number("DELIVERY_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("DELIVERY_SEEDS").unwrap_or(default)).collect(),
    }
}

fn for_each_seed(default: u64, run: impl AsyncFn(World)) {
    for seed in seeds(default) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            LocalSet::new().block_on(&runtime, run(World::new(seed)));
        }));
        if let Err(panic) = outcome {
            eprintln!("DELIVERY_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// What outlives a process: its disk, its metadata, and time.
struct World {
    rng: Rng,
    disk: SimDisk,
    tables: MemoryTables,
    clock: SimClock,
}

/// One process.
struct Life {
    store: MessageStore,
    metadata: Metadata,
    publisher: Publisher,
    tasks: Tasks,
}

impl World {
    fn new(seed: u64) -> World {
        let rng = Rng::seeded(seed);
        World {
            disk: SimDisk::new(rng.split("disk")),
            tables: MemoryTables::default(),
            clock: SimClock::new(1_700_000_000_000),
            rng,
        }
    }

    fn start(&self, name: &str) -> Life {
        self.start_with(name, |_| ())
    }

    fn start_with(&self, name: &str, change: impl FnOnce(&mut Settings)) -> Life {
        let clock = self.clock.clock();
        let tasks = Tasks::simulated(clock.clone(), self.rng.split(name));
        let mut settings = Settings {
            segment_bytes: 16 << 10,
            flush: Flush::Sync,
            flush_interval_ms: 5,
            checkpoint_interval_ms: 20,
            refuse_percent: 101,
            clean_percent: 101,
            retention_hours: 1_000_000,
            ..Settings::default()
        };
        change(&mut settings);
        let (store, _) = MessageStore::open(
            PathBuf::from("/store"),
            settings,
            self.disk.mount(),
            clock,
            tasks.clone(),
        )
        .unwrap_or_else(|why| panic!("{name}: {why}"));
        let metadata = Metadata::over(Arc::new(self.tables.clone())).expect("memory loads");
        let publisher = Publisher::new(store.clone(), HOST.parse().expect("an address"));
        Life {
            store,
            metadata,
            publisher,
            tasks,
        }
    }

    /// Loses the power: what was not synced may be gone, here and in the metadata.
    async fn crash(&self, life: Life) {
        self.disk.crash();
        life.tasks.stop(Duration::from_secs(1)).await;
        self.tables.crash();
    }

    /// Lets time pass until `done`, in small steps.
    async fn until(&self, mut done: impl FnMut() -> bool) {
        for _ in 0..10_000 {
            if done() {
                return;
            }
            self.clock.run(Duration::from_millis(1)).await;
        }
        panic!("it never happened");
    }
}

impl Life {
    /// Opened, told of what arrives, and not started.
    async fn schedule(&self, world: &World, polls: LongPolls) -> Arc<Schedule> {
        let opened = Schedule::open(
            self.store.clone(),
            self.publisher.clone(),
            world.clock.clock(),
            |_| QueueOffset(0),
        );
        let schedule = opened.await.expect("the schedule opens");
        self.store.tell(Arrived {
            schedule: schedule.clone(),
            _polls: polls,
        });
        schedule
    }

    async fn bodies(&self, queue: &QueueId) -> Vec<String> {
        let (mut bodies, mut next) = (Vec::new(), self.store.bounds(queue).unwrap_or_default().min);
        loop {
            let limit = ReadLimit {
                messages: 100,
                bytes: 1 << 20,
            };
            let read = self
                .store
                .read(queue, next, limit, &store::Everything)
                .await
                .expect("the queue is readable");
            for bytes in &read.records {
                let message = record::decode(bytes)
                    .expect("a stored record decodes")
                    .message;
                bodies.push(
                    String::from_utf8(message.body.to_vec()).expect("the test's bodies are text"),
                );
            }
            if read.records.is_empty() {
                return bodies;
            }
            next = read.next;
        }
    }
}

fn queue(topic: &str) -> QueueId {
    QueueId::new(Topic::parse(topic).expect("a valid topic"), 0)
}

fn commit(generation: u64, epoch: u64) -> EpochCommit {
    let output = |part: u64| Message::new(queue("out").topic, 0, format!("{epoch}/{part}"));
    EpochCommit {
        job: "job".into(),
        generation,
        shard: 0,
        epoch,
        group: Some(ConsumerGroup::parse("job").expect("a valid group")),
        offsets: vec![(queue("in"), QueueOffset(epoch * 10))],
        outputs: (0..epoch % 4).map(output).collect(),
        positions: BTreeMap::from([("file".to_owned(), format!("{epoch}"))]),
    }
}

#[test]
fn an_epoch_is_in_the_topic_once_and_whole_whatever_crashes() {
    for_each_seed(40, async |world| {
        let mut known = 0;
        for life in 0..world.rng.range(2..6) {
            let process = world.start(&format!("life {life}"));
            let opened = Epochs::open(
                process.store.clone(),
                process.publisher.clone(),
                process.metadata.clone(),
                process.tasks.clone(),
            );
            let epochs = opened.await.expect("the epochs open");
            let state = epochs.state("job", 0);
            assert!(
                state.epoch == known || state.epoch == known + 1,
                "epoch {} after {known} was acknowledged",
                state.epoch
            );
            if state.epoch > 0 {
                assert_eq!(state.positions.get("file"), Some(&state.epoch.to_string()));
                let offset = process.metadata.offsets.get("job", &queue("in"));
                assert_eq!(
                    offset,
                    Some(QueueOffset(state.epoch * 10)),
                    "offsets come with their epoch"
                );
            }
            let expected: Vec<_> = (1..=state.epoch)
                .flat_map(|epoch| (0..epoch % 4).map(move |part| format!("{epoch}/{part}")))
                .collect();
            assert_eq!(process.bodies(&queue("out")).await, expected);

            let generation = epochs.fence("job").expect("the job is ours");
            known = state.epoch;
            let worker = tokio::task::spawn_local({
                let (epochs, rng) = (epochs.clone(), world.rng.split(&format!("worker {life}")));
                async move {
                    for epoch in known + 1..=known + rng.range(1..12) {
                        // The caller does not know whether its last try arrived: it says it again.
                        for _ in 0..rng.range(1..3) {
                            if epochs.commit(commit(generation, epoch)).await.is_err() {
                                return epoch - 1;
                            }
                        }
                        if rng.chance(0.3) {
                            epochs.flush().expect("memory takes it");
                        }
                    }
                    u64::MAX
                }
            });
            for _ in 0..world.rng.range(0..20) {
                world.clock.run(Duration::from_millis(1)).await;
            }
            known = known.max(epochs.state("job", 0).epoch);
            worker.abort();
            world.crash(process).await;
        }
    });
}

#[test]
fn a_fenced_run_of_a_job_commits_nothing_more() {
    for_each_seed(1, async |world| {
        let life = world.start("life");
        let epochs = Epochs::open(
            life.store.clone(),
            life.publisher.clone(),
            life.metadata.clone(),
            life.tasks.clone(),
        )
        .await
        .expect("open");
        let old = epochs.fence("job").expect("first");
        let new = epochs.fence("job").expect("second");
        let drive = |commit| {
            let epochs = epochs.clone();
            tokio::task::spawn_local(async move { epochs.commit(commit).await })
        };
        let fenced = drive(commit(old, 1));
        world.until(|| fenced.is_finished()).await;
        assert!(
            matches!(fenced.await.expect("it ran"), Err(Error::Fenced { asked, current, .. }) if asked == old && current == new)
        );
        for (epoch, repeated) in [(3, false), (3, true)] {
            let done = drive(commit(new, epoch));
            world.until(|| done.is_finished()).await;
            assert_eq!(
                done.await.expect("it ran").expect("ours").repeated,
                repeated
            );
        }
        let earlier = drive(commit(new, 2));
        world.until(|| earlier.is_finished()).await;
        assert!(matches!(
            earlier.await.expect("it ran"),
            Err(Error::EpochOrder {
                last: 3,
                asked: 2,
                ..
            })
        ));
        assert_eq!(life.bodies(&queue("out")).await, ["3/0", "3/1", "3/2"]);
        epochs.forget("job").expect("forgotten");
        assert_eq!(epochs.state("job", 0).epoch, 0);
    });
}

#[test]
fn a_delayed_message_arrives_once_and_never_early_through_crashes() {
    for_each_seed(20, async |world| {
        let polls = LongPolls::default();
        let mut sent: BTreeMap<String, i64> = BTreeMap::new();
        let mut seen: BTreeMap<String, i64> = BTreeMap::new();
        let lives = world.rng.range(2..5);
        for life in 0..lives {
            let process = world.start(&format!("life {life}"));
            let schedule = process.schedule(&world, polls.clone()).await;
            schedule.start(&process.tasks);
            for number in 0..world.rng.range(0..8) {
                let level = world.rng.range(1..4);
                let mut message = Message::new(queue("out").topic, 0, format!("{life}.{number}"));
                message.properties.set(properties::DELAY, level);
                let publisher = process.publisher.clone();
                let send =
                    tokio::task::spawn_local(async move { publisher.publish(message).await });
                world.until(|| send.is_finished()).await;
                if send.await.expect("it ran").is_ok() {
                    let delay = [0, 1_000, 5_000, 10_000][level as usize];
                    sent.insert(format!("{life}.{number}"), world.clock.wall() + delay);
                }
            }
            let last = life + 1 == lives;
            let wait = if last {
                30_000
            } else {
                world.rng.range(0..12_000)
            };
            for _ in 0..wait / 50 {
                world.clock.run(Duration::from_millis(50)).await;
                for body in process.bodies(&queue("out")).await {
                    seen.entry(body).or_insert_with(|| world.clock.wall());
                }
            }
            let delivered = process.bodies(&queue("out")).await;
            let mut once = delivered.clone();
            once.sort();
            once.dedup();
            assert_eq!(
                once.len(),
                delivered.len(),
                "nothing arrives twice: {delivered:?}"
            );
            if last {
                let mut expected: Vec<_> = sent.keys().cloned().collect();
                expected.sort();
                assert_eq!(once, expected, "everything acknowledged arrives");
            }
            world.crash(process).await;
        }
        for (body, at) in &seen {
            if let Some(due) = sent.get(body) {
                // The store's clock is read a moment before ours.
                assert!(*at + 60 >= *due, "{body} was due at {due} and came at {at}");
            }
        }
    });
}

struct Arrived {
    schedule: Arc<Schedule>,
    _polls: LongPolls,
}

impl store::Arrivals for Arrived {
    fn arrived(&self, queue: &QueueId, _: QueueOffset, _: i64) {
        self.schedule.arrived(queue);
    }

    fn needs_below(&self, end: LogOffset) -> bool {
        self.schedule.needs_below(end)
    }
}

/// Milliseconds of the first levels.
const LEVELS: [i64; 6] = [1_000, 5_000, 10_000, 30_000, 60_000, 120_000];

const STEP: Duration = Duration::from_millis(250);
/// By how much we may see a message too late or too early.
const BLUR: i64 = 260;

/// A delayed message that was acknowledged.
struct Delayed {
    level: i64,
    at: LogOffset,
    due: i64,
    came: Option<i64>,
}

/// Delayed messages among others, in a log whose segments are deleted as soon as they may be.
#[derive(Default)]
struct Pressed {
    sent: BTreeMap<String, Delayed>,
    /// By offset in their queue: what was delivered.
    delivered: BTreeMap<u64, String>,
    /// Those whose segment was gone before they were due.
    moved: usize,
}

impl Pressed {
    async fn send(&mut self, world: &World, process: &Life, name: String) {
        let level = world.rng.range(1..LEVELS.len() as u64 + 1) as i64;
        let mut message = Message::new(queue("out").topic, 0, name.clone());
        message.properties.set(properties::DELAY, level);
        // It is not the sender's to say.
        message.properties.set("MILLSTREAM_DUE", 1);
        let sent = publish(world, process, message).await;
        let due = world.clock.wall() + LEVELS[level as usize - 1];
        let at = sent.log_offset;
        let came = None;
        let delayed = Delayed {
            level,
            at,
            due,
            came,
        };
        self.sent.insert(name, delayed);
    }

    /// Lets some time pass, and what is old go.
    async fn step(&mut self, world: &World, process: &Life) {
        world.clock.run(STEP).await;
        let out = queue("out");
        let bounds = process.store.bounds(&out).unwrap_or_default();
        let limit = ReadLimit {
            messages: 1_000,
            bytes: 1 << 20,
        };
        let read = process
            .store
            .read(&out, bounds.min, limit, &store::Everything);
        for bytes in &read.await.expect("it is read").records {
            let stored = record::decode(bytes).expect("it decodes");
            let body = String::from_utf8_lossy(&stored.message.body).into_owned();
            let delayed = self.sent.get_mut(&body).expect("it was sent");
            delayed.came.get_or_insert(world.clock.wall());
            let level = stored.message.properties.number(properties::DELAY);
            assert_eq!(level, Some(delayed.level), "as it was sent");
            let known = self.delivered.insert(stored.queue_offset.0, body.clone());
            assert!(known.is_none_or(|known| known == body));
        }
        if world.rng.chance(0.2) {
            let store = process.store.clone();
            let clean = tokio::task::spawn_local(async move { store.clean().await });
            world.until(|| clean.is_finished()).await;
            clean.await.expect("it ran").expect("it is cleaned");
            let waiting = self.sent.values().filter(|one| one.came.is_none());
            let (begin, _) = process.store.log_bounds();
            let gone = waiting.filter(|one| one.at < begin).count();
            self.moved = self.moved.max(gone);
        }
    }
}

async fn publish(world: &World, process: &Life, message: Message) -> Appended {
    let publisher = process.publisher.clone();
    let send = tokio::task::spawn_local(async move { publisher.publish(message).await });
    world.until(|| send.is_finished()).await;
    send.await.expect("it ran").expect("it is taken")
}

#[test]
fn delayed_messages_outlive_the_segments_they_lie_in() {
    for_each_seed(4, async |world| {
        let mut pressed = Pressed::default();
        let lives = world.rng.range(2..5);
        for life in 0..lives {
            let process = world.start_with(&format!("life {life}"), |settings| {
                settings.retention_hours = 0;
            });
            let schedule = process.schedule(&world, LongPolls::default()).await;
            schedule.start(&process.tasks);
            let last = life + 1 == lives;
            let steps = if last { 540 } else { world.rng.range(10..120) };
            for step in 0..steps {
                if step < 50 && world.rng.chance(0.3) {
                    let name = format!("{life}.{step}");
                    pressed.send(&world, &process, name).await;
                }
                if world.rng.chance(0.3) {
                    let filler = Message::new(queue("fill").topic, 0, vec![b'x'; 4_000]);
                    publish(&world, &process, filler).await;
                }
                pressed.step(&world, &process).await;
            }
            world.crash(process).await;
        }
        let mut delivered: Vec<_> = pressed.delivered.values().collect();
        delivered.sort();
        let sent: Vec<_> = pressed.sent.keys().collect();
        assert_eq!(delivered, sent, "each comes, and once");
        for (name, delayed) in &pressed.sent {
            let (came, due) = (delayed.came.unwrap_or_default(), delayed.due);
            assert!(
                came + BLUR >= due,
                "{name} was due at {due} and came at {came}"
            );
            // Of the last life: nothing stood still.
            if name.starts_with(&format!("{}.", lives - 1)) {
                assert!(
                    came <= due + 1_000 + BLUR,
                    "{name} was due at {due} and came at {came}"
                );
            }
        }
        assert!(
            pressed.moved > 0,
            "segments went before their messages were due"
        );
    });
}

/// The message whose properties are the longest that the broker takes.
async fn longest(world: &World, process: &Life, name: &'static str, level: i64) -> Appended {
    for size in (0..properties::TEXT_LIMIT).rev() {
        let mut message = Message::new(queue("out").topic, 0, name);
        message.properties.set(properties::DELAY, level);
        message.properties.set("long", "x".repeat(size));
        let publisher = process.publisher.clone();
        let send = tokio::task::spawn_local(async move { publisher.publish(message).await });
        world.until(|| send.is_finished()).await;
        if let Ok(appended) = send.await.expect("it ran") {
            return appended;
        }
    }
    panic!("a message with short properties is taken");
}

#[test]
fn a_message_with_no_room_to_say_when_it_is_due_stays_and_holds_up_none_before_it() {
    for_each_seed(1, async |world| {
        let process = world.start_with("life", |settings| {
            settings.segment_bytes = 128 << 10;
            settings.retention_hours = 0;
        });
        let schedule = process.schedule(&world, LongPolls::default()).await;
        schedule.start(&process.tasks);
        let mut short = Message::new(queue("out").topic, 0, "short");
        short.properties.set(properties::DELAY, 3);
        publish(&world, &process, short).await;
        world.clock.run(Duration::from_secs(5)).await;
        let at = longest(&world, &process, "long", 3).await.log_offset;
        for _ in 0..80 {
            let filler = Message::new(queue("fill").topic, 0, vec![b'x'; 4_000]);
            publish(&world, &process, filler).await;
        }
        let mut came = BTreeMap::new();
        for second in 0..15 {
            for body in process.bodies(&queue("out")).await {
                came.entry(body).or_insert(second);
            }
            let store = process.store.clone();
            let clean = tokio::task::spawn_local(async move { store.clean().await });
            world.until(|| clean.is_finished()).await;
            clean.await.expect("it ran").expect("it is cleaned");
            let gone = process.store.log_bounds().0 > at;
            assert!(!gone || came.len() == 2, "it needs its segment: {came:?}");
            world.clock.run(Duration::from_secs(1)).await;
        }
        assert!((5..7).contains(&came["short"]), "{came:?}");
        assert!((10..12).contains(&came["long"]), "{came:?}");
        process.tasks.stop(Duration::from_secs(1)).await;
    });
}

#[test]
fn delayed_messages_that_together_outgrow_a_segment_all_arrive() {
    for_each_seed(3, async |world| {
        let process = world.start("life");
        let schedule = process.schedule(&world, LongPolls::default()).await;
        // A segment has 16 KiB: the last that is taken leaves no room for anything beside it.
        let sizes = [1_000; 40].into_iter().chain((15_600..16_400).step_by(40));
        let mut sent = Vec::new();
        for (number, size) in sizes.enumerate() {
            let body = format!("{number} {}", "x".repeat(size));
            let mut message = Message::new(queue("out").topic, 0, body.clone());
            message.properties.set(properties::DELAY, 1);
            let publisher = process.publisher.clone();
            let send = tokio::task::spawn_local(async move { publisher.publish(message).await });
            world.until(|| send.is_finished()).await;
            if send.await.expect("it ran").is_ok() {
                sent.push(body);
            }
        }
        // All are due when it begins.
        world.clock.run(Duration::from_secs(5)).await;
        schedule.start(&process.tasks);
        world.clock.run(Duration::from_secs(30)).await;
        assert!((45..60).contains(&sent.len()), "{}", sent.len());
        let arrived = process.bodies(&queue("out")).await;
        let length = |bodies: &[String]| bodies.iter().map(String::len).collect::<Vec<_>>();
        assert_eq!(length(&arrived), length(&sent));
        assert!(arrived == sent, "each is what was sent");
        process.tasks.stop(Duration::from_secs(1)).await;
    });
}

#[test]
fn a_rotten_record_holds_up_no_delayed_message_but_its_own() {
    for_each_seed(1, async |world| {
        let life = |name| {
            let cold = |settings: &mut Settings| settings.hot_bytes = 0;
            world.start_with(name, cold)
        };
        let process = life("first");
        let schedule = process.schedule(&world, LongPolls::default()).await;
        schedule.start(&process.tasks);
        let send = async |process: &Life, name: &'static str, level: i64| {
            let mut message = Message::new(queue("out").topic, 0, name);
            message.properties.set(properties::DELAY, level);
            publish(&world, process, message).await.log_offset
        };
        send(&process, "early", 1).await;
        world.clock.run(Duration::from_secs(2)).await;
        let told = QueueId::new(Topic::stored(PROGRESS).expect("a topic"), 0);
        let told = process.store.entries(&told, QueueOffset(0), 1).await;
        let told = told.expect("it is read")[0].log_offset;
        let rotten = send(&process, "rotten", 2).await;
        send(&process, "late", 2).await;
        // A checkpoint tells that all of it was there.
        world.clock.run(Duration::from_secs(1)).await;
        world.crash(process).await;
        let log = PathBuf::from("/store/commitlog").join(format!("{:020}", 0));
        for at in [told, rotten] {
            let flipped = world.disk.flip_bit(&log, at.0 + 90, 3);
            flipped.expect("the segment is there");
        }
        let process = life("second");
        let schedule = process.schedule(&world, LongPolls::default()).await;
        schedule.start(&process.tasks);
        world.clock.run(Duration::from_secs(9)).await;
        let came = process.bodies(&queue("out")).await;
        assert_eq!(
            came,
            ["early", "early", "late"],
            "how far it had come is lost"
        );
        process.tasks.stop(Duration::from_secs(1)).await;
    });
}

#[test]
fn committed_offsets_that_were_flushed_survive() {
    for_each_seed(1, async |world| {
        let life = world.start("life");
        let group = ConsumerGroup::parse("g").expect("a valid group");
        life.metadata
            .offsets
            .commit(&group, &queue("in"), QueueOffset(5));
        life.metadata
            .flush(Durability::Now)
            .expect("memory takes it");
        world.crash(life).await;
        let life = world.start("again");
        assert_eq!(
            life.metadata.offsets.get("g", &queue("in")),
            Some(QueueOffset(5))
        );
    });
}

/// The copy says `WAIT=false`, as RocketMQ's does; its consumer goes past the message all the same.
#[test]
fn a_message_that_was_given_back_survives_the_loss_of_power() {
    for_each_seed(20, async |world| {
        let life = world.start("life");
        let group = ConsumerGroup::parse("g").expect("a valid group");
        let config = metadata::GroupConfig::default();
        let made = life.metadata.groups.put(group.clone(), config);
        made.expect("memory takes it");
        let retries = Retries::new(
            life.store.clone(),
            life.publisher.clone(),
            life.metadata.topics.clone(),
            life.metadata.groups.clone(),
            Arc::new(QueueLocks::new(world.clock.clock())),
        );
        let message = Message::new(queue("in").topic, 0, "failed");
        let stored = life.publisher.publish(message).await.expect("a sound disk");
        let failure = Failure {
            group,
            at: stored.log_offset,
            delay_level: 0,
            max_attempts: None,
        };
        let copy = retries.send_back(failure).await.expect("a sound disk");
        let copy = copy.expect("the group wants retries");
        world.crash(life).await;
        let life = world.start("again");
        let kept = life.store.record_at(copy.log_offset).await;
        let kept = record::decode(&kept.expect("it is there")).expect("a record");
        assert_eq!(&kept.message.body[..], b"failed");
    });
}
