//! Topics, consumer groups, committed offsets and key-values: what a broker must still know
//! after a restart.
//!
//! A change by an administrator is durable before the call returns. Committed offsets are kept
//! in memory and written in batches by [`Metadata::flush`].

mod committed_offsets;
mod copies;
mod error;
mod export;
mod groups;
mod import;
mod key_values;
mod metadata;
mod tables;
mod topics;

pub use committed_offsets::{Commit, CommittedOffsets};
pub use copies::has_copy;
pub use error::Error;
pub use export::Export;
pub use groups::{GroupConfig, Groups};
pub use import::{Import, Imported};
pub use key_values::KeyValues;
pub use metadata::Metadata;
pub use tables::{Batch, Durability, Entry, FjallTables, MemoryTables, Table, Tables};
pub use topics::{FilterType, Permission, TopicConfig, Topics};
