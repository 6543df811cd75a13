//! Moving groups to other offsets, and asking consumers where they are.

use serde::{Deserialize, Serialize};

use super::MessageQueue;
use crate::json::Table;

/// Reply to 222, body of 220.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResetOffsets {
    pub offset_table: Table<MessageQueue, i64>,
}

/// Body of 220 as the C++ client needs it: a list, since it cannot read objects as keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResetOffsetsList {
    pub offset_table: Vec<QueueOffsetEntry>,
}

/// One queue and its new offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueOffsetEntry {
    pub broker_name: String,
    pub offset: i64,
    pub queue_id: i32,
    pub topic: String,
}

impl From<&ResetOffsets> for ResetOffsetsList {
    fn from(offsets: &ResetOffsets) -> Self {
        let entry = |(queue, offset): &(MessageQueue, i64)| QueueOffsetEntry {
            broker_name: queue.broker_name.clone(),
            offset: *offset,
            queue_id: queue.queue_id,
            topic: queue.topic.clone(),
        };
        ResetOffsetsList {
            offset_table: offsets.offset_table.iter().map(entry).collect(),
        }
    }
}

/// Reply to 221 and 223.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerStatus {
    /// By client id.
    pub consumer_table: Table<String, Table<MessageQueue, i64>>,
    pub message_queue_table: Table<MessageQueue, i64>,
}
