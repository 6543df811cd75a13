//! Headers of looking messages up.

use crate::fields::headers;

headers! {
    /// Code 12.
    pub struct QueryMessage<'a> {
        topic: &'a str = b"topic" or "",
        key: &'a str = b"key" or "",
        max_messages: i32 = b"maxNum",
        /// Milliseconds since 1970.
        begin: i64 = b"beginTimestamp",
        /// Milliseconds since 1970.
        end: i64 = b"endTimestamp",
        /// The key is a unique key.
        unique_key: bool = b"_UNIQUE_KEY_QUERY" or false,
        /// `K` a key, `U` a unique key, `T` a tag.
        index: Option<&'a str> = b"indexType",
        last_key: Option<&'a str> = b"lastKey",
    }

    /// Reply to 12.
    pub struct QueryMessageReply {
        index_updated: i64 = b"indexLastUpdateTimestamp",
        index_updated_log_offset: i64 = b"indexLastUpdatePhyoffset",
    }

    /// Code 33.
    pub struct ViewMessage<'a> {
        topic: Option<&'a str> = b"topic",
        log_offset: i64 = b"offset",
    }
}
