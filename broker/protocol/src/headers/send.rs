//! Headers of messages on their way in.

use crate::fields::headers;

headers! {
    /// Codes 10, 310 and 320. Long and one-letter names are both read; one-letter names are written.
    pub struct SendMessage<'a> {
        producer_group: &'a str = b"a" | b"producerGroup" or "",
        topic: &'a str = b"b" | b"topic",
        /// The template a topic is created after when it does not exist.
        default_topic: &'a str = b"c" | b"defaultTopic" or "",
        default_topic_queues: i32 = b"d" | b"defaultTopicQueueNums" or 0,
        /// Below zero: any queue.
        queue: i32 = b"e" | b"queueId",
        sys_flag: i32 = b"f" | b"sysFlag",
        /// Milliseconds since 1970.
        born: i64 = b"g" | b"bornTimestamp",
        flag: i32 = b"h" | b"flag",
        properties: &'a str = b"i" | b"properties" or "",
        reconsume_times: i32 = b"j" | b"reconsumeTimes" or 0,
        unit_mode: bool = b"k" | b"unitMode" or false,
        max_reconsume_times: Option<i32> = b"l" | b"maxReconsumeTimes",
        /// The body holds several messages, each with its own length.
        batch: bool = b"m" | b"batch" or false,
        broker: Option<&'a str> = b"n" | b"bname",
    }

    /// Reply to 10, 310 and 320.
    pub struct SendReply<'a> {
        queue: i32 = b"queueId",
        /// The message's unique key.
        transaction_id: Option<&'a str> = b"transactionId",
        /// Message id, which tells the broker and the offset in its log; joined by commas for a batch.
        message_id: &'a str = b"msgId",
        trace: Option<bool> = b"TRACE_ON",
        region: Option<&'a str> = b"MSG_REGION",
        /// Of the first message, when there are several.
        queue_offset: i64 = b"queueOffset",
        batch_unique_id: Option<&'a str> = b"batchUniqId",
        recall_handle: Option<&'a str> = b"recallHandle",
    }

    /// What a refused send still tells.
    pub struct SendRefused<'a> {
        trace: Option<bool> = b"TRACE_ON",
        region: Option<&'a str> = b"MSG_REGION",
    }

    /// Code 36: a consumer could not handle a message and wants it again, later.
    pub struct SendBack<'a> {
        log_offset: i64 = b"offset",
        group: &'a str = b"group",
        /// 0: by how often it came; below 0: to the dead letters.
        delay_level: i32 = b"delayLevel",
        origin_message_id: Option<&'a str> = b"originMsgId",
        origin_topic: Option<&'a str> = b"originTopic",
        unit_mode: bool = b"unitMode" or false,
        max_reconsume_times: Option<i32> = b"maxReconsumeTimes",
        broker: Option<&'a str> = b"bname",
    }
}
