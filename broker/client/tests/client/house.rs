//! A name server and a broker in this process, over a simulated disk, network and clock.
//!
//! Time stands still unless [`House::run`] drives it: then it jumps to the next deadline
//! whenever nobody has anything left to do, so that a retry after ten seconds takes none.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::{Client, Producer, ProducerSettings, PullConsumer, Settings};
use metadata::{MemoryTables, Metadata};
use model::{ConsumerGroup, Message, QueueId, QueueOffset, StoredMessage, Topic, properties};
use runtime::{Rng, SimClock, SimDisk, SimNet, Tasks};
use server::{Broker, BrokerSettings, NameServer};
use store::MessageStore;

pub const NAME_SERVER: &str = "127.0.0.1:9876";
pub const BROKER: &str = "127.0.0.1:10911";

/// What outlives a broker: its disk, its metadata, the network, and time.
pub struct House {
    pub clock: SimClock,
    pub net: SimNet,
    rng: Rng,
    disk: SimDisk,
    tables: MemoryTables,
    names: Tasks,
    /// What clients run on.
    pub tasks: Tasks,
    broker: Option<Running>,
    lives: u64,
    expected_panics: usize,
}

struct Running {
    broker: Arc<Broker>,
    tasks: Tasks,
}

/// Runs a test against a house with everything started.
pub fn with_house(test: impl AsyncFnOnce(&mut House)) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let mut house = House::open().await;
        test(&mut house).await;
        let panics = house.tasks.panics();
        assert_eq!(panics.len(), house.expected_panics, "{panics:?}");
    });
}

impl House {
    async fn open() -> House {
        let rng = Rng::seeded(7);
        let clock = SimClock::new(1_700_000_000_000);
        let tasks = |name: &str| Tasks::simulated(clock.clock(), rng.split(name));
        let mut house = House {
            net: SimNet::new(),
            disk: SimDisk::new(rng.split("disk")),
            tables: MemoryTables::default(),
            names: tasks("names"),
            tasks: tasks("clients"),
            broker: None,
            lives: 0,
            expected_panics: 0,
            clock,
            rng,
        };
        let metadata = Metadata::over(Arc::new(MemoryTables::default())).expect("empty tables");
        let address = address(NAME_SERVER);
        NameServer::start(&house.net.net(), address, metadata.key_values, &house.names)
            .await
            .expect("the name server's address is free");
        house.start_broker().await;
        house
    }

    /// Starts the broker over what its last life left, and waits until its topics have routes.
    pub async fn start_broker(&mut self) {
        self.lives += 1;
        let name = format!("broker {}", self.lives);
        let clock = self.clock.clock();
        let tasks = Tasks::simulated(clock.clone(), self.rng.split(&name));
        let settings = store::Settings {
            segment_bytes: 4 << 20,
            refuse_percent: 101,
            clean_percent: 101,
            ..store::Settings::default()
        };
        let root = PathBuf::from("/store");
        let (store, _) =
            MessageStore::open(root, settings, self.disk.mount(), clock, tasks.clone())
                .expect("the store opens");
        let metadata = Metadata::over(Arc::new(self.tables.clone())).expect("the tables load");
        let settings = BrokerSettings {
            cluster: "DefaultCluster".to_owned(),
            name: "broker-a".to_owned(),
            id: 0,
            listen: address(BROKER),
            advertised: address(BROKER),
            name_servers: vec![NAME_SERVER.to_owned()],
            auto_create_topics: true,
            auto_create_groups: true,
            body_limit: 4 << 20,
        };
        let rng = self.rng.split(&name);
        let running = self.run(async {
            let broker = Broker::open(settings, store, metadata, &rng, tasks.clone())
                .await
                .expect("the broker opens");
            broker
                .start(&self.net.net())
                .await
                .expect("the address is free");
            Running { broker, tasks }
        });
        self.broker = Some(running.await);
        self.run(self.clock.clock().sleep(Duration::from_millis(10)))
            .await;
    }

    /// Stops the broker in good order.
    pub async fn stop_broker(&mut self) {
        let Running { broker, tasks } = self.broker.take().expect("the broker runs");
        self.run(async {
            tasks.stop(Duration::from_secs(5)).await;
            broker.close().await.expect("a sound disk");
        })
        .await;
    }

    /// Takes the process away in the middle of whatever it is doing: what the kernel has is kept,
    /// what was only in memory is not.
    pub async fn kill_broker(&mut self) {
        let Running { broker, tasks } = self.broker.take().expect("the broker runs");
        self.disk.kill();
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

    /// Everything in a topic, queue by queue, as a group of its own sees it.
    pub async fn contents(&self, consumer: &PullConsumer, topic: &Topic) -> Vec<StoredMessage> {
        let mut all = Vec::new();
        let queues = self.run(consumer.queues(topic)).await.expect("a topic");
        for queue in queues {
            let mut next = QueueOffset(0);
            loop {
                let filter = client::Filter::All;
                let pulled = consumer.pull(&queue, next, 32, &filter, Duration::ZERO);
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
