//! A name server and brokers in this process, over simulated disks, a network and a clock.
//!
//! Time stands still unless [`House::run`] drives it: then it jumps to the next deadline
//! whenever nobody has anything left to do, so that a retry after ten seconds takes none.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::{
    Client, Filter, NewTopic, Producer, ProducerSettings, PullConsumer, PushConsumer, PushSettings,
    SendReceipt, Settings,
};
use metadata::{MemoryTables, Metadata};
use model::{ConsumerGroup, Message, QueueId, QueueOffset, StoredMessage, Topic, properties};
use runtime::{Rng, SimClock, SimDisk, SimNet, Tasks};
use server::{Broker, BrokerSettings, NameServer};
use store::MessageStore;

use crate::inbox::Inbox;

pub const NAME_SERVER: &str = "127.0.0.1:9876";
pub const BROKER: &str = "127.0.0.1:10911";

/// What outlives brokers: their machines, the network, and time.
pub struct House {
    pub clock: SimClock,
    pub net: SimNet,
    rng: Rng,
    names: Tasks,
    /// What clients run on.
    pub tasks: Tasks,
    machines: BTreeMap<&'static str, Machine>,
    lives: u64,
    expected_panics: usize,
}

/// What outlives one broker.
struct Machine {
    address: SocketAddr,
    disk: SimDisk,
    tables: MemoryTables,
    running: Option<(Arc<Broker>, Tasks)>,
}

/// Runs a test against a house with a name server and one broker.
pub fn with_house(test: impl AsyncFnOnce(&mut House)) {
    run_with_seed(7, test);
}

/// As [`with_house`], once for each of several orders in which things may happen.
/// `CLIENT_SEED` repeats one, `CLIENT_SEEDS` sets how many are tried.
pub fn with_houses(default: u64, test: impl AsyncFn(&mut House)) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse().expect("a seed is a number"))
    };
    let seeds = match number("CLIENT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CLIENT_SEEDS").unwrap_or(default),
    };
    for seed in seeds {
        let run = std::panic::AssertUnwindSafe(|| run_with_seed(seed, &test));
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("CLIENT_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn run_with_seed(seed: u64, test: impl AsyncFnOnce(&mut House)) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let mut house = House::open(seed).await;
        test(&mut house).await;
        let panics = house.tasks.panics();
        assert_eq!(panics.len(), house.expected_panics, "{panics:?}");
    });
}

impl House {
    async fn open(seed: u64) -> House {
        let rng = Rng::seeded(seed);
        let clock = SimClock::new(1_700_000_000_000);
        let tasks = |name: &str| Tasks::simulated(clock.clock(), rng.split(name));
        let mut house = House {
            net: SimNet::new(),
            names: tasks("names"),
            tasks: tasks("clients"),
            machines: BTreeMap::new(),
            lives: 0,
            expected_panics: 0,
            clock,
            rng,
        };
        let metadata = Metadata::over(Arc::new(MemoryTables::default())).expect("empty tables");
        let (net, values) = (house.net.net(), metadata.key_values);
        NameServer::start(&net, address(NAME_SERVER), values, &house.names)
            .await
            .expect("the name server's address is free");
        house.add_broker("broker-a", BROKER).await;
        house
    }

    /// Puts up a machine for a further broker, and starts it.
    pub async fn add_broker(&mut self, name: &'static str, listen: &str) {
        let machine = Machine {
            address: address(listen),
            disk: SimDisk::new(self.rng.split(name)),
            tables: MemoryTables::default(),
            running: None,
        };
        self.machines.insert(name, machine);
        self.start(name).await;
    }

    pub async fn start_broker(&mut self) {
        self.start("broker-a").await;
    }

    /// Starts a broker over what its last life left, and waits until its topics have routes.
    pub async fn start(&mut self, name: &'static str) {
        self.lives += 1;
        let machine = &self.machines[name];
        let clock = self.clock.clock();
        let rng = self.rng.split(&format!("life {}", self.lives));
        let tasks = Tasks::simulated(clock.clone(), rng.clone());
        let settings = store::Settings {
            segment_bytes: 4 << 20,
            refuse_percent: 101,
            clean_percent: 101,
            ..store::Settings::default()
        };
        let (root, disk) = (PathBuf::from("/store"), machine.disk.mount());
        let (store, _) = MessageStore::open(root, settings, disk, clock, tasks.clone())
            .expect("the store opens");
        let metadata = Metadata::over(Arc::new(machine.tables.clone())).expect("the tables load");
        let settings = BrokerSettings {
            cluster: "DefaultCluster".to_owned(),
            name: name.to_owned(),
            id: 0,
            listen: machine.address,
            advertised: machine.address,
            name_servers: vec![NAME_SERVER.to_owned()],
            auto_create_topics: true,
            auto_create_groups: true,
            body_limit: 4 << 20,
            limits: Default::default(),
        };
        let running = self.run(async {
            let broker = Broker::open(settings, store, metadata, &rng, tasks.clone());
            let broker = broker.await.expect("the broker opens");
            let net = self.net.net();
            broker.start(&net).await.expect("the address is free");
            (broker, tasks)
        });
        let running = running.await;
        self.machine(name).running = Some(running);
        self.pass(Duration::from_millis(10)).await;
    }

    fn machine(&mut self, name: &str) -> &mut Machine {
        self.machines.get_mut(name).expect("a broker of the house")
    }

    pub async fn stop_broker(&mut self) {
        self.stop("broker-a").await;
    }

