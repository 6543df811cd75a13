//! Typed headers of every code in use, by what they are about.

mod broker;
mod clients;
mod groups;
mod jobs;
mod names;
mod offsets;
mod pull;
mod query;
mod send;
mod topics;

pub use broker::{BrokerConfigReply, GetBrokerConsumeStats, QueryConsumeQueue, ViewBrokerStats};
pub use clients::{
    ConsumeMessageDirectly, ConsumerGroupNamed, GetConsumerRunningInfo, HeartbeatReply,
    ProducerGroupNamed, UnregisterClient,
};
pub use groups::{
    AllGroupsReply, DeleteGroup, GetAllGroups, GetConsumeStats, GroupAndTopic, GroupNamed,
    ResetOffset,
};
pub use jobs::{FenceJob, FenceJobReply, ForgetJob, GetJobState};
pub use names::{
    AddWritePermissionReply, BrokerHeartbeat, BrokerNamed, BrokerPermission, DataVersionReply,
    DeleteTopicFromNames, GetBrokerMemberGroup, GetRoute, GetTopicsByCluster, KvConfigKey,
    KvConfigReply, KvNamespace, PutKvConfig, RegisterBroker, RegisterBrokerReply,
    WipeWritePermissionReply,
};
pub use offsets::{
    Boundary, GetMaxOffset, OffsetReply, QueryConsumerOffset, QueueOfTopic, SearchOffset,
    StoreTimeReply, UpdateConsumerOffset,
};
pub use pull::{PullFlags, PullForbidden, PullMessage, PullReply};
pub use query::{QueryMessage, QueryMessageReply, ViewMessage};
pub use send::{SendBack, SendMessage, SendRefused, SendReply};
pub use topics::{AllTopicConfigReply, CreateTopic, GetAllTopicConfig, GetTopicConfig, TopicNamed};
