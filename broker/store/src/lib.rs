//! The commit log and its indexes: where messages lie, and how they survive.

mod appender;
mod blocks;
mod catch_up;
mod checkpoint;
mod damage;
mod dispatch;
mod error;
mod fence;
mod flusher;
mod guard;
mod health;
mod hot_ring;
mod housekeeping;
mod key_index;
mod key_query;
mod key_upkeep;
mod layout;
mod log_reader;
mod losses;
mod offline;
mod publisher;
mod queue_index;
mod read;
mod records;
mod recovery;
mod recycle_pool;
#[cfg(test)]
mod reference;
mod reserve;
mod retention;
mod segment;
mod segments;
mod settings;
mod stats;
mod store;
mod sync;
mod time_search;
mod watermark;

pub use appender::{Appended, Gathered};
pub use error::Error;
pub use offline::{
    Check, Dumped, ExportAs, ExportError, ExportShape, ExportStage, Exported, Finding, Offline,
    Target, Totals,
};
pub use publisher::Arrivals;
pub use queue_index::IndexEntry;
pub use read::{Bounds, Everything, Read, ReadLimit, ReadStatus, Wanted};
pub use records::Records;
pub use recovery::{Cut, Recovery};
pub use settings::{Flush, RecordChecksum, Settings};
pub use stats::Stats;
pub use store::MessageStore;
pub use time_search::Boundary;
