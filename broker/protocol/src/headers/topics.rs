//! Headers of administering topics.

use crate::fields::headers;

headers! {
    /// Code 17.
    pub struct CreateTopic<'a> {
        topic: &'a str = b"topic",
        default_topic: &'a str = b"defaultTopic" or "",
        read_queues: i32 = b"readQueueNums",
        write_queues: i32 = b"writeQueueNums",
        permission: i32 = b"perm",
        filter_type: Option<&'a str> = b"topicFilterType",
        sys_flag: i32 = b"topicSysFlag" or 0,
        ordered: bool = b"order" or false,
        /// Changes as `+name=value,-name`.
        attributes: Option<&'a str> = b"attributes",
        force: Option<bool> = b"force",
    }

    /// Codes 202, 215, 217 and 300.
    pub struct TopicNamed<'a> {
        topic: &'a str = b"topic",
    }

    /// Code 351.
    pub struct GetTopicConfig<'a> {
        topic: &'a str = b"topic",
        static_topic: Option<bool> = b"lo",
    }

    /// Code 21. Without these fields everything is asked for.
    pub struct GetAllTopicConfig<'a> {
        sequence: Option<i32> = b"topicSeq",
        data_version: Option<&'a str> = b"dataVersion",
        max_topics: Option<i32> = b"maxTopicNum",
    }

    /// Reply to 21.
    pub struct AllTopicConfigReply {
        topics: i32 = b"totalTopicNum" or 0,
    }
}
