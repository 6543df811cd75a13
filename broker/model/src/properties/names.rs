//! The names of the properties that clients and brokers give a meaning to.

/// The message's tag.
pub const TAGS: &str = "TAGS";
/// Index keys, separated by one space.
pub const KEYS: &str = "KEYS";
/// The id the producer gave the message.
pub const UNIQUE_KEY: &str = "UNIQ_KEY";
/// `false`: the producer does not wait for the store.
pub const WAIT: &str = "WAIT";
/// Delay level, 1 to 18.
pub const DELAY: &str = "DELAY";

/// Topic to which a retry message belongs.
pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
/// Topic of a message that waits elsewhere.
pub const REAL_TOPIC: &str = "REAL_TOPIC";
/// Queue of a message that waits elsewhere.
pub const REAL_QUEUE: &str = "REAL_QID";
/// Id of the first copy of a retry message.
pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
/// Group for which POP revived the message.
pub const ORIGIN_GROUP: &str = "ORIGIN_GROUP";
/// Times a message sent back by its consumer was consumed.
pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
/// Times it may be consumed at most.
pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
pub const DEAD_LETTER_ORIGIN_TOPIC: &str = "DLQ_ORIGIN_TOPIC";
pub const DEAD_LETTER_ORIGIN_MESSAGE_ID: &str = "DLQ_ORIGIN_MESSAGE_ID";

/// `true`: a half message.
pub const TRANSACTION_PREPARED: &str = "TRAN_MSG";
pub const PRODUCER_GROUP: &str = "PGROUP";
pub const TRANSACTION_ID: &str = "__transactionId__";
pub const TRANSACTION_CHECK_TIMES: &str = "TRANSACTION_CHECK_TIMES";
/// Queue offset of the first copy of a half message.
pub const TRANSACTION_PREPARED_QUEUE_OFFSET: &str = "TRAN_PREPARED_QUEUE_OFFSET";
pub const CHECK_IMMUNITY_TIME_SECONDS: &str = "CHECK_IMMUNITY_TIME_IN_SECONDS";

pub const REGION: &str = "MSG_REGION";
pub const TRACE_ON: &str = "TRACE_ON";
pub const CLUSTER: &str = "CLUSTER";
/// Added by clients after a pull.
pub const MIN_OFFSET: &str = "MIN_OFFSET";
/// Added by clients after a pull.
pub const MAX_OFFSET: &str = "MAX_OFFSET";
pub const CONSUME_START_TIME: &str = "CONSUME_START_TIME";

/// Second unique key, of an entry of a batch.
pub const EXTENDED_UNIQUE_KEY: &str = "EXTEND_UNIQ_INFO";
/// Messages in an inner batch.
pub const INNER_NUMBER: &str = "INNER_NUM";
/// First queue offset of an inner batch.
pub const INNER_BASE: &str = "INNER_BASE";
pub const DUPLICATE_INFO: &str = "DUP_INFO";
pub const INSTANCE_ID: &str = "INSTANCE_ID";

pub const CORRELATION_ID: &str = "CORRELATION_ID";
pub const REPLY_TO_CLIENT: &str = "REPLY_TO_CLIENT";
pub const TIME_TO_LIVE: &str = "TTL";
pub const ARRIVE_TIME: &str = "ARRIVE_TIME";
pub const PUSH_REPLY_TIME: &str = "PUSH_REPLY_TIME";
pub const MESSAGE_TYPE: &str = "MSG_TYPE";

pub const POP_CHECKPOINT: &str = "POP_CK";
pub const POP_CHECKPOINT_OFFSET: &str = "POP_CK_OFFSET";
pub const FIRST_POP_TIME: &str = "1ST_POP_TIME";

/// What keeps messages in one order: message group, sharding key.
pub const SHARDING_KEY: &str = "__SHARDINGKEY";
pub const FORWARD_QUEUE: &str = "PROPERTY_FORWARD_QUEUE_ID";
pub const REDIRECT: &str = "REDIRECT";
/// Names of further queues that show the message, comma separated.
pub const INNER_MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";
/// The message's offsets in them, comma separated.
pub const INNER_MULTI_QUEUE_OFFSET: &str = "INNER_MULTI_QUEUE_OFFSET";
pub const TRACE_CONTEXT: &str = "TRACE_CONTEXT";

