//! All of a broker's metadata behind one door.

use std::path::Path;
use std::sync::Arc;

use crate::tables::{Durability, FjallTables, Tables};
use crate::{CommittedOffsets, Error, Groups, KeyValues, Topics};

/// Topics, groups, committed offsets and key-values. Handlers ask for the part they need.
#[derive(Clone)]
pub struct Metadata {
    pub topics: Arc<Topics>,
    pub groups: Arc<Groups>,
    pub offsets: Arc<CommittedOffsets>,
    pub key_values: Arc<KeyValues>,
}

impl Metadata {
    /// Opens the metadata kept in `folder`, which is made if it is missing.
    pub fn open(folder: &Path) -> Result<Metadata, Error> {
        Metadata::over(Arc::new(FjallTables::open(folder)?))
    }

    /// Metadata over any tables: simulated runs pass [`crate::MemoryTables`].
    pub fn over(tables: Arc<dyn Tables>) -> Result<Metadata, Error> {
        Ok(Metadata {
            topics: Arc::new(Topics::load(tables.clone())?),
            groups: Arc::new(Groups::load(tables.clone())?),
            offsets: Arc::new(CommittedOffsets::load(tables.clone())?),
            key_values: Arc::new(KeyValues::load(tables)?),
        })
    }

    /// Writes committed offsets that changed since the last call.
    pub fn flush(&self, durability: Durability) -> Result<usize, Error> {
        self.offsets.flush(durability)
    }

    /// Makes committed offsets survive a loss of power, if any has changed; returns how many.
    pub fn keep(&self) -> Result<usize, Error> {
        if self.offsets.are_kept() {
            return Ok(0);
        }
        self.flush(Durability::Now)
    }
}
