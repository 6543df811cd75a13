//! A broker in memory that can be made to fail, a process around a worker that can be killed,
//! and a client for the REST API.
#![allow(dead_code, clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use connect_runtime::{
    Bounds, Broker, BrokerError, Catalogue, Commit, Flat, Parts, Pulled, Settings, ShardState,
    Target, Worker, router, serve,
};
use connect_sdk::Connector;
use connector_blackhole::BlackholeSink;
use connector_datagen::DatagenSource;
use connector_file::{FileSink, FileSource};
use model::record::Version;
use model::{
    Checksum, ConsumerGroup, LogOffset, Message, QueueId, QueueOffset, StoredMessage, Timestamp,
    Topic,
};
use parking_lot::Mutex;
use runtime::{Clock, Disk, Net, Rng, SimDisk, Tasks};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

/// What happens at a commit instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It is not carried out, and nothing is heard of it again.
    Before,
    /// It is carried out, and nothing is heard of it again.
    After,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<Topic, Vec<Vec<Message>>>,
    groups: BTreeMap<(ConsumerGroup, QueueId), QueueOffset>,
    generations: BTreeMap<String, u64>,
    shards: BTreeMap<(String, u32), ShardState>,
    records: BTreeMap<(String, String), String>,
    commits: u64,
    /// The commit at which the process is cut off.
    cut: Option<(u64, Cut)>,
    /// So many commits are answered with "unavailable", half of them carried out.
    lost_answers: u64,
    /// Nobody gets through.
    away: bool,
}

/// Keeps everything, like a broker that never loses what it has confirmed.
pub struct MemoryBroker {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    clock: Clock,
    pub was_cut: watch::Sender<bool>,
}

impl MemoryBroker {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            clock: Clock::real(),
            was_cut: watch::Sender::new(false),
        })
    }

    /// The process is cut off at this commit, counted from 0 since the broker was made.
    pub fn cut_at(&self, commit: u64, cut: Cut) {
        self.was_cut.send_replace(false);
        self.state.lock().cut = Some((commit, cut));
    }

    pub fn lose_answers(&self, count: u64) {
        self.state.lock().lost_answers = count;
    }

    pub fn go_away(&self, away: bool) {
        self.state.lock().away = away;
        self.tell();
    }

    pub fn commits(&self) -> u64 {
        self.state.lock().commits
    }

    /// The bodies of a topic, queue by queue.
    pub fn bodies(&self, topic: &str) -> Vec<String> {
        self.messages(topic)
            .iter()
            .map(|message| String::from_utf8_lossy(&message.body).into_owned())
            .collect()
    }

    pub fn messages(&self, topic: &str) -> Vec<Message> {
        let topic = Topic::parse(topic).expect("the test's topic is a name");
        self.state
            .lock()
            .topics
            .get(&topic)
            .into_iter()
            .flatten()
            .flatten()
            .cloned()
            .collect()
    }

    /// Puts bodies into a topic, dealt out over its queues.
    pub fn fill(&self, topic: &str, queues: u32, bodies: impl IntoIterator<Item = String>) {
        let topic = Topic::parse(topic).expect("the test's topic is a name");
        {
            let mut state = self.state.lock();
            let held = state
                .topics
                .entry(topic.clone())
                .or_insert_with(|| vec![Vec::new(); queues as usize]);
            for (number, body) in bodies.into_iter().enumerate() {
                let queue = number % held.len();
                held[queue].push(Message::new(topic.clone(), queue as u32, body));
            }
        }
        self.tell();
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn there(&self) -> Result<parking_lot::MutexGuard<'_, State>, BrokerError> {
        let state = self.state.lock();
        if state.away {
            Err(unavailable())
        } else {
            Ok(state)
        }
    }
}

fn unavailable() -> BrokerError {
    BrokerError::Unavailable {
        why: "127.0.0.1:10911: connection refused".into(),
    }
}

