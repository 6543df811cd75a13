//! Epoch commits: output records and input positions that appear together or not at all.
//!
//! ```text
//! log   … │ group: output · output · … · epoch record │ …      one append, whole or absent
//!                                            │
//!          committed offsets ◄── applied ────┤   each with the log offset it came from
//!          table (job, shard) ◄── epoch ─────┘
//! ```
//! The epoch record is the truth. The table and the offsets are caches of it: at a start, the
//! records behind the last kept cursor are applied again, and applying twice changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use metadata::{Durability, KeyValues, Metadata};
use model::{ConsumerGroup, LogOffset, Message, QueueId, QueueOffset, Topic, record};
use parking_lot::Mutex;
use runtime::Tasks;
use serde::{Deserialize, Serialize};
use store::{Appended, MessageStore};

use crate::Error;
use crate::publish::Publisher;

const TOPIC: &str = "rmq_sys_EPOCH";
const GENERATIONS: &str = "JOB_GENERATION";
const EPOCHS: &str = "JOB_EPOCH";
/// Job to the generation below which its epochs no longer count.
const FORGOTTEN: &str = "JOB_FORGOTTEN";
const CURSOR: (&str, &str) = ("JOB_EPOCH_CURSOR", "queue-offset");

/// One epoch of one shard of a job.
#[derive(Clone, Debug)]
pub struct EpochCommit {
    pub job: String,
    /// From [`Epochs::fence`]: an older one is refused.
    pub generation: u64,
    pub shard: u32,
    /// Larger than the last committed one; the last one again is answered as a repetition.
    pub epoch: u64,
    /// Whose committed offsets `offsets` are.
    pub group: Option<ConsumerGroup>,
    pub offsets: Vec<(QueueId, QueueOffset)>,
    pub outputs: Vec<Message>,
    /// Positions in outside systems, by name, kept with the epoch; an empty value forgets one.
    pub positions: BTreeMap<String, String>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochCommitted {
    /// Where the outputs went, in order; empty for a repetition.
    pub appended: Vec<Appended>,
    /// The same epoch had been committed before; nothing was written.
    pub repeated: bool,
}

/// What is known of a shard: its last epoch and the positions it holds.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct ShardState {
    pub epoch: u64,
    pub positions: BTreeMap<String, String>,
}

/// The body of an epoch record.
#[derive(Debug, Deserialize, Serialize)]
struct EpochRecord {
    job: String,
    shard: u32,
    generation: u64,
    epoch: u64,
    group: Option<String>,
    offsets: Vec<(String, u32, u64)>,
    positions: BTreeMap<String, String>,
}

/// Commits epochs, one at a time for each shard.
pub struct Epochs {
    store: MessageStore,
    publisher: Publisher,
    metadata: Metadata,
    tasks: Tasks,
    /// Guards a plain map; released while an append is under way.
    shards: Mutex<HashMap<(String, u32), Shard>>,
}

#[derive(Default)]
struct Shard {
    state: ShardState,
    in_flight: bool,
    changed: bool,
}

impl Epochs {
    /// Reads what the log holds beyond the kept table, and applies it.
    pub async fn open(
        store: MessageStore,
        publisher: Publisher,
        metadata: Metadata,
        tasks: Tasks,
    ) -> Result<Arc<Epochs>, Error> {
        let shards = Mutex::new(load(&metadata.key_values));
        let epochs = Epochs {
            store,
            publisher,
            metadata,
            tasks,
            shards,
        };
        epochs.replay().await?;
        Ok(Arc::new(epochs))
    }

    async fn replay(&self) -> Result<(), Error> {
        let queue = queue();
        let kept = self
            .metadata
            .key_values
            .get(CURSOR.0, CURSOR.1)
            .and_then(|cursor| cursor.parse().ok())
            .unwrap_or(0);
        let Some(bounds) = self.store.bounds(&queue) else {
            return Ok(());
        };
        let mut next = QueueOffset(kept).max(bounds.min);
        while next < bounds.max {
            let entries = self.store.entries(&queue, next, 1_000).await?;
            let Some(last) = entries.last() else { break };
            next = last.next();
            for entry in &entries {
                let bytes = self.store.record_at(entry.log_offset).await?;
                self.apply(&bytes, entry.log_offset);
            }
        }
        self.flush()
    }

