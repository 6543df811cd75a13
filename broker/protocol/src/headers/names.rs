//! Headers the name server reads and writes.

use crate::fields::headers;

headers! {
    /// Code 105.
    pub struct GetRoute<'a> {
        /// A missing one is a topic without a route, code 17.
        topic: &'a str = b"topic" or "",
        /// Keys of maps must be quoted.
        standard_json: bool = b"acceptStandardJsonOnly" or false,
    }

    /// Code 103.
    pub struct RegisterBroker<'a> {
        broker: &'a str = b"brokerName",
        address: &'a str = b"brokerAddr",
        cluster: &'a str = b"clusterName",
        ha_address: &'a str = b"haServerAddr" or "",
        /// 0 is the master.
        broker_id: i64 = b"brokerId" or 0,
        heartbeat_timeout_ms: Option<i64> = b"heartbeatTimeoutMillis",
        acting_master: Option<bool> = b"enableActingMaster",
        compressed: bool = b"compressed" or false,
        /// Of the body as sent; 0 when it was not computed. RocketMQ keeps it in 31 bits.
        body_crc: u32 = b"bodyCrc32" or 0,
        zone: Option<&'a str> = b"__ZONE_NAME",
    }

    /// Reply to 103.
    pub struct RegisterBrokerReply<'a> {
        ha_address: Option<&'a str> = b"haServerAddr",
        master_address: Option<&'a str> = b"masterAddr",
    }

    /// Codes 104 and 322.
    pub struct BrokerNamed<'a> {
        broker: &'a str = b"brokerName",
        address: &'a str = b"brokerAddr",
        cluster: &'a str = b"clusterName",
        broker_id: i64 = b"brokerId" or 0,
    }

    /// Reply to 322.
    pub struct DataVersionReply {
        changed: bool = b"changed" or false,
    }

    /// Code 904.
    pub struct BrokerHeartbeat<'a> {
        cluster: &'a str = b"clusterName",
        address: &'a str = b"brokerAddr",
        broker: &'a str = b"brokerName",
        broker_id: Option<i64> = b"brokerId",
        epoch: Option<i32> = b"epoch",
        max_offset: Option<i64> = b"maxOffset",
        confirm_offset: Option<i64> = b"confirmOffset",
        heartbeat_timeout_ms: Option<i64> = b"heartbeatTimeoutMills",
        election_priority: Option<i32> = b"electionPriority",
    }

    /// Code 901.
    pub struct GetBrokerMemberGroup<'a> {
        cluster: &'a str = b"clusterName",
        broker: &'a str = b"brokerName",
    }

    /// Codes 205 and 327.
    pub struct BrokerPermission<'a> {
        broker: &'a str = b"brokerName",
    }

    /// Reply to 205.
    pub struct WipeWritePermissionReply {
        topics: i32 = b"wipeTopicCount",
    }

    /// Reply to 327.
    pub struct AddWritePermissionReply {
        topics: i32 = b"addTopicCount",
    }

    /// Code 216.
    pub struct DeleteTopicFromNames<'a> {
        topic: &'a str = b"topic",
        cluster: Option<&'a str> = b"clusterName",
    }

    /// Code 224.
    pub struct GetTopicsByCluster<'a> {
        cluster: &'a str = b"cluster",
    }

    /// Code 100.
    pub struct PutKvConfig<'a> {
        namespace: &'a str = b"namespace",
        key: &'a str = b"key",
        value: &'a str = b"value",
    }

    /// Codes 101 and 102.
    pub struct KvConfigKey<'a> {
        namespace: &'a str = b"namespace",
        key: &'a str = b"key",
    }

    /// Reply to 101.
    pub struct KvConfigReply<'a> {
        value: Option<&'a str> = b"value",
    }

    /// Code 219.
    pub struct KvNamespace<'a> {
        namespace: &'a str = b"namespace",
    }
}
