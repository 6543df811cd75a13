//! A broker in memory that can be made to fail.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use connect_runtime::{Bounds, Broker, BrokerError, Commit, Pulled, ShardState};
use model::record::Version;
use model::{
    Checksum, ConsumerGroup, LogOffset, Message, QueueId, QueueOffset, StoredMessage, Timestamp,
    Topic,
};
use parking_lot::Mutex;
use runtime::Clock;
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

    /// Gives a topic more queues.
    pub fn grow(&self, topic: &str, queues: usize) {
        let topic = Topic::parse(topic).expect("the test's topic is a name");
        let mut state = self.state.lock();
        let held = state.topics.get_mut(&topic).expect("the topic is there");
        held.resize(queues, Vec::new());
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
