//! The route table: which brokers hold which topic.
//!
//! ```text
//! register ─┐                            ┌─ route(topic)     no lock
//! expire   ─┼─ one writer ─ snapshot ────┼─ clusters()
//! close    ─┘   (a lock)    (ArcSwap)    └─ topics()
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use model::Topic;
use parking_lot::Mutex;
use runtime::{Clock, Moment};

use crate::lease::Lease;
use crate::registration::{BrokerAddress, DataVersion, Registered, Registration, TopicQueues};

/// One broker name with the processes that serve it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerRoute {
    pub cluster: String,
    pub broker: String,
    /// Process id to address; 0 is the master.
    pub addresses: BTreeMap<u64, String>,
    pub zone: Option<String>,
    pub acting_master: bool,
}

/// One topic's queues on one broker name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRoute {
    pub broker: String,
    pub queues: TopicQueues,
}

/// Where a topic is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicRoute {
    pub brokers: Vec<BrokerRoute>,
    pub queues: Vec<QueueRoute>,
}

/// Every broker, and the brokers of every cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    pub brokers: BTreeMap<String, BrokerRoute>,
    pub clusters: BTreeMap<String, BTreeSet<String>>,
}

/// What readers see. Replaced whole, so a reader never meets half a change.
#[derive(Clone, Debug, Default)]
struct Snapshot {
    cluster: Cluster,
    /// Topic to broker name to queues.
    topics: BTreeMap<Topic, BTreeMap<String, TopicQueues>>,
}

/// What only the writer needs: who is alive, and what each last said.
#[derive(Debug, Default)]
struct Brokers {
    leases: BTreeMap<BrokerAddress, Lease>,
    versions: BTreeMap<BrokerAddress, DataVersion>,
    ha_addresses: BTreeMap<BrokerAddress, String>,
}

/// The route table of a name server. State is rebuilt by brokers registering again.
pub struct Routes {
    clock: Clock,
    snapshot: ArcSwap<Snapshot>,
    /// Makes writers wait for each other; readers do not touch it.
    brokers: Mutex<Brokers>,
}

impl Routes {
    pub fn new(clock: Clock) -> Routes {
        Routes {
            clock,
            snapshot: ArcSwap::default(),
            brokers: Mutex::default(),
        }
    }

    /// Takes what a broker says of itself, over the connection with this number.
    ///
    /// A registration with an older topic table than the one known is not believed, except that
    /// it renews the lease: a name server must not fall back behind what it told clients.
    pub fn register(&self, registration: Registration, connection: u64) -> Registered {
        let mut brokers = self.brokers.lock();
        let from = registration.from.clone();
        brokers.leases.insert(
            from.clone(),
            Lease::new(registration.lease, self.clock.now(), connection),
        );
        brokers
            .ha_addresses
            .insert(from.clone(), registration.ha_address.clone());
        let known = brokers.versions.insert(from.clone(), registration.version);
        let older =
            known.is_some_and(|known| known.state_version > registration.version.state_version);
        if older {
            brokers
                .versions
                .extend(known.map(|known| (from.clone(), known)));
        }
        self.change(|snapshot| {
            snapshot
                .cluster
                .clusters
                .entry(from.cluster.clone())
                .or_default()
                .insert(from.broker.clone());
            let broker = snapshot
                .cluster
                .brokers
                .entry(from.broker.clone())
                .or_default();
            broker.cluster.clone_from(&from.cluster);
            broker.broker.clone_from(&from.broker);
            broker.zone = registration.zone;
            broker.acting_master = registration.acting_master;
            // A process that comes back under another id leaves the old one.
            broker
                .addresses
                .retain(|id, address| *id == from.id || *address != from.address);
            broker.addresses.insert(from.id, from.address.clone());
            if from.id == 0 && !older {
                snapshot.replace_topics(&from.broker, registration.topics);
            }
        });
        let master = (from.id != 0).then_some(BrokerAddress { id: 0, ..from });
        let alive = master.and_then(|master| {
            let known = brokers
                .leases
                .keys()
                .find(|known| known.id == 0 && known.broker == master.broker)?;
            Some((
                known.address.clone(),
                brokers.ha_addresses.get(known).cloned(),
            ))
        });
        match alive {
            Some((master_address, ha_address)) => Registered {
                master_address: Some(master_address),
                ha_address,
            },
            None => Registered::default(),
        }
    }

    /// Adds one topic of a broker that is registered. Returns whether the broker was known.
    pub fn register_topic(&self, broker: &str, topic: Topic, queues: TopicQueues) -> bool {
        let _brokers = self.brokers.lock();
        let known = self.snapshot.load().cluster.brokers.contains_key(broker);
        if known {
            self.change(|snapshot| {
                snapshot
                    .topics
                    .entry(topic)
                    .or_default()
                    .insert(broker.to_owned(), queues);
            });
        }
        known
    }

    /// Renews a lease without anything new. Returns the topic-table version known of that broker.
    pub fn heartbeat(&self, from: &BrokerAddress) -> Option<DataVersion> {
        let mut brokers = self.brokers.lock();
        brokers.leases.get_mut(from)?.renew(self.clock.now());
        brokers.versions.get(from).copied()
    }

    /// Takes a process out of every route.
    pub fn unregister(&self, from: &BrokerAddress) {
        let mut brokers = self.brokers.lock();
        self.forget(&mut brokers, from);
    }