    fn apply(&self, bytes: &Bytes, at: LogOffset) {
        let body = record::decode(bytes).map(|stored| stored.message.body);
        let parsed = body.map_err(|why| why.to_string()).and_then(|body| {
            serde_json::from_slice::<EpochRecord>(&body).map_err(|why| why.to_string())
        });
        let record = match parsed {
            Ok(record) => record,
            Err(why) => {
                tracing::error!(%at, %why, "an epoch record cannot be read and is set aside");
                return;
            }
        };
        if record.generation < self.number(FORGOTTEN, &record.job) {
            return;
        }
        self.apply_offsets(&record, at);
        let mut shards = self.shards.lock();
        let shard = shards.entry((record.job, record.shard)).or_default();
        if record.epoch > shard.state.epoch {
            shard.advance(record.epoch, record.positions);
        }
    }

    fn apply_offsets(&self, record: &EpochRecord, at: LogOffset) {
        let Some(group) = record
            .group
            .as_deref()
            .and_then(|group| ConsumerGroup::stored(group).ok())
        else {
            return;
        };
        let queues = record.offsets.iter().filter_map(|(topic, number, offset)| {
            Some((
                QueueId::new(Topic::stored(topic).ok()?, *number),
                QueueOffset(*offset),
            ))
        });
        self.metadata
            .offsets
            .apply(&group, &queues.collect::<Vec<_>>(), at);
    }

    /// Takes the job over: commits of every earlier generation are refused from now on. Durable
    /// when it returns.
    pub fn fence(&self, job: &str) -> Result<u64, Error> {
        // Held over the write, so that two callers never get one generation.
        let _shards = self.shards.lock();
        self.next_generation(job)
    }

    fn next_generation(&self, job: &str) -> Result<u64, Error> {
        let generation = self.number(GENERATIONS, job) + 1;
        self.metadata
            .key_values
            .put(GENERATIONS, job, &generation.to_string())?;
        Ok(generation)
    }

    fn number(&self, namespace: &str, key: &str) -> u64 {
        self.metadata
            .key_values
            .get(namespace, key)
            .and_then(|number| number.parse().ok())
            .unwrap_or(0)
    }

    /// The last epoch of a shard with the positions it holds.
    pub fn state(&self, job: &str, shard: u32) -> ShardState {
        self.shards
            .lock()
            .get(&(job.to_owned(), shard))
            .map(|shard| shard.state.clone())
            .unwrap_or_default()
    }

    /// Forgets a job; a later one of the same name starts over. Durable when it returns.
    pub fn forget(&self, job: &str) -> Result<(), Error> {
        let mut shards = self.shards.lock();
        // Its records stay in the log: a replay must not bring them back.
        let generation = self.next_generation(job)?;
        self.metadata
            .key_values
            .put(FORGOTTEN, job, &generation.to_string())?;
        shards.retain(|(own, _), _| own != job);
        let kept = self
            .metadata
            .key_values
            .namespace(EPOCHS)
            .unwrap_or_default();
        for key in kept
            .keys()
            .filter(|key| key.rsplit_once('/').is_some_and(|(own, _)| own == job))
        {
            self.metadata.key_values.remove(EPOCHS, key)?;
        }
        Ok(())
    }

    /// Commits one epoch: all of it is visible when this returns, or none of it ever.
    ///
    /// The last epoch again is answered without writing. Fails with [`Error::Fenced`] when the
    /// job has been taken over, with [`Error::EpochOrder`] for an epoch before the last.
    ///
    /// Runs to its end even if the caller goes away: an epoch that is half known would be written
    /// twice by the caller's successor.
    pub async fn commit(self: &Arc<Self>, commit: EpochCommit) -> Result<EpochCommitted, Error> {
        let epochs = self.clone();
        let whole = self.tasks.spawn(
            "epoch commit",
            async move { epochs.commit_whole(commit).await },
        );
        whole
            .await
            .map_err(|_| Error::Store(store::Error::Closed))?
    }

    async fn commit_whole(&self, commit: EpochCommit) -> Result<EpochCommitted, Error> {
        let key = (commit.job.clone(), commit.shard);
        if self.enter(&key, &commit)? {
            return Ok(EpochCommitted {
                appended: Vec::new(),
                repeated: true,
            });
        }
        // Cleared whatever happens: a caller that went away must not block its successor.
        let flight = Flight {
            epochs: self,
            key: &key,
        };
        let (appended, record) = self.append(commit).await?;
        let (at, outputs) = appended
            .split_last()
            .expect("an epoch's group holds at least its epoch record");
        self.apply_offsets(&record, at.log_offset);
        self.shards
            .lock()
            .entry(key.clone())
            .or_default()
            .advance(record.epoch, record.positions);
        drop(flight);
        Ok(EpochCommitted {
            appended: outputs.to_vec(),
            repeated: false,
        })
    }