    /// Stops a broker in good order.
    pub async fn stop(&mut self, name: &str) {
        let running = self.machine(name).running.take();
        let (broker, tasks) = running.expect("the broker runs");
        self.run(async {
            tasks.stop(Duration::from_secs(5)).await;
            broker.close().await.expect("a sound disk");
        })
        .await;
    }

    /// Takes the process away in the middle of whatever it is doing: what the kernel has is kept,
    /// what was only in memory is not.
    pub async fn kill_broker(&mut self) {
        let machine = self.machine("broker-a");
        let (broker, tasks) = machine.running.take().expect("the broker runs");
        machine.disk.kill();
        drop(broker);
        self.run(tasks.stop(Duration::from_secs(1))).await;
    }

    /// Tasks of clients that panic are a failure, except so many.
    pub fn expect_panics(&mut self, count: usize) {
        self.expected_panics = count;
    }

    /// Lets time pass for as long as the future needs.
    pub async fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let start = self.clock.now();
        let pass = async {
            loop {
                if self.clock.run_to_next().await.is_none() {
                    tokio::task::yield_now().await;
                }
                let passed = self.clock.now() - start;
                assert!(
                    passed < Duration::from_secs(7_200),
                    "it takes more than two hours"
                );
            }
        };
        tokio::select! {
            biased;
            output = future => output,
            () = pass => unreachable!("time passes for ever"),
        }
    }

    /// Lets time pass until something is true.
    pub async fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let start = self.clock.now();
        while !done() {
            self.clock.run_to_next().await;
            let passed = self.clock.now() - start;
            assert!(
                passed < Duration::from_secs(7_200),
                "it never happened: {what}"
            );
        }
    }

    pub async fn pass(&self, duration: Duration) {
        self.run(self.clock.clock().sleep(duration)).await;
    }

    pub async fn client(&self, instance: &str) -> Client {
        self.run(Client::connect(self.settings(instance)))
            .await
            .expect("the name server is there")
    }

    pub fn settings(&self, instance: &str) -> Settings {
        Settings {
            rng: self.rng.split(instance),
            instance: Some(instance.to_owned()),
            ..Settings::new(NAME_SERVER, self.net.net(), self.tasks.clone())
        }
    }

    pub async fn producer(&self) -> Producer {
        self.client("producer")
            .await
            .producer(ProducerSettings::default())
    }

    /// A topic of so many queues on each broker.
    pub async fn make_topic(&self, name: &str, queues: u32) -> Topic {
        let topic = topic(name);
        let admin = self.client("admin").await.admin();
        let new = NewTopic::new(topic.clone(), queues);
        let made = self.run(admin.create_topic(&new)).await;
        made.expect("the brokers make it");
        topic
    }

    /// Sends a message that has to be acknowledged.
    pub async fn send(&self, producer: &Producer, message: Message) -> SendReceipt {
        let receipt = self.run(producer.send(message)).await;
        receipt.expect("acknowledged")
    }

    /// Sends a message for each number, its text the body.
    pub async fn send_numbers(&self, producer: &Producer, topic: &Topic, numbers: Range<u32>) {
        for number in numbers {
            self.send(producer, message(topic, number.to_string()))
                .await;
        }
    }

    /// A consumer that brings a topic's messages to the inbox.
    pub async fn consume(
        &self,
        client: &str,
        settings: PushSettings,
        topic: &Topic,
        inbox: &Inbox,
    ) -> PushConsumer {
        self.consume_filtered(client, settings, topic, Filter::All, inbox)
            .await
    }

    /// As [`consume`](Self::consume), for those messages that the filter lets through.
    pub async fn consume_filtered(
        &self,
        client: &str,
        settings: PushSettings,
        topic: &Topic,
        filter: Filter,
        inbox: &Inbox,
    ) -> PushConsumer {
        let client = self.client(client).await;
        let consumer = client
            .push_consumer(settings)
            .subscribe(topic.clone(), filter);
        self.run(consumer.start(inbox.clone()))
            .await
            .expect("started")
    }

    /// Everything in a topic, queue by queue, as a group of its own sees it.
    pub async fn contents(&self, consumer: &PullConsumer, topic: &Topic) -> Vec<StoredMessage> {
        let mut all = Vec::new();
        let queues = self.run(consumer.queues(topic)).await.expect("a topic");
        for queue in queues {
            let mut next = QueueOffset(0);
            loop {
                let pulled = consumer.pull(&queue, next, 32, &Filter::All, Duration::ZERO);
                let pulled = self.run(pulled).await.expect("a queue that can be read");
                if pulled.next == next {
                    break;
                }
                next = pulled.next;
                all.extend(pulled.messages);
            }
        }
        all
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("a topic's name")
}

pub fn group(name: &str) -> ConsumerGroup {
    ConsumerGroup::parse(name).expect("a group's name")
}

pub fn message(topic: &Topic, body: impl Into<String>) -> Message {
    Message::new(topic.clone(), 0, body.into())
}

pub fn tagged(topic: &Topic, tag: &str, body: impl Into<String>) -> Message {
    let mut message = message(topic, body);
    message.properties.set(properties::TAGS, tag);
    message
}

pub fn queue(topic: &Topic, number: u32) -> QueueId {
    QueueId::new(topic.clone(), number)
}

pub fn text(message: &StoredMessage) -> String {
    String::from_utf8_lossy(&message.message.body).into_owned()
}

/// How often each text is there.
pub fn counted<T: Ord>(texts: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for text in texts {
        *counts.entry(text).or_default() += 1;
    }
    counts
}