    /// Takes out every process that registered on this connection: its socket has closed.
    pub fn connection_closed(&self, connection: u64) {
        self.forget_where(|lease, _| lease.is_fed_by(connection));
    }

    /// Takes out every process whose lease is over. Called every few seconds.
    pub fn expire(&self) {
        self.forget_where(Lease::is_over);
    }

    fn forget_where(&self, gone: impl Fn(&Lease, Moment) -> bool) {
        let mut brokers = self.brokers.lock();
        let now = self.clock.now();
        let gone: Vec<_> = brokers
            .leases
            .iter()
            .filter(|(_, lease)| gone(lease, now))
            .map(|(from, _)| from.clone())
            .collect();
        for from in gone {
            tracing::info!(broker = %from.broker, address = %from.address, "a broker left the routes");
            self.forget(&mut brokers, &from);
        }
    }

    fn forget(&self, brokers: &mut Brokers, from: &BrokerAddress) {
        brokers.leases.remove(from);
        brokers.versions.remove(from);
        brokers.ha_addresses.remove(from);
        self.change(|snapshot| {
            let Some(broker) = snapshot.cluster.brokers.get_mut(&from.broker) else {
                return;
            };
            if broker.addresses.get(&from.id) == Some(&from.address) {
                broker.addresses.remove(&from.id);
            }
            if broker.addresses.is_empty() {
                snapshot.cluster.brokers.remove(&from.broker);
                snapshot.cluster.clusters.retain(|_, names| {
                    names.remove(&from.broker);
                    !names.is_empty()
                });
                snapshot.replace_topics(&from.broker, BTreeMap::new());
            }
        });
    }

    /// Clears the write bit of every topic on a broker; returns how many had it.
    pub fn wipe_write_permission(&self, broker: &str) -> usize {
        self.set_permissions(broker, |permission| permission & !2)
    }

    /// Gives every topic on a broker read and write permission; returns how many changed.
    pub fn add_write_permission(&self, broker: &str) -> usize {
        self.set_permissions(broker, |_| 6)
    }

    fn set_permissions(&self, broker: &str, new: impl Fn(u32) -> u32) -> usize {
        let _brokers = self.brokers.lock();
        let mut changed = 0;
        self.change(|snapshot| {
            for queues in snapshot
                .topics
                .values_mut()
                .filter_map(|brokers| brokers.get_mut(broker))
            {
                let permission = new(queues.permission);
                changed += usize::from(permission != queues.permission);
                queues.permission = permission;
            }
        });
        changed
    }

    /// Takes a topic out of the routes: on one cluster's brokers, or on all.
    pub fn delete_topic(&self, topic: &str, cluster: Option<&str>) {
        let _brokers = self.brokers.lock();
        self.change(|snapshot| {
            let Snapshot {
                cluster: all,
                topics,
            } = snapshot;
            if let Some(brokers) = topics.get_mut(topic) {
                brokers.retain(|broker, _| {
                    cluster.is_some_and(|cluster| {
                        all.brokers
                            .get(broker)
                            .is_none_or(|known| known.cluster != cluster)
                    })
                });
                if brokers.is_empty() {
                    topics.remove(topic);
                }
            }
        });
    }

    /// Where the topic is served; `None` when no living broker has it.
    pub fn route(&self, topic: &str) -> Option<TopicRoute> {
        let snapshot = self.snapshot.load();
        let queues = snapshot.topics.get(topic)?;
        let route = TopicRoute {
            brokers: queues
                .keys()
                .filter_map(|broker| snapshot.cluster.brokers.get(broker).cloned())
                .collect(),
            queues: queues
                .iter()
                .map(|(broker, queues)| QueueRoute {
                    broker: broker.clone(),
                    queues: queues.clone(),
                })
                .collect(),
        };
        (!route.brokers.is_empty()).then_some(route)
    }

    /// Every topic that a living broker has.
    pub fn topics(&self) -> Vec<Topic> {
        self.snapshot.load().topics.keys().cloned().collect()
    }

    /// Every topic on the brokers of one cluster.
    pub fn topics_of_cluster(&self, cluster: &str) -> Vec<Topic> {
        let snapshot = self.snapshot.load();
        let Some(brokers) = snapshot.cluster.clusters.get(cluster) else {
            return Vec::new();
        };
        let held =
            |names: &BTreeMap<String, TopicQueues>| names.keys().any(|name| brokers.contains(name));
        snapshot
            .topics
            .iter()
            .filter(|(_, names)| held(names))
            .map(|(topic, _)| topic.clone())
            .collect()
    }

    /// Every living broker.
    pub fn cluster(&self) -> Cluster {
        self.snapshot.load().cluster.clone()
    }

    /// Only called while `brokers` is locked, so that no change is lost.
    fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut next = Snapshot::clone(&self.snapshot.load());
        change(&mut next);
        self.snapshot.store(Arc::new(next));
    }
}

impl Snapshot {
    /// Makes `topics` all that the broker holds.
    fn replace_topics(&mut self, broker: &str, topics: BTreeMap<Topic, TopicQueues>) {
        self.topics.retain(|topic, brokers| {
            if !topics.contains_key(topic) {
                brokers.remove(broker);
            }
            !brokers.is_empty()
        });
        for (topic, queues) in topics {
            self.topics
                .entry(topic)
                .or_default()
                .insert(broker.to_owned(), queues);
        }
    }
}
