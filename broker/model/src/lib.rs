//! The nouns every wing shares: names, positions, the message, and RocketMQ's record format.
//!
//! Bytes come in and bytes go out; nothing here reads a file, a socket or a clock.

pub mod batch;
mod index_key;
mod java_hash;
mod message;
mod message_id;
mod name;
mod position;
pub mod properties;
pub mod record;
mod sys_flag;
pub mod system_topics;
mod unique_key;

pub use index_key::{IndexKey, index_keys, index_keys_of, tags_code};
pub use java_hash::java_hash;
pub use message::{Message, MessageView, StoredMessage};
pub use message_id::{MessageId, MessageIdText};
pub use name::{ConsumerGroup, NameError, Topic};
pub use position::{LogOffset, QueueId, QueueOffset, Timestamp};
pub use properties::{Properties, PropertiesView};
pub use record::{Checksum, RecordError};
pub use sys_flag::{Compression, SysFlag, TransactionState};
pub use unique_key::{UniqueKey, UniqueKeys};
