//! What outlives processes: machines, their disks, the network, and time.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use client::{Client, NewTopic, Settings as ClientSettings};
use history::Event;
use metadata::{MemoryTables, Metadata};
use model::{Message, Topic};
use runtime::{Rng, SimClock, SimDisk, SimNet, Tasks};
use server::{Broker, BrokerSettings, NameServer};
use store::{MessageStore, Settings};

use crate::old_files::OldFiles;
use crate::recorder::Recorder;

pub(crate) const NAMES_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
pub(crate) const BROKER_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const NAMES: SocketAddr = SocketAddr::new(NAMES_HOST, 9876);
pub(crate) const BROKER: SocketAddr = SocketAddr::new(BROKER_HOST, 10911);

const ROOT: &str = "/store";
/// Number of the messages in old files: none that is sent has it.
const OLD: u64 = 9_999_999;

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) clock: SimClock,
    pub(crate) net: SimNet,
    pub(crate) disk: SimDisk,
    pub(crate) recorder: Recorder,
    tables: MemoryTables,
    settings: Settings,
    old: OldFiles,
    names: Option<Tasks>,
    broker: Option<Process>,
    lives: u64,
}

/// A running broker.
struct Process {
    broker: Arc<Broker>,
    tasks: Tasks,
}

/// One client on a host of its own.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) address: IpAddr,
    pub(crate) tasks: Tasks,
    settings: ClientSettings,
}

