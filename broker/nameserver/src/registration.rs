//! What a broker tells a name server about itself.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Topic;

/// Which process of which broker: one name may have a master (id 0) and replicas.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerAddress {
    pub cluster: String,
    pub broker: String,
    pub id: u64,
    /// As clients connect: `host:port`.
    pub address: String,
}

/// The state of a broker's topic table: a later one replaces an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataVersion {
    pub state_version: i64,
    pub timestamp: i64,
    pub counter: i64,
}

/// One topic's queues on one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicQueues {
    pub read_queues: u32,
    pub write_queues: u32,
    pub permission: u32,
    pub system_flag: i32,
}

/// One registration: it replaces what the same process said before.
#[derive(Clone, Debug)]
pub struct Registration {
    pub from: BrokerAddress,
    /// Where replicas connect; handed on to them.
    pub ha_address: String,
    /// The broker is gone when nothing was heard for so long; `None`: 120 s.
    pub lease: Option<Duration>,
    pub zone: Option<String>,
    pub acting_master: bool,
    pub version: DataVersion,
    pub topics: BTreeMap<Topic, TopicQueues>,
}

/// What a registration is answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// For replicas: where their master is, and where it ships its log.
    pub master_address: Option<String>,
    pub ha_address: Option<String>,
}
