//! Routes, brokers and clusters as the name server tells them.

use serde::{Deserialize, Serialize};

use crate::json::Table;

/// Reply to 105: where the queues of a topic are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicRoute {
    pub broker_datas: Vec<BrokerData>,
    pub filter_server_table: Table<String, Vec<String>>,
    /// `broker:queues;broker:queues` of an ordered topic.
    pub order_topic_conf: Option<String>,
    pub queue_datas: Vec<QueueData>,
}

/// One broker name and the addresses behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerData {
    /// By broker id; 0 is the master.
    pub broker_addrs: Table<i64, String>,
    pub broker_name: String,
    pub cluster: String,
    pub enable_acting_master: bool,
    pub zone_name: Option<String>,
}

/// The queues of a topic on one broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueData {
    pub broker_name: String,
    pub perm: i32,
    pub read_queue_nums: i32,
    pub topic_sys_flag: i32,
    pub write_queue_nums: i32,
}

/// Reply to 106.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterInfo {
    pub broker_addr_table: Table<String, BrokerData>,
    pub cluster_addr_table: Table<String, Vec<String>>,
}

/// Reply to 206, 224, 304, 305 and 343.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicList {
    pub broker_addr: Option<String>,
    pub topic_list: Vec<String>,
}

/// Reply to 28, 103 and 219.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KvTable {
    pub table: Table<String, String>,
}

/// Reply to 901.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerMemberGroupReply {
    pub broker_member_group: Option<BrokerMemberGroup>,
}

/// The brokers of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerMemberGroup {
    pub broker_addrs: Table<i64, String>,
    pub broker_name: String,
    pub cluster: String,
}
