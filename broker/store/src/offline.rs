//! Reads and mends the directory of a store that no broker has open.
//!
//! [`Offline::check`] reads everything and writes nothing; [`Offline::repair`] does what the
//! check proposed. Both see the log as a start does, by the same rules in
//! [`crate::recovery`]. A repair destroys nothing: what it takes out lies in `lost+found`
//! afterwards. Killed on the way, it goes on when it is run again.

mod dump;
mod evidence;
mod examine;
mod export;
mod file_findings;
mod finding;
mod index;
mod keys;
mod ledger;
mod log_findings;
mod losses_to_tell;
mod lost_found;
mod plan;
mod repair;
mod view;

use std::path::PathBuf;
use std::sync::Arc;

use runtime::{Disk, DiskLock};

use crate::Error;
use crate::layout::Layout;

pub use dump::Dumped;
pub use export::{ExportAs, ExportError, ExportShape, ExportStage, Exported, Target};
pub use finding::{Check, Finding, Totals};

/// A store's directory, held against brokers while this lives.
pub struct Offline {
    disk: Arc<dyn Disk>,
    layout: Layout,
    _lock: Option<DiskLock>,
}

impl Offline {
    /// Takes the directory, unless a broker has it open. Nothing is made in it.
    pub fn open(root: PathBuf, disk: Arc<dyn Disk>) -> Result<Self, Error> {
        let layout = Layout::new(&root);
        let doing = "looking at the directory";
        let exists = |path| disk.exists(path).map_err(Error::disk(doing));
        if !exists(&layout.log)? {
            return Err(Error::NoStore { path: root });
        }
        // Whoever has had a store open has made the lock.
        let lock = match exists(&layout.lock)? {
            true => Some(crate::store::lock(disk.as_ref(), &layout)?),
            false => None,
        };
        Ok(Self {
            disk,
            layout,
            _lock: lock,
        })
    }

    /// Reads all of the store and says what is wrong with it. `progress` hears how many bytes
    /// of the log are read, and of how many.
    pub fn check(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Check, Error> {
        examine::examine(&self.disk, &self.layout, progress)
    }

    /// Does what `check` has planned; `said` hears each step before it is taken, and whether it
    /// has been taken.
    pub fn repair(&self, check: &Check, said: &mut dyn FnMut(&str, bool)) -> Result<(), Error> {
        repair::repair(&self.disk, &self.layout, check, said)
    }

    /// Hands on what the log holds from `from` on, in its order, for as long as `each` says
    /// yes.
    pub fn dump(&self, from: u64, each: &mut dyn FnMut(Dumped<'_>) -> bool) -> Result<(), Error> {
        dump::dump(&self.disk, &self.layout, from, each)
    }
}
