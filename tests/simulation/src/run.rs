//! One run from its seed to its verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use history::{Event, Promise, Verdict};
use model::{QueueId, Topic};
use runtime::{Rng, SimClock};
use store::Flush;

use crate::consumers::{Member, READING, Reader, SHARING, ask_progress, drain};
use crate::nemesis::Nemesis;
use crate::plan::{Plan, Swarm, store_settings};
use crate::producers::Sender;
use crate::recorder::Recorder;
use crate::world::{Host, World};

/// Simulated time within which everything acknowledged is delivered once all has healed.
const LIVENESS: Duration = Duration::from_secs(1_200);
const STEP: Duration = Duration::from_secs(5);
/// Milliseconds that a flush may begin late.
const LATE: u64 = 100;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    /// Everything that was observed, folded into one number: equal for equal seeds.
    pub trace: u64,
}

/// Runs one seed. Panics if the house does.
pub fn run(seed: u64, plan: &Plan) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(live(seed, plan))
}

struct Cast {
    world: World,
    swarm: Swarm,
    topics: Vec<Topic>,
    queues: Vec<QueueId>,
    senders: Vec<Host>,
    readers: Vec<Host>,
    members: Vec<Host>,
}

async fn live(seed: u64, plan: &Plan) -> Outcome {
    let rng = Rng::seeded(seed);
    let swarm = match plan.intact {
        true => Swarm::default(),
        false => Swarm::draw(&rng),
    };
    let clock = SimClock::new(1_700_000_000_000);
    let settings = store_settings(&rng, plan.flush);
    let promise = match plan.flush {
        Flush::Sync => Promise::SurvivesPowerLoss,
        Flush::Async => Promise::SurvivesKills {
            flush_ms: settings.flush_interval_ms + LATE,
        },
    };
    if std::env::var_os("SIMULATION_TRACE").is_some() {
        eprintln!("{swarm:?} {settings:?}");
    }
    let recorder = Recorder::new(clock.clone(), promise);
    let world = World::new(rng, clock, settings, recorder);
    let mut cast = Cast::raise(world, swarm).await;
    cast.act(plan).await;
    cast.heal().await;
    cast.judge().await
}

impl Cast {
    async fn raise(mut world: World, swarm: Swarm) -> Cast {
        if world.rng.chance(0.8) {
            let most = 1 << world.rng.range(6..16);
            let (clock, rng) = (world.clock.clock(), world.rng.split("latency"));
            world.net.delay(20..most, clock, rng);
        }
        world.start_names().await;
        world.start_broker().await;
        let mut topics = Vec::new();
        let mut queues = Vec::new();
        for number in 0..world.rng.range(1..3) {
            let width = world.rng.range(1..4) as u32;
            let topic = world.make_topic(&format!("topic-{number}"), width).await;
            queues.extend((0..width).map(|queue| QueueId::new(topic.clone(), queue)));
            topics.push(topic);
        }
        Cast {
            world,
            swarm,
            topics,
            queues,
            senders: Vec::new(),
            readers: Vec::new(),
            members: Vec::new(),
        }
    }

    /// The first phase: everybody works while things go wrong.
    async fn act(&mut self, plan: &Plan) {
        let sending = self.start_senders();
        self.start_readers();
        let clumsy = if plan.intact { 0.0 } else { 0.05 };
        self.add_member(clumsy).await;
        self.add_member(clumsy).await;
        let nemesis = Nemesis::new(self.world.rng.split("nemesis"), &self.swarm, plan.flush);
        let rng = self.world.rng.split("pace");
        for _ in 0..rng.range(3..12) {
            let most = if rng.chance(0.5) { 200 } else { 2_000 };
            let pause = Duration::from_millis(rng.range(1..most));
            self.world.clock.run(pause).await;
            self.check();
            nemesis.strike(&mut self.world, &self.senders).await;
            if self.swarm.members && rng.chance(0.3) {
                self.replace_member(&rng, clumsy).await;
            }
        }
        let mut waited = 0;
        while sending.load(Ordering::Relaxed) > 0 {
            self.world.clock.run(STEP).await;
            waited += 1;
            assert!(waited < 200, "liveness: senders do not come to an end");
        }
    }

