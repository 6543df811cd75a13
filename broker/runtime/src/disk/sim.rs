//! A disk inside a seed: it forgets what a power cut may take, and fails as disks fail.
//!
//! Each file has what programs see and what is durable; between them lie pending sectors of
//! 512 bytes, of which a crash keeps an arbitrary part. Names have the same two layers.

mod content;
mod faults;
mod file;
mod inode;
mod mount;
mod tree;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::Disk;
use crate::Rng;
pub use faults::{DiskFailure, Faults, Operation};
use inode::Inode;
use mount::Mount;
use tree::{NodeId, Tree};

/// Drives a simulated disk. Cheap to clone; all clones are the same disk.
///
/// The code under test gets [`SimDisk::mount`]. After a crash, what was mounted before is
/// dead, so that tasks left over from before it cannot touch the disk; mount again.
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

struct Shared {
    rng: Rng,
    state: Mutex<State>,
}

type Hook = Arc<dyn Fn(Operation, &Path) + Send + Sync>;

/// All of the disk. Guarded by one lock, never held while the hook runs.
struct State {
    tree: Tree,
    /// Counts crashes and kills: a handle from an earlier life is dead.
    life: u64,
    locks: BTreeSet<NodeId>,
    faults: Faults,
    coming: BTreeMap<Operation, VecDeque<DiskFailure>>,
    calls: BTreeMap<Operation, u64>,
    /// The power fails when the changes left come to 0, and is off then.
    power: Option<u64>,
    capacity: Option<u64>,
    hook: Option<Hook>,
}

impl SimDisk {
    /// An empty disk without faults. Everything it draws comes from `rng`.
    pub fn new(rng: Rng) -> SimDisk {
        let state = State {
            tree: Tree::new(),
            life: 0,
            locks: BTreeSet::new(),
            faults: Faults::default(),
            coming: BTreeMap::new(),
            calls: BTreeMap::new(),
            power: None,
            capacity: None,
            hook: None,
        };
        SimDisk {
            shared: Arc::new(Shared {
                rng,
                state: Mutex::new(state),
            }),
        }
    }

    /// The disk as programs see it, until the next crash or kill.
    pub fn mount(&self) -> Arc<dyn Disk> {
        let life = self.shared.state.lock().life;
        Arc::new(Mount {
            disk: self.clone(),
            life,
        })
    }

    /// The power fails and comes back. An arbitrary part of the unsynced sectors, lengths and
    /// names survives; all that was synced does. Handles, mounts and locks are dead.
    pub fn crash(&self) {
        let mut state = self.shared.state.lock();
        state.tree.crash(&self.shared.rng);
        state.new_life();
    }

    /// The program dies and the machine does not: nothing written is lost, but handles,
    /// mounts and locks are dead.
    pub fn kill(&self) {
        let mut state = self.shared.state.lock();
        state.tree.close_all();
        state.new_life();
    }

    /// From now on these faults happen. They stay through a crash.
    pub fn arm(&self, faults: Faults) {
        self.shared.state.lock().faults = faults;
    }

    /// From now on no faults happen, nor those that `fail_next` announced.
    pub fn disarm(&self) {
        let mut state = self.shared.state.lock();
        state.faults = Faults::default();
        state.coming.clear();
    }

    /// The next call of this kind fails. A `Sync` that fails drops what was pending and lies
    /// the next time. Called twice, the next two fail.
    pub fn fail_next(&self, operation: Operation, failure: DiskFailure) {
        self.shared
            .state
            .lock()
            .coming
            .entry(operation)
            .or_default()
            .push_back(failure);
    }

    /// After so many more calls that change the disk every call fails, until [`SimDisk::crash`]
    /// brings the power back. This is how a test crashes at each step of an operation.
    pub fn power_fails_after(&self, changes: u64) {
        // The call that takes the last one fails.
        self.shared.state.lock().power = Some(changes.saturating_add(1));
    }

    pub fn has_power(&self) -> bool {
        self.shared.state.lock().power != Some(0)
    }

    /// How many bytes of file contents fit; without it there is no end.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.state.lock().capacity = bytes;
    }

    /// Forgets the cache: what is durable now is cold, and may be found rotten.
    pub fn cool(&self) {
        self.shared.state.lock().tree.files().for_each(Inode::cool);
    }

    /// Turns around one bit of the byte at `at`, on the disk and for every reader. Bytes that
    /// were never written do not rot.
    pub fn flip_bit(&self, path: &Path, at: u64, bit: u8) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        let node = state.tree.find(path)?;
        state.tree.file(node)?.flip_bit(at, bit);
        Ok(())
    }

    /// Calls `hook` before every call except `pread_nowait`, on the caller's thread and with
    /// no lock held: it may block there, which is a disk that stalls.
    pub fn on_call(&self, hook: impl Fn(Operation, &Path) + Send + Sync + 'static) {
        let _earlier = self.shared.state.lock().hook.replace(Arc::new(hook));
    }

    /// How many calls of this kind were made, failed ones included.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.shared
            .state
            .lock()
            .calls
            .get(&operation)
            .copied()
            .unwrap_or(0)
    }

    fn rng(&self) -> &Rng {
        &self.shared.rng
    }

    /// Admits a call of the given life, or says why it fails. `Sync` asks for its failure
    /// itself, because it has effects.
    fn begin(
        &self,
        operation: Operation,
        path: &Path,
        life: u64,
    ) -> io::Result<MutexGuard<'_, State>> {
        let hook = self.shared.state.lock().hook.clone();
        if let Some(hook) = hook {
            hook(operation, path);
        }
        let mut state = self.admit(life)?;
        *state.calls.entry(operation).or_default() += 1;
        if operation.changes()
            && let Some(left) = &mut state.power
        {
            *left -= 1;
            if *left == 0 {
                return Err(io::Error::other("the power failed"));
            }
        }
        if operation != Operation::Sync
            && let Some(failure) = state.failure(operation)
        {
            return Err(failure.into());
        }
        Ok(state)
    }

    fn admit(&self, life: u64) -> io::Result<MutexGuard<'_, State>> {
        let state = self.shared.state.lock();
        if state.life != life {
            return Err(io::Error::other("opened before the crash"));
        }
        if state.power == Some(0) {
            return Err(io::Error::other("the power is off"));
        }
        Ok(state)
    }
}

impl State {
    fn new_life(&mut self) {
        self.life += 1;
        self.locks.clear();
        self.coming.clear();
        self.power = None;
    }

    fn failure(&mut self, operation: Operation) -> Option<DiskFailure> {
        self.coming.get_mut(&operation)?.pop_front()
    }

    /// Whether a file may grow its space from `held` bytes to `wanted`.
    fn has_space(&self, held: u64, wanted: u64) -> bool {
        let Some(capacity) = self.capacity else {
            return true;
        };
        let more = inode::rounded(wanted).saturating_sub(inode::rounded(held));
        more == 0 || self.tree.used() + more <= capacity
    }
}
