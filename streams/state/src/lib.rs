//! Keyed state of a streaming job, and the commit that moves it from one epoch to the next
//! together with source positions, watermarks and the rows still to be published.

mod cache;
mod epoch;
mod error;
mod fjall;
mod keys;
mod memory;
mod rows;
mod state;
mod store;
mod wire;

pub use epoch::{Counters, Epoch, Progress, QueueName};
pub use error::Error;
pub use fjall::{FjallSettings, FjallStore};
pub use keys::KeyRange;
pub use memory::{MemoryDisk, MemoryStore};
pub use rows::{RowCodec, Rows};
pub use state::{Commit, Opened, Settings, State, Stats, TableId};
pub use store::{Batch, Direction, Durability, Snapshot, Space, Store, Visit, Write};