    /// Starts them; tells how many are at work.
    fn start_senders(&mut self) -> Arc<AtomicU64> {
        let count = self.world.rng.range(1..4);
        let sending = Arc::new(AtomicU64::new(count));
        for number in 0..count {
            let host = self.world.host("sender", 10 + number as u8);
            let sender = Sender {
                number: number as u32,
                topics: self.topics.clone(),
                recorder: self.world.recorder.clone(),
                rng: self.world.rng.split(&format!("sender {number}")),
                clock: self.world.clock.clock(),
                messages: self.world.rng.range(20..100),
            };
            let tasks = host.tasks.clone();
            self.senders.push(host.clone());
            let left = sending.clone();
            tasks.spawn("send", async move {
                sender.run(host).await;
                left.fetch_sub(1, Ordering::Relaxed);
            });
        }
        sending
    }

    fn start_readers(&mut self) {
        for (number, queue) in self.queues.clone().into_iter().enumerate() {
            let host = self.world.host("reader", 50 + number as u8);
            let reader = Reader {
                number: number as u32,
                queue,
                recorder: self.world.recorder.clone(),
                rng: self.world.rng.split(&format!("reader {number}")),
            };
            let tasks = host.tasks.clone();
            self.readers.push(host.clone());
            tasks.spawn("read", reader.run(host));
        }
    }

    async fn add_member(&mut self, clumsy: f64) {
        let number = self.members.len() as u8;
        let host = self.world.host("member", 100 + number);
        let member = Member {
            topics: self.topics.clone(),
            recorder: self.world.recorder.clone(),
            rng: self.world.rng.split(&format!("member {number}")),
            clumsy,
        };
        let (tasks, own) = (host.tasks.clone(), host.clone());
        self.members.push(host);
        let shutdown = tasks.shutdown();
        tasks.spawn("consume", async move {
            let consumer = member.start(&own).await;
            shutdown.requested().await;
            drop(consumer);
        });
    }

    /// A member of the group dies, or leaves, and another comes.
    async fn replace_member(&mut self, rng: &Rng, clumsy: f64) {
        let chosen = rng.range(0..self.members.len() as u64) as usize;
        let limit = if rng.chance(0.5) { 0 } else { 1 };
        let stop = self.members[chosen].tasks.clone();
        let stop = stop.stop(Duration::from_secs(limit));
        self.world.within(stop).await;
        self.add_member(clumsy).await;
    }

    /// The second phase: nothing goes wrong any more.
    async fn heal(&mut self) {
        self.world.disk.disarm();
        self.world.net.refuse(crate::world::BROKER, false);
        if !self.world.broker_runs() {
            self.world.start_broker().await;
        }
        self.add_member(0.0).await;
        self.world.clock.run(STEP).await;
        self.check();
    }

    async fn judge(mut self) -> Outcome {
        let host = self.world.host("judge", 251);
        let client = self.world.within(host.client()).await;
        let recorder = self.world.recorder.clone();
        for topic in self.topics.clone() {
            let mut waited = Duration::ZERO;
            while self.world.within(client.route(&topic)).await.is_err() {
                assert!(waited < LIVENESS, "liveness: {topic} has no route");
                self.world.clock.run(STEP).await;
                waited += STEP;
            }
        }
        for queue in self.queues.clone() {
            self.world.within(drain(&client, &queue, &recorder)).await;
        }
        let mut waited = Duration::ZERO;
        while let Some((group, what)) = [SHARING, READING]
            .into_iter()
            .find_map(|group| Some((group, recorder.unfinished(group)?)))
        {
            assert!(waited < LIVENESS, "D10: group {group} never got {what}");
            self.world.clock.run(STEP).await;
            waited += STEP;
        }
        for queue in &self.queues {
            for group in [SHARING, READING] {
                let queue = recorder.queue(queue);
                recorder.add(Event::Caught { group, queue });
            }
            self.world
                .within(ask_progress(&client, queue, &recorder))
                .await;
        }
        self.check();
        let (history, trace) = recorder.take();
        Outcome {
            verdict: history.finish(),
            trace,
        }
    }

    fn check(&self) {
        let violations = self.world.recorder.violations();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}