impl State {
    fn apply(&mut self, commit: Commit) -> Result<(), BrokerError> {
        let generation = self.generations.get(&commit.job).copied().unwrap_or(0);
        if commit.generation < generation {
            return Err(BrokerError::Fenced { job: commit.job });
        }
        let shard = self
            .shards
            .entry((commit.job.clone(), commit.shard))
            .or_default();
        if commit.epoch == shard.epoch {
            return Ok(());
        }
        if commit.epoch < shard.epoch {
            return Err(BrokerError::Refused {
                why: format!("epoch {} is past", commit.epoch),
            });
        }
        shard.epoch = commit.epoch;
        for (name, value) in commit.positions {
            shard.positions.insert(name, value);
        }
        for message in commit.outputs {
            let queues = self
                .topics
                .get_mut(&message.topic)
                .expect("the runtime made the topic");
            queues[message.queue as usize].push(message);
        }
        if let Some(group) = commit.group {
            for (queue, offset) in commit.offsets {
                self.groups.insert((group.clone(), queue), offset);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn fence(&self, job: &str) -> Result<u64, BrokerError> {
        let mut state = self.there()?;
        let generation = state.generations.entry(job.to_owned()).or_default();
        *generation += 1;
        Ok(*generation)
    }

    async fn commit(&self, commit: Commit) -> Result<(), BrokerError> {
        let hangs = {
            let mut state = self.there()?;
            let number = state.commits;
            state.commits += 1;
            let cut = state
                .cut
                .filter(|(at, _)| *at == number)
                .map(|(_, cut)| cut);
            let lost = state.lost_answers > 0;
            state.lost_answers = state.lost_answers.saturating_sub(1);
            if cut != Some(Cut::Before) && !(lost && number % 2 == 0) {
                state.apply(commit)?;
            }
            if lost {
                return Err(unavailable());
            }
            cut.is_some()
        };
        self.tell();
        if hangs {
            self.was_cut.send_replace(true);
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn shard(&self, job: &str, shard: u32) -> Result<ShardState, BrokerError> {
        Ok(self
            .there()?
            .shards
            .get(&(job.to_owned(), shard))
            .cloned()
            .unwrap_or_default())
    }

    async fn ensure_topic(&self, topic: &Topic, queues: u32) -> Result<u32, BrokerError> {
        let mut state = self.there()?;
        let held = state
            .topics
            .entry(topic.clone())
            .or_insert_with(|| vec![Vec::new(); queues as usize]);
        Ok(held.len() as u32)
    }

    async fn queues(&self, topic: &Topic) -> Result<Option<u32>, BrokerError> {
        Ok(self
            .there()?
            .topics
            .get(topic)
            .map(|queues| queues.len() as u32))
    }

    async fn bounds(&self, queue: &QueueId) -> Result<Bounds, BrokerError> {
        let len = self
            .there()?
            .topics
            .get(&queue.topic)
            .map_or(0, |queues| queues[queue.number as usize].len());
        Ok(Bounds {
            min: QueueOffset(0),
            max: QueueOffset(len as u64),
        })
    }

    async fn committed(
        &self,
        group: &ConsumerGroup,
        queue: &QueueId,
    ) -> Result<Option<QueueOffset>, BrokerError> {
        Ok(self
            .there()?
            .groups
            .get(&(group.clone(), queue.clone()))
            .copied())
    }

    async fn pull(
        &self,
        _: &ConsumerGroup,
        queue: &QueueId,
        from: QueueOffset,
        max: usize,
        wait: Duration,
    ) -> Result<Pulled, BrokerError> {
        let mut changed = self.changed.subscribe();
        let deadline = self.clock.now() + wait;
        loop {
            let messages: Vec<StoredMessage> = {
                let state = self.there()?;
                let held = &state.topics[&queue.topic][queue.number as usize];
                let numbered = held.iter().enumerate().skip(from.0 as usize).take(max);
                numbered
                    .map(|(offset, message)| stored(message, offset as u64))
                    .collect()
            };
            if !messages.is_empty() || self.clock.now() >= deadline {
                let next = QueueOffset(from.0 + messages.len() as u64);
                return Ok(Pulled { messages, next });
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = self.clock.sleep_until(deadline) => {}
            }
        }
    }

    async fn records(&self, namespace: &str) -> Result<BTreeMap<String, String>, BrokerError> {
        let state = self.there()?;
        let of = |((space, key), value): (&(String, String), &String)| {
            (space == namespace).then(|| (key.clone(), value.clone()))
        };
        Ok(state.records.iter().filter_map(of).collect())
    }

    async fn put_record(&self, namespace: &str, key: &str, value: &str) -> Result<(), BrokerError> {
        self.there()?
            .records
            .insert((namespace.into(), key.into()), value.into());
        Ok(())
    }

    async fn remove_record(&self, namespace: &str, key: &str) -> Result<(), BrokerError> {
        self.there()?
            .records
            .remove(&(namespace.to_owned(), key.to_owned()));
        Ok(())
    }
}

fn stored(message: &Message, offset: u64) -> StoredMessage {
    StoredMessage {
        message: message.clone(),
        queue_offset: QueueOffset(offset),
        log_offset: LogOffset(0),
        stored: Timestamp(0),
        store_host: SocketAddr::from((Ipv4Addr::LOCALHOST, 10911)),
        body_crc: 0,
        size: 0,
        version: Version::V1,
        checksum: Checksum::Body,
    }
}

/// One life of a process with a worker.
pub struct Process {
    pub worker: Worker,
    pub tasks: Tasks,
    pub net: Net,
    pub api: SocketAddr,
}

pub fn catalogue(more: Vec<Arc<dyn Connector>>) -> Catalogue {
    let ours: Vec<Arc<dyn Connector>> = vec![
        Arc::new(BlackholeSink::default()),
        Arc::new(DatagenSource),
        Arc::new(FileSink),
        Arc::new(FileSource),
    ];
    Catalogue::new(ours.into_iter().chain(more))
}

impl Process {
    pub async fn start(broker: &Arc<MemoryBroker>, disk: Arc<dyn Disk>) -> Self {
        Self::start_with(broker, disk, Vec::new()).await
    }

    pub async fn start_with(
        broker: &Arc<MemoryBroker>,
        disk: Arc<dyn Disk>,
        more: Vec<Arc<dyn Connector>>,
    ) -> Self {
        let clock = Clock::real();
        let tasks = Tasks::new(clock.clone());
        let net = Net::in_memory();
        let settings = Settings {
            worker_id: "127.0.0.1:8083".into(),
            version: "0.1.0".into(),
            commit: "abc".into(),
            cluster: "test".into(),
        };
        let parts = Parts {
            broker: broker.clone(),
            catalogue: catalogue(more),
            disk,
            clock: clock.clone(),
            net: net.clone(),
            rng: Rng::seeded(7),
            tasks: tasks.clone(),
        };
        let worker = Worker::start(settings, parts)
            .await
            .expect("the worker starts");
        let api = SocketAddr::from((Ipv4Addr::LOCALHOST, 8083));
        let listener = net.listen(api).await.expect("the port is free");
        drop(tasks.spawn(
            "rest",
            serve(listener, router(worker.clone()), clock, tasks.shutdown()),
        ));
        Self {
            worker,
            tasks,
            net,
            api,
        }
    }

    /// Ends it without a word to anybody.
    pub async fn kill(self) {
        self.tasks.stop(Duration::ZERO).await;
    }

    /// Ends it in order.
    pub async fn stop(self) {
        let report = self.tasks.stop(Duration::from_secs(30)).await;
        assert!(report.is_clean(), "{report:?}");
    }

    /// Creates a connector, or fails with everything that is wrong.
    pub async fn put(&self, name: &str, pairs: &[(&str, &str)]) {
        if let Err(error) = self
            .worker
            .put(name, flat(pairs), false, Some(Target::Running))
            .await
        {
            panic!("{name}: {error}");
        }
    }

    /// One request; the status and the body as JSON, null if there is none.
    pub async fn request(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, _, body) = self
            .raw_request(method, path, "application/json", body)
            .await;
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    pub async fn raw_request(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &str,
    ) -> (u16, String, String) {
        let mut stream = self
            .net
            .connect(&self.api.to_string())
            .await
            .expect("the API listens");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream
            .write_all(request.as_bytes())
            .await
            .expect("the request is sent");
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .await
            .expect("the answer comes");
        let answer = String::from_utf8(answer).expect("the answer is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status");
        (status, head.to_owned(), body.to_owned())
    }
}

pub fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect()
}

pub fn sim_disk(seed: u64) -> SimDisk {
    SimDisk::new(Rng::seeded(seed).split("disk"))
}

pub fn write(disk: &dyn Disk, path: &str, text: &str) {
    let path = Path::new(path);
    disk.create_dir_all(path.parent().expect("an absolute path"))
        .expect("the directory is made");
    disk.replace(path, text.as_bytes())
        .expect("the file is written");
}

/// All lines of the finished files of a directory, sorted.
pub fn lines(disk: &dyn Disk, directory: &str) -> Vec<String> {
    let directory = Path::new(directory);
    let mut lines = Vec::new();
    for entry in disk.list(directory).unwrap_or_default() {
        if !entry.name.starts_with('.') {
            let bytes = disk
                .read(&directory.join(&entry.name))
                .expect("a finished file can be read");
            lines.extend(
                String::from_utf8(bytes)
                    .expect("text")
                    .lines()
                    .map(str::to_owned),
            );
        }
    }
    lines.sort();
    lines
}

/// Waits until something holds that others bring about; gives up loudly after a minute.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never happened that {what}");
}
