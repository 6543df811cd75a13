//! What a place for state must do: answer point reads and scans, and apply one batch whole.

use crate::{Error, KeyRange};
use bytes::Bytes;
use std::{ops::ControlFlow, sync::Arc};

/// The store's separate key spaces. A batch may write to all of them and is still one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// `operator ▸ table ▸ key` to row.
    Rows,
    /// What the job's last committed epoch was, and how its tables are laid out.
    Meta,
    /// Epoch number to what that epoch publishes.
    Outbox,
}

/// One change. Later changes of a batch win over earlier ones of the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    Put {
        space: Space,
        key: Bytes,
        value: Bytes,
    },
    Delete {
        space: Space,
        key: Bytes,
    },
}

/// Changes that happen together or not at all.
pub type Batch = Vec<Write>;

/// What a successful commit means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The batch survives a power loss.
    Synced,
    /// The batch survives the process; a power loss may take it, and every later one with it,
    /// until [`Store::sync`] returns.
    Buffered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

/// Receives each key and value of a scan; may end it.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Reads of one moment. Later commits do not show.
pub trait Snapshot: Send + Sync {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error>;

    /// Visits the range's keys in byte order.
    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error>;
}

/// A place for state. All calls block; one job owns one store.
pub trait Store: Send + Sync {
    /// One answer per key, in order.
    fn get_many(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error>;

    /// Visits the range's keys in byte order.
    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error>;

    /// Applies the batch whole or not at all, even across a crash.
    ///
    /// # Errors
    /// After an error the batch may or may not be there, and every later call fails.
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), Error>;

    /// Returns once every earlier commit survives a power loss.
    fn sync(&self) -> Result<(), Error>;

    /// What is committed now.
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error>;
}
