//! Headers of administering consumer groups and what they have read.

use crate::fields::headers;

headers! {
    /// Code 201. Without these fields everything is asked for.
    pub struct GetAllGroups<'a> {
        sequence: Option<i32> = b"groupSeq",
        data_version: Option<&'a str> = b"dataVersion",
        max_groups: Option<i32> = b"maxGroupNum",
    }

    /// Reply to 201.
    pub struct AllGroupsReply {
        groups: i32 = b"totalGroupNum" or 0,
    }

    /// Codes 343 and 352.
    pub struct GroupNamed<'a> {
        group: &'a str = b"group",
    }

    /// Code 207.
    pub struct DeleteGroup<'a> {
        group: &'a str = b"groupName",
        clean_offsets: bool = b"cleanOffset" or false,
    }

    /// Code 208.
    pub struct GetConsumeStats<'a> {
        group: &'a str = b"consumerGroup",
        topic: Option<&'a str> = b"topic",
        /// Several topics, separated by semicolons.
        topics: Option<&'a str> = b"topicList",
    }

    /// Codes 221, 223, 303 and 345.
    pub struct GroupAndTopic<'a> {
        group: &'a str = b"group",
        topic: &'a str = b"topic",
        client_address: Option<&'a str> = b"clientAddr",
    }

    /// Code 222, and 220 from the broker to its consumers.
    pub struct ResetOffset<'a> {
        group: &'a str = b"group",
        topic: &'a str = b"topic",
        /// Below zero: every queue.
        queue: i32 = b"queueId" or -1,
        offset: Option<i64> = b"offset",
        /// Milliseconds since 1970; -1 the end.
        timestamp: i64 = b"timestamp" or -1,
        force: bool = b"isForce" or false,
    }
}
