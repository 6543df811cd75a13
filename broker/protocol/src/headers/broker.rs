//! Headers of looking into a broker.

use crate::fields::headers;

headers! {
    /// Reply to 26.
    pub struct BrokerConfigReply<'a> {
        /// A data version as JSON.
        version: &'a str = b"version" or "",
    }

    /// Code 315.
    pub struct ViewBrokerStats<'a> {
        name: &'a str = b"statsName",
        key: &'a str = b"statsKey",
    }

    /// Code 317.
    pub struct GetBrokerConsumeStats {
        ordered: bool = b"isOrder" or false,
    }

    /// Code 321.
    pub struct QueryConsumeQueue<'a> {
        topic: &'a str = b"topic",
        queue: i32 = b"queueId",
        /// Queue offset of the first entry asked for.
        index: i64 = b"index",
        count: i32 = b"count",
        group: Option<&'a str> = b"consumerGroup",
    }
}