    /// Returns whether the epoch is a repetition.
    fn enter(&self, key: &(String, u32), commit: &EpochCommit) -> Result<bool, Error> {
        let mut shards = self.shards.lock();
        let current = self.number(GENERATIONS, &commit.job);
        if commit.generation != current {
            return Err(Error::Fenced {
                job: commit.job.clone(),
                asked: commit.generation,
                current,
            });
        }
        let shard = shards.entry(key.clone()).or_default();
        let last = shard.state.epoch;
        if commit.epoch < last || commit.epoch == 0 {
            return Err(Error::EpochOrder {
                job: commit.job.clone(),
                shard: commit.shard,
                last,
                asked: commit.epoch,
            });
        }
        if commit.epoch == last {
            return Ok(true);
        }
        if shard.in_flight {
            return Err(Error::EpochInFlight {
                job: commit.job.clone(),
                shard: commit.shard,
            });
        }
        shard.in_flight = true;
        Ok(false)
    }

    async fn append(&self, commit: EpochCommit) -> Result<(Vec<Appended>, EpochRecord), Error> {
        let record = EpochRecord {
            job: commit.job,
            shard: commit.shard,
            generation: commit.generation,
            epoch: commit.epoch,
            group: commit.group.map(|group| group.to_string()),
            offsets: commit
                .offsets
                .into_iter()
                .map(|(queue, offset)| (queue.topic.to_string(), queue.number, offset.0))
                .collect(),
            positions: commit.positions,
        };
        let body = serde_json::to_vec(&record).expect("an epoch record is plain JSON");
        let mut messages = commit.outputs;
        messages.push(Message::new(queue().topic, 0, body));
        Ok((self.publisher.append_together(&messages).await?, record))
    }

    /// Keeps the table and how far the log is reflected in it. Called every few seconds and on stop.
    pub fn flush(&self) -> Result<(), Error> {
        // The cursor is read first: what is committed meanwhile is applied again at a start.
        let end = self
            .store
            .bounds(&queue())
            .map_or(QueueOffset(0), |bounds| bounds.max);
        let in_flight = self.shards.lock().values().any(|shard| shard.in_flight);
        let changed: Vec<_> = {
            let mut shards = self.shards.lock();
            let changed = shards.iter_mut().filter_map(|((job, number), shard)| {
                let changed = std::mem::take(&mut shard.changed);
                changed.then(|| (format!("{job}/{number}"), shard.state.clone()))
            });
            changed.collect()
        };
        if changed.is_empty() {
            return Ok(());
        }
        for (key, state) in &changed {
            let value = serde_json::to_string(state).expect("a shard's state is plain JSON");
            self.metadata.key_values.put(EPOCHS, key, &value)?;
        }
        self.metadata.flush(Durability::Now)?;
        // A record of an epoch in flight may lie below `end` and not be applied yet.
        if !in_flight {
            self.metadata
                .key_values
                .put(CURSOR.0, CURSOR.1, &end.0.to_string())?;
        }
        Ok(())
    }
}

impl Shard {
    fn advance(&mut self, epoch: u64, positions: BTreeMap<String, String>) {
        self.state.epoch = epoch;
        for (name, position) in positions {
            if position.is_empty() {
                self.state.positions.remove(&name);
            } else {
                self.state.positions.insert(name, position);
            }
        }
        self.changed = true;
    }
}

/// A commit under way.
struct Flight<'a> {
    epochs: &'a Epochs,
    key: &'a (String, u32),
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if let Some(shard) = self.epochs.shards.lock().get_mut(self.key) {
            shard.in_flight = false;
        }
    }
}

fn queue() -> QueueId {
    QueueId::new(
        Topic::stored(TOPIC).expect("the epoch topic's name is valid"),
        0,
    )
}

fn load(key_values: &Arc<KeyValues>) -> HashMap<(String, u32), Shard> {
    let kept = key_values.namespace(EPOCHS).unwrap_or_default();
    let shard = |(key, value): (String, String)| {
        let (job, number) = key.rsplit_once('/')?;
        let state = serde_json::from_str(&value).ok()?;
        Some((
            (job.to_owned(), number.parse().ok()?),
            Shard {
                state,
                ..Shard::default()
            },
        ))
    };
    kept.into_iter().filter_map(shard).collect()
}
