//! Consumer groups and their settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use model::ConsumerGroup;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::tables::{Batch, Durability, Table, Tables};
use crate::{Error, import};

/// One group's settings, as RocketMQ's `SubscriptionGroupConfig`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupConfig {
    pub consume_enable: bool,
    pub consume_from_min_enable: bool,
    pub consume_broadcast_enable: bool,
    pub consume_message_orderly: bool,
    pub retry_queue_nums: i32,
    pub retry_max_times: i32,
    pub broker_id: i64,
    pub which_broker_when_consume_slowly: i64,
    pub notify_consumer_ids_changed_enable: bool,
    pub group_sys_flag: i32,
    pub consume_timeout_minute: i32,
    /// Parts that are kept and handed back as they came: retry policy, subscriptions, attributes.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

impl Default for GroupConfig {
    fn default() -> Self {
        GroupConfig {
            consume_enable: true,
            consume_from_min_enable: true,
            consume_broadcast_enable: true,
            consume_message_orderly: false,
            retry_queue_nums: 1,
            retry_max_times: 16,
            broker_id: 0,
            which_broker_when_consume_slowly: 1,
            notify_consumer_ids_changed_enable: true,
            group_sys_flag: 0,
            consume_timeout_minute: 15,
            rest: BTreeMap::new(),
        }
    }
}

type Snapshot = BTreeMap<ConsumerGroup, Arc<GroupConfig>>;

/// All consumer groups of a broker. Readers take a snapshot and never wait for a writer.
pub struct Groups {
    tables: Arc<dyn Tables>,
    snapshot: ArcSwap<Snapshot>,
    /// One writer at a time, so that a change never loses another.
    writing: Mutex<()>,
}

impl Groups {
    pub(crate) fn load(tables: Arc<dyn Tables>) -> Result<Groups, Error> {
        let mut snapshot = Snapshot::new();
        for (key, value) in tables.entries(Table::Groups)? {
            let entry = import::entry::<GroupConfig>(&key, &value);
            match entry.and_then(|(name, config)| {
                Ok((
                    ConsumerGroup::stored(&name).map_err(|why| why.to_string())?,
                    config,
                ))
            }) {
                Ok((group, config)) => drop(snapshot.insert(group, Arc::new(config))),
                Err(why) => tracing::error!(%why, "a kept consumer group is set aside"),
            }
        }
        Ok(Groups {
            tables,
            snapshot: ArcSwap::from_pointee(snapshot),
            writing: Mutex::new(()),
        })
    }

    pub fn get(&self, group: &str) -> Option<Arc<GroupConfig>> {
        self.snapshot.load().get(group).cloned()
    }

    /// Every group at this moment.
    pub fn all(&self) -> Arc<BTreeMap<ConsumerGroup, Arc<GroupConfig>>> {
        self.snapshot.load_full()
    }

    /// Creates or replaces a group; durable when this returns.
    pub fn put(&self, group: ConsumerGroup, config: GroupConfig) -> Result<(), Error> {
        let _writing = self.writing.lock();
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        if snapshot.get(&group).is_some_and(|known| **known == config) {
            return Ok(());
        }
        let mut batch = Batch::default();
        let value = serde_json::to_vec(&config).expect("a group's settings are plain JSON");
        batch.put(Table::Groups, group.as_str(), value);
        self.tables.apply(batch, Durability::Now)?;
        snapshot.insert(group, Arc::new(config));
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// Forgets a group; durable when this returns. Returns whether it was there.
    pub fn delete(&self, group: &str) -> Result<bool, Error> {
        let _writing = self.writing.lock();
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        if snapshot.remove(group).is_none() {
            return Ok(false);
        }
        let mut batch = Batch::default();
        batch.remove(Table::Groups, group);
        self.tables.apply(batch, Durability::Now)?;
        self.snapshot.store(Arc::new(snapshot));
        Ok(true)
    }
}
