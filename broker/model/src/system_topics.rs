//! Topics and groups that RocketMQ and Millstream keep for themselves.

/// Template of automatically created topics.
pub const AUTO_CREATE: &str = "TBW102";
/// Messages waiting for one of the delay levels; the queue is the level minus one.
pub const SCHEDULE: &str = "SCHEDULE_TOPIC_XXXX";
/// Messages waiting for a point in time of their own.
pub const TIMER: &str = "rmq_sys_wheel_timer";
/// Half messages of open transactions.
pub const TRANSACTION_HALF: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// What was decided about half messages.
pub const TRANSACTION_OPERATION: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// Half messages that were asked about too often.
pub const TRANSACTION_EXPIRED: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Traces that clients send about their own messages.
pub const TRACE: &str = "RMQ_SYS_TRACE_TOPIC";
/// Notices of consumers whose offset was moved.
pub const OFFSET_MOVED: &str = "OFFSET_MOVED_EVENT";
/// What RocketMQ's name server and tools use to test a broker.
pub const SELF_TEST: &str = "SELF_TEST_TOPIC";
/// Target of RocketMQ's benchmark programs.
pub const BENCHMARK: &str = "BenchmarkTest";
/// Records naming a group of records that appear together or not at all.
pub const GROUP: &str = "rmq_sys_GROUP";

const ROCKSDB_HALF: &str = "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC";
const ROCKSDB_OPERATION: &str = "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC";
const SYSTEM_PREFIX: &str = "rmq_sys_";
const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";
const REPLY_SUFFIX: &str = "_REPLY_TOPIC";

const SYSTEM: [&str; 11] = [
    AUTO_CREATE,
    SCHEDULE,
    BENCHMARK,
    TRANSACTION_HALF,
    TRANSACTION_OPERATION,
    TRANSACTION_EXPIRED,
    TRACE,
    SELF_TEST,
    OFFSET_MOVED,
    ROCKSDB_HALF,
    ROCKSDB_OPERATION,
];

const NO_SENDS: [&str; 6] = [
    SCHEDULE,
    TRANSACTION_HALF,
    TRANSACTION_OPERATION,
    TRANSACTION_EXPIRED,
    SELF_TEST,
    OFFSET_MOVED,
];

const SYSTEM_GROUPS: [&str; 9] = [
    "DEFAULT_CONSUMER",
    "DEFAULT_PRODUCER",
    "TOOLS_CONSUMER",
    "SCHEDULE_CONSUMER",
    "FILTERSRV_CONSUMER",
    "__MONITOR_CONSUMER",
    "CLIENT_INNER_PRODUCER",
    "SELF_TEST_P_GROUP",
    "SELF_TEST_C_GROUP",
];

const CLOUD_GROUPS: [&str; 4] = [
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    "CID_ONSAPI_PULL",
];

/// Name of the topic that keeps the replies of a cluster's request-reply messages.
pub fn reply_topic(cluster: &str) -> String {
    format!("{cluster}{REPLY_SUFFIX}")
}

pub(crate) fn is_system(topic: &str) -> bool {
    topic.starts_with(SYSTEM_PREFIX) || SYSTEM.contains(&topic)
}

pub(crate) fn refuses_sends(topic: &str) -> bool {
    NO_SENDS.contains(&topic) || topic == GROUP
}

pub(crate) fn is_system_group(group: &str) -> bool {
    group.starts_with(SYSTEM_GROUP_PREFIX)
        || SYSTEM_GROUPS.contains(&group)
        || CLOUD_GROUPS.contains(&group)
}

#[cfg(test)]
mod tests {
    use crate::Topic;

    use super::*;

    #[test]
    fn system_topics_are_told_from_those_of_users() {
        for name in SYSTEM
            .into_iter()
            .chain([TIMER, GROUP, "rmq_sys_REVIVE_LOG_x"])
        {
            assert!(Topic::known(name).is_system(), "{name}");
        }
        assert!(!Topic::known("orders").is_system());
    }

    #[test]
    fn only_internal_queues_refuse_sends() {
        assert!(Topic::known(SCHEDULE).refuses_sends());
        assert!(Topic::known(GROUP).refuses_sends());
        assert!(!Topic::known(TRACE).refuses_sends());
        assert!(!Topic::known(BENCHMARK).refuses_sends());
    }

    #[test]
    fn groups_of_tools_and_services_are_system_groups() {
        assert!(is_system_group("CID_RMQ_SYS_TRANS"));
        assert!(is_system_group("TOOLS_CONSUMER"));
        assert!(is_system_group("CID_ONSAPI_PULL"));
        assert!(!is_system_group("orders"));
    }
}
