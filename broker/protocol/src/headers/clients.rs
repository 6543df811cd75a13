//! Headers about who is connected.

use crate::fields::headers;

headers! {
    /// Reply to 34.
    pub struct HeartbeatReply {
        supports_v2: bool = b"IS_SUPPORT_HEART_BEAT_V2" or false,
        subscription_changed: bool = b"IS_SUB_CHANGE" or false,
    }

    /// Code 35.
    pub struct UnregisterClient<'a> {
        client_id: &'a str = b"clientID" or "",
        producer_group: Option<&'a str> = b"producerGroup",
        consumer_group: Option<&'a str> = b"consumerGroup",
    }

    /// Codes 38, 40 and 203.
    pub struct ConsumerGroupNamed<'a> {
        group: &'a str = b"consumerGroup",
    }

    /// Code 204.
    pub struct ProducerGroupNamed<'a> {
        group: &'a str = b"producerGroup",
    }

    /// Code 307, to a broker and from it to the client.
    pub struct GetConsumerRunningInfo<'a> {
        group: &'a str = b"consumerGroup",
        client_id: &'a str = b"clientId",
        stack_traces: bool = b"jstackEnable" or false,
    }

    /// Code 309, to a broker and from it to the client.
    pub struct ConsumeMessageDirectly<'a> {
        group: &'a str = b"consumerGroup",
        client_id: Option<&'a str> = b"clientId",
        /// An offset message id.
        message_id: Option<&'a str> = b"msgId",
        broker: Option<&'a str> = b"brokerName",
        topic: Option<&'a str> = b"topic",
        topic_sys_flag: Option<i32> = b"topicSysFlag",
        group_sys_flag: Option<i32> = b"groupSysFlag",
    }
}
