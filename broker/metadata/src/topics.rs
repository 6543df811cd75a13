//! Topics and their settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use model::Topic;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::tables::{Batch, Durability, Table, Tables};
use crate::{Error, import};

/// Who may do what with a topic, in RocketMQ's bits: 4 read, 2 write, 1 inherit.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Permission(pub u32);

impl Permission {
    pub const READ_WRITE: Permission = Permission(6);
    /// What a template topic has: topics made from it lose the inherit bit.
    pub const TEMPLATE: Permission = Permission(7);

    pub fn readable(self) -> bool {
        self.0 & 4 != 0
    }

    pub fn writable(self) -> bool {
        self.0 & 2 != 0
    }

    pub fn inherited(self) -> bool {
        self.0 & 1 != 0
    }

    /// The same without the inherit bit.
    pub fn for_child(self) -> Permission {
        Permission(self.0 & !1)
    }
}

/// Whether a message of the topic carries one tag or several.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FilterType {
    #[default]
    SingleTag,
    MultiTag,
}

/// One topic's settings, as RocketMQ's `TopicConfig`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicConfig {
    pub read_queues: u32,
    pub write_queues: u32,
    pub permission: Permission,
    #[serde(default)]
    pub filter: FilterType,
    #[serde(default)]
    pub system_flag: i32,
    /// Producers keep to the queues the name server lists for it.
    #[serde(default)]
    pub ordered: bool,
    /// Attributes by their plain names, such as `message.type`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl TopicConfig {
    /// A readable and writable topic of `queues` queues.
    pub fn with_queues(queues: u32) -> TopicConfig {
        TopicConfig {
            read_queues: queues,
            write_queues: queues,
            permission: Permission::READ_WRITE,
            filter: FilterType::SingleTag,
            system_flag: 0,
            ordered: false,
            attributes: BTreeMap::new(),
        }
    }

    /// Queues that exist for somebody: readers may still drain what writers no longer fill.
    pub fn queues(&self) -> u32 {
        self.read_queues.max(self.write_queues)
    }
}

type Snapshot = BTreeMap<Topic, Arc<TopicConfig>>;

/// All topics of a broker. Readers take a snapshot and never wait for a writer.
pub struct Topics {
    tables: Arc<dyn Tables>,
    snapshot: ArcSwap<Snapshot>,
    /// One writer at a time, so that a change never loses another.
    writing: Mutex<u64>,
}

impl Topics {
    pub(crate) fn load(tables: Arc<dyn Tables>) -> Result<Topics, Error> {
        let mut snapshot = Snapshot::new();
        for (key, value) in tables.entries(Table::Topics)? {
            match import::entry::<TopicConfig>(&key, &value) {
                Ok((name, config)) => match Topic::stored(&name) {
                    Ok(topic) => drop(snapshot.insert(topic, Arc::new(config))),
                    Err(why) => tracing::error!(%why, "a kept topic is set aside"),
                },
                Err(why) => tracing::error!(%why, "a kept topic is set aside"),
            }
        }
        Ok(Topics {
            tables,
            snapshot: ArcSwap::from_pointee(snapshot),
            writing: Mutex::new(0),
        })
    }

    pub fn get(&self, topic: &str) -> Option<Arc<TopicConfig>> {
        self.snapshot.load().get(topic).cloned()
    }

    /// Every topic at this moment.
    pub fn all(&self) -> Arc<BTreeMap<Topic, Arc<TopicConfig>>> {
        self.snapshot.load_full()
    }

    /// Changes since the start: a new number means routes have to be told.
    pub fn version(&self) -> u64 {
        *self.writing.lock()
    }

    /// Creates or replaces a topic; durable when this returns. Returns whether anything changed.
    pub fn put(&self, topic: Topic, config: TopicConfig) -> Result<bool, Error> {
        self.put_all(vec![(topic, config)])
    }

    /// As [`Topics::put`] for several topics in one batch.
    pub fn put_all(&self, topics: Vec<(Topic, TopicConfig)>) -> Result<bool, Error> {
        let mut writing = self.writing.lock();
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        let mut batch = Batch::default();
        for (topic, config) in topics {
            if snapshot.get(&topic).is_some_and(|known| **known == config) {
                continue;
            }
            let value = serde_json::to_vec(&config).expect("a topic's settings are plain JSON");
            batch.put(Table::Topics, topic.as_str(), value);
            snapshot.insert(topic, Arc::new(config));
        }
        if batch.is_empty() {
            return Ok(false);
        }
        self.tables.apply(batch, Durability::Now)?;
        self.snapshot.store(Arc::new(snapshot));
        *writing += 1;
        Ok(true)
    }

    /// Creates the topic if it is absent and returns what is then there.
    pub fn get_or_create(
        &self,
        topic: &Topic,
        config: impl FnOnce() -> TopicConfig,
    ) -> Result<Arc<TopicConfig>, Error> {
        if let Some(known) = self.get(topic.as_str()) {
            return Ok(known);
        }
        let config = config();
        // Two callers may race to here: the second writes what the first wrote.
        self.put(topic.clone(), config.clone())?;
        Ok(self.get(topic.as_str()).unwrap_or_else(|| Arc::new(config)))
    }

    /// Forgets a topic; durable when this returns. Returns whether it was there.
    pub fn delete(&self, topic: &str) -> Result<bool, Error> {
        let mut writing = self.writing.lock();
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        if snapshot.remove(topic).is_none() {
            return Ok(false);
        }
        let mut batch = Batch::default();
        batch.remove(Table::Topics, topic);
        self.tables.apply(batch, Durability::Now)?;
        self.snapshot.store(Arc::new(snapshot));
        *writing += 1;
        Ok(true)
    }
}