impl Host {
    /// Tries until the name server can be reached.
    pub(crate) async fn client(&self) -> Client {
        loop {
            match Client::connect(self.settings.clone()).await {
                Ok(client) => return client,
                Err(_) => self.tasks.clock().sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

/// Messages of a queue that every run has.
fn old_messages() -> Vec<Message> {
    let topic = Topic::parse("topic-0").expect("a topic");
    let body = |padding| format!("{OLD} {}", "x".repeat(padding));
    let sizes = [0, 17, 3, 44, 29].into_iter();
    sizes
        .map(|padding| Message::new(topic.clone(), 0, body(padding)))
        .collect()
}

impl World {
    pub(crate) fn new(rng: Rng, clock: SimClock, settings: Settings, recorder: Recorder) -> World {
        let disk = SimDisk::new(rng.split("disk"));
        let old = OldFiles::new(settings.segment_bytes, old_messages());
        old.lay_first(disk.mount().as_ref(), Path::new(ROOT));
        World {
            net: SimNet::new(),
            disk,
            old,
            tables: MemoryTables::default(),
            names: None,
            broker: None,
            lives: 0,
            rng,
            clock,
            settings,
            recorder,
        }
    }

    /// Tasks of a new process.
    fn tasks(&mut self, name: &str) -> (Tasks, Rng) {
        self.lives += 1;
        let rng = self.rng.split(&format!("{name} {}", self.lives));
        let clock = self.clock.clock();
        let tasks = Tasks::simulated_with_slow_jobs(clock, rng.clone(), 1..20_000);
        (tasks, rng)
    }

    pub(crate) async fn start_names(&mut self) {
        let (tasks, _) = self.tasks("names");
        let metadata = Metadata::over(Arc::new(MemoryTables::default())).expect("empty tables");
        let net = self.net.host(NAMES_HOST).net();
        NameServer::start(&net, NAMES, metadata.key_values, &tasks)
            .await
            .expect("the name server's address is free");
        self.names = Some(tasks);
    }

    pub(crate) async fn kill_names(&mut self) {
        if let Some(tasks) = self.names.take() {
            bury(tasks).await;
        }
    }

    /// Starts the broker over what its last life left. A sound disk always opens.
    pub(crate) async fn start_broker(&mut self) {
        let (tasks, rng) = self.tasks("broker");
        self.old
            .lay_waiting(self.disk.mount().as_ref(), Path::new(ROOT));
        let store = self
            .open_store(&tasks)
            .unwrap_or_else(|why| panic!("R1: the store does not open: {why}"));
        let metadata = Metadata::over(Arc::new(self.tables.clone())).expect("memory loads");
        let settings = BrokerSettings {
            cluster: "cluster".to_owned(),
            name: "broker".to_owned(),
            id: 0,
            listen: BROKER,
            advertised: BROKER,
            name_servers: vec![NAMES.to_string()],
            auto_create_topics: false,
            auto_create_groups: true,
            body_limit: 4 << 20,
            limits: Default::default(),
        };
        let broker = Broker::open(settings, store, metadata, &rng, tasks.clone());
        let broker = broker.await.expect("the broker opens");
        let net = self.net.host(BROKER_HOST).net();
        broker.start(&net).await.expect("the address is free");
        self.broker = Some(Process { broker, tasks });
    }

    fn open_store(&self, tasks: &Tasks) -> Result<MessageStore, store::Error> {
        let (root, clock) = (PathBuf::from(ROOT), self.clock.clock());
        let settings = self.settings.clone();
        MessageStore::open(root, settings, self.disk.mount(), clock, tasks.clone())
            .map(|(store, _)| store)
    }

    /// The power fails some steps into a start.
    pub(crate) async fn fail_a_start(&mut self) {
        let (tasks, rng) = self.tasks("failing");
        self.disk.power_fails_after(rng.range(0..30));
        let opened = self.open_store(&tasks);
        drop(opened);
        self.disk.crash();
        self.tables.crash();
        self.recorder.add(Event::PowerLost);
        bury(tasks).await;
    }

    pub(crate) fn broker_runs(&self) -> bool {
        self.broker.is_some()
    }

    /// Stops the broker in good order; one whose disk fails is killed.
    pub(crate) async fn stop_broker(&mut self) {
        let Some(Process { broker, tasks }) = self.broker.take() else {
            return;
        };
        self.within(tasks.stop(Duration::from_secs(5))).await;
        let closed = self.within(broker.close()).await;
        self.sever().await;
        if closed.is_err() {
            self.disk.kill();
            self.recorder.add(Event::Killed);
        } else {
            self.recorder.add(Event::Stopped);
        }
    }

    /// The process is gone in the middle of whatever it was doing.
    pub(crate) async fn kill_broker(&mut self) {
        if let Some(process) = self.broker.take() {
            self.sever().await;
            self.disk.kill();
            self.recorder.add(Event::Killed);
            bury(process.tasks).await;
        }
    }

    /// The machine loses its power and comes back.
    pub(crate) async fn lose_power(&mut self) {
        if let Some(process) = self.broker.take() {
            self.sever().await;
            self.disk.crash();
            self.tables.crash();
            self.recorder.add(Event::PowerLost);
            bury(process.tasks).await;
        }
    }

    /// Whatever has arrived is noted, and nothing arrives any more: so that an acknowledgement
    /// is never noted after the end of the life that gave it.
    async fn sever(&self) {
        self.net.refuse(BROKER, true);
        self.net.cut(BROKER);
        settle().await;
        self.net.refuse(BROKER, false);
    }

    /// Lets time pass for as long as the future needs.
    pub(crate) async fn within<T>(&self, future: impl Future<Output = T>) -> T {
        let pass = async {
            loop {
                if self.clock.run_to_next().await.is_none() {
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::select! {
            biased;
            output = future => output,
            () = pass => unreachable!("time passes for ever"),
        }
    }

    /// A new host; `number` decides its address and the order of its tasks.
    pub(crate) fn host(&mut self, name: &str, number: u8) -> Host {
        let (tasks, rng) = self.tasks(name);
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 1, number));
        let settings = ClientSettings {
            rng,
            instance: Some(format!("{name}-{}", self.lives)),
            ..ClientSettings::new(
                &NAMES.to_string(),
                self.net.host(address).net(),
                tasks.clone(),
            )
        };
        Host {
            address,
            tasks,
            settings,
        }
    }

    pub(crate) async fn make_topic(&mut self, name: &str, queues: u32) -> Topic {
        let topic = Topic::parse(name).expect("a topic's name");
        let host = self.host("admin", 250);
        let client = self.within(host.client()).await;
        let new = NewTopic::new(topic.clone(), queues);
        let admin = client.admin();
        // The broker may not have registered yet.
        self.within(async {
            while admin.create_topic(&new).await.is_err() {
                host.tasks.clock().sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
        bury(host.tasks).await;
        topic
    }
}

/// Ends a process at once, and everything it holds.
pub(crate) async fn bury(tasks: Tasks) {
    tasks.stop(Duration::ZERO).await;
    settle().await;
}

/// Lets everybody do what can be done now.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}