pub const TIMER_DELAY_SECONDS: &str = "TIMER_DELAY_SEC";
pub const TIMER_DELAY_MS: &str = "TIMER_DELAY_MS";
pub const TIMER_DELIVER_MS: &str = "TIMER_DELIVER_MS";
pub const TIMER_ENQUEUE_MS: &str = "TIMER_ENQUEUE_MS";
pub const TIMER_DEQUEUE_MS: &str = "TIMER_DEQUEUE_MS";
pub const TIMER_ROLL_TIMES: &str = "TIMER_ROLL_TIMES";
pub const TIMER_OUT_MS: &str = "TIMER_OUT_MS";
pub const TIMER_DELETE_UNIQUE_KEY: &str = "TIMER_DEL_UNIQKEY";
pub const TIMER_DELAY_LEVEL: &str = "TIMER_DELAY_LEVEL";

/// Host of the producer, where a proxy stands between.
pub const BORN_HOST: &str = "__BORNHOST";
pub const BORN_TIMESTAMP: &str = "BORN_TIMESTAMP";

/// Checksum of the whole record; always the last property.
pub const CRC: &str = "__CRC32#";

pub const BUYER_ID: &str = "BUYER_ID";
pub const TRANSFER_FLAG: &str = "TRANSFER_FLAG";
pub const CORRECTION_FLAG: &str = "CORRECTION_FLAG";
pub const MQ2_FLAG: &str = "MQ2_FLAG";

/// Names that belong to RocketMQ: user properties may not use them.
const RESERVED: [&str; 51] = [
    TAGS,
    KEYS,
    UNIQUE_KEY,
    WAIT,
    DELAY,
    RETRY_TOPIC,
    REAL_TOPIC,
    REAL_QUEUE,
    ORIGIN_MESSAGE_ID,
    RECONSUME_TIME,
    MAX_RECONSUME_TIMES,
    DEAD_LETTER_ORIGIN_TOPIC,
    DEAD_LETTER_ORIGIN_MESSAGE_ID,
    TRANSACTION_PREPARED,
    PRODUCER_GROUP,
    TRANSACTION_PREPARED_QUEUE_OFFSET,
    REGION,
    TRACE_ON,
    CLUSTER,
    MIN_OFFSET,
    MAX_OFFSET,
    CONSUME_START_TIME,
    EXTENDED_UNIQUE_KEY,
    DUPLICATE_INFO,
    INSTANCE_ID,
    CORRELATION_ID,
    REPLY_TO_CLIENT,
    TIME_TO_LIVE,
    ARRIVE_TIME,
    PUSH_REPLY_TIME,
    MESSAGE_TYPE,
    POP_CHECKPOINT,
    POP_CHECKPOINT_OFFSET,
    FIRST_POP_TIME,
    INNER_MULTI_QUEUE_OFFSET,
    TIMER_DELAY_SECONDS,
    TIMER_DELAY_MS,
    TIMER_DELIVER_MS,
    TIMER_ENQUEUE_MS,
    TIMER_DEQUEUE_MS,
    TIMER_ROLL_TIMES,
    TIMER_OUT_MS,
    TIMER_DELETE_UNIQUE_KEY,
    TIMER_DELAY_LEVEL,
    BORN_HOST,
    BORN_TIMESTAMP,
    CRC,
    BUYER_ID,
    TRANSFER_FLAG,
    CORRECTION_FLAG,
    MQ2_FLAG,
];

/// True for a name that belongs to RocketMQ: users may not set it, and it is not shown to them
/// among their own properties.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_may_set_what_rocketmq_lets_them_set() {
        for free in [
            SHARDING_KEY,
            TRACE_CONTEXT,
            TRANSACTION_ID,
            TRANSACTION_CHECK_TIMES,
            CHECK_IMMUNITY_TIME_SECONDS,
            INNER_NUMBER,
            INNER_BASE,
            INNER_MULTI_DISPATCH,
            FORWARD_QUEUE,
            REDIRECT,
            "colour",
        ] {
            assert!(!is_reserved(free), "{free}");
        }
        for reserved in [
            TAGS,
            KEYS,
            WAIT,
            UNIQUE_KEY,
            TIMER_OUT_MS,
            INNER_MULTI_QUEUE_OFFSET,
            CRC,
        ] {
            assert!(is_reserved(reserved), "{reserved}");
        }
    }
}
