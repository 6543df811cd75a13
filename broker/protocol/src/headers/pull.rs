//! Headers of pull requests and their replies.

use crate::ext_fields::FieldSink;
use crate::fields::{Field, headers};

/// What a pull request asks besides messages, as a bit set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PullFlags(pub i32);

impl PullFlags {
    pub const COMMIT_OFFSET: PullFlags = PullFlags(1);
    pub const SUSPEND: PullFlags = PullFlags(2);
    pub const SUBSCRIPTION: PullFlags = PullFlags(4);
    pub const CLASS_FILTER: PullFlags = PullFlags(8);
    pub const LITE_PULL: PullFlags = PullFlags(16);

    pub fn has(self, other: PullFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for PullFlags {
    type Output = PullFlags;
    fn bitor(self, other: PullFlags) -> PullFlags {
        PullFlags(self.0 | other.0)
    }
}

impl<'a> Field<'a> for PullFlags {
    const EXPECTED: &'static str = "a 32-bit integer";
    fn read(text: &'a str) -> Option<Self> {
        i32::read(text).map(PullFlags)
    }
    fn write(&self, name: &'static str, sink: &mut impl FieldSink) {
        self.0.write(name, sink);
    }
}

headers! {
    /// Codes 11 and 361.
    pub struct PullMessage<'a> {
        group: &'a str = b"consumerGroup",
        topic: &'a str = b"topic",
        queue: i32 = b"queueId",
        queue_offset: i64 = b"queueOffset",
        max_messages: i32 = b"maxMsgNums",
        flags: PullFlags = b"sysFlag",
        /// Stored when the flags say so.
        commit_offset: i64 = b"commitOffset" or 0,
        suspend_timeout_ms: i64 = b"suspendTimeoutMillis" or 0,
        /// A filter; counts when the flags say so.
        subscription: Option<&'a str> = b"subscription",
        subscription_version: i64 = b"subVersion" or 0,
        /// `TAG` or `SQL92`; TAG when missing.
        expression_type: Option<&'a str> = b"expressionType",
        max_message_bytes: Option<i32> = b"maxMsgBytes",
        /// -1 a client, 0 to 2 kinds of proxy.
        request_source: Option<i32> = b"requestSource",
        proxy_forward_client_id: Option<&'a str> = b"proxyFrowardClientId",
        broker: Option<&'a str> = b"bname",
    }

    /// Reply to 11 and 361 when the queue could be looked at, whatever was found.
    pub struct PullReply {
        suggested_broker_id: i64 = b"suggestWhichBrokerId",
        group_sys_flag: Option<i32> = b"groupSysFlag",
        next_begin_offset: i64 = b"nextBeginOffset",
        max_offset: i64 = b"maxOffset",
        min_offset: i64 = b"minOffset",
        topic_sys_flag: Option<i32> = b"topicSysFlag",
    }

    /// What stands beside code 16 on a pull.
    pub struct PullForbidden {
        /// 1 broker, 2 group, 3 topic, 4 broadcasting, 5 the pair of group and topic.
        kind: i32 = b"forbiddenType",
    }
}
