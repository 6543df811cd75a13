//! What frames carry behind their header, where that is JSON.
//!
//! Members stand in the order RocketMQ writes them, which is by name. What is `None` is not written.
//! Reading takes defaults for what is missing, as RocketMQ does.

mod clients;
mod cluster;
mod consuming;
mod groups;
mod locks;
mod offsets;
mod registration;
mod running;
mod topics;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
pub use crate::json::Table;
use crate::json::{Keys, from_slice, to_vec};
pub use clients::{
    CheckClientRequest, Connection, ConsumeFromWhere, ConsumeType, ConsumerConnection,
    ConsumerData, ConsumerIds, ExpressionType, HeartbeatData, MessageModel, ProducerConnection,
    ProducerData, ProducerInfo, ProducerTable, SubscriptionData,
};
pub use cluster::{
    BrokerData, BrokerMemberGroup, BrokerMemberGroupReply, ClusterInfo, KvTable, QueueData,
    TopicList, TopicRoute,
};
pub use consuming::{
    BrokerStats, BrokerStatsItem, ConsumeQueueEntry, ConsumeStats, ConsumeStatsList,
    ConsumeTimeSpan, ConsumeTimeSpans, GroupList, OffsetWrapper, QueryConsumeQueueReply,
    TopicOffset, TopicStats,
};
pub use groups::{
    CustomizedRetryPolicy, ExponentialRetryPolicy, GroupForbidden, GroupRetryPolicy, GroupTable,
    RetryPolicyType, SimpleSubscription, SubscriptionGroup, SubscriptionGroupList,
    SubscriptionOfGroup,
};
pub use locks::{LockReply, LockRequest, MessageQueue};
pub use offsets::{ConsumerStatus, QueueOffsetEntry, ResetOffsets, ResetOffsetsList};
pub use registration::RegisterBroker;
pub use running::{
    ConsumeStatus, ConsumerRunningInfo, DirectResult, DirectlyConsumed, PopQueueInfo,
    ProcessQueueInfo,
};
pub use topics::{DataVersion, TopicConfig, TopicConfigList, TopicFilterType, TopicTable};

/// Reads a JSON body of any client.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    from_slice(body).map_err(|error| Error::Body {
        what: short_name::<T>(),
        why: error.to_string(),
    })
}

/// Writes a JSON body as RocketMQ does: keys that are numbers stand without quotes.
pub fn encode(body: &impl Serialize) -> Bytes {
    write(body, Keys::Bare)
}

/// Writes a JSON body with quotes around every key that is not an object.
pub fn encode_standard(body: &impl Serialize) -> Bytes {
    write(body, Keys::Quoted)
}

fn write(body: &impl Serialize, keys: Keys) -> Bytes {
    to_vec(body, keys)
        .expect("our bodies hold only what the dialect can say")
        .into()
}

fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    let name = name.split_once('<').map_or(name, |(outer, _)| outer);
    name.rsplit("::").next().unwrap_or(name)
}
