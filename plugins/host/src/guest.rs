//! What the host keeps beside each instance: its limits, log, clock and randomness.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use runtime::Rng;
use wasmtime::{ResourceLimiter, Store, Trap, UpdateDeadline};

use crate::CallError;
use crate::deadlines::Deadline;
use crate::guest_log::{GuestLog, printable};
use crate::module::Compiled;

/// Elements of one table: function pointers, no data.
const TABLE_ELEMENTS: usize = 100_000;
/// Core instances, memories and tables inside one component.
const PARTS: usize = 32;

pub(crate) struct Guest {
    /// Of the call in progress.
    deadline: Deadline,
    memory_left: usize,
    memory_bytes: usize,
    pub(crate) log: GuestLog,
    /// Microseconds since 1970, as the epoch has it.
    epoch_micros: Arc<AtomicU64>,
    /// Nanoseconds; moves only when it is read, so that two runs read the same.
    monotonic: u64,
    pub(crate) random: Rng,
}

/// The guest wanted more memory than it may have.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("over the memory limit")]
struct OverMemory;

/// The guest called `proc_exit`.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it exited with status {0}")]
pub(crate) struct Exited(pub(crate) i32);

impl Guest {
    /// A store for one instance of the module, its limits in force.
    pub(crate) fn store(
        module: &Compiled,
        epoch_micros: Arc<AtomicU64>,
        deadline: Deadline,
    ) -> Store<Guest> {
        let settings = &module.settings;
        let guest = Self {
            deadline,
            memory_left: settings.memory_bytes,
            memory_bytes: settings.memory_bytes,
            log: GuestLog::new(module.hash.short()),
            epoch_micros,
            monotonic: 1,
            random: Rng::seeded(module.hash.seed()),
        };
        let mut store = Store::new(&module.engine, guest);
        store.limiter(|guest| guest);
        store.set_hostcall_fuel(settings.result_bytes);
        store.epoch_deadline_callback(|store| {
            Ok(if store.data().deadline.has_passed() {
                UpdateDeadline::Interrupt
            } else {
                UpdateDeadline::Continue(1)
            })
        });
        store
    }

    pub(crate) fn epoch_micros(&self) -> u64 {
        self.epoch_micros.load(Ordering::Relaxed)
    }

    /// Never the same twice; a microsecond passes with every look.
    pub(crate) fn monotonic_nanos(&mut self) -> u64 {
        self.monotonic = self.monotonic.saturating_add(1_000);
        self.monotonic
    }

    /// Waiting takes no time: the guest's own clock jumps.
    pub(crate) fn sleep_until(&mut self, nanos: u64) {
        self.monotonic = self.monotonic.max(nanos);
    }
}

impl ResourceLimiter for Guest {
    /// Refusing breaks the guest off at once: one that gets -1 and asks again would
    /// end at its deadline only, with a less helpful error.
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        match self.memory_left.checked_sub(more) {
            Some(left) => {
                self.memory_left = left;
                Ok(true)
            }
            None => Err(OverMemory.into()),
        }
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS {
            return Err(OverMemory.into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }
}

/// Runs guest code until the deadline. After an error the store must not be entered again.
pub(crate) fn within<T>(
    deadline: Deadline,
    module: &Compiled,
    store: &mut Store<Guest>,
    run: impl FnOnce(&mut Store<Guest>) -> wasmtime::Result<T>,
) -> Result<T, CallError> {
    let _running = module.deadlines.keep(deadline)?;
    store.set_epoch_deadline(1);
    store.data_mut().deadline = deadline;
    store.data_mut().log.begin();
    let outcome = run(store);
    store.data_mut().log.end();
    outcome.map_err(|error| {
        let guest = store.data();
        if error.is::<OverMemory>() {
            return CallError::Memory {
                limit_bytes: guest.memory_bytes,
            };
        }
        if let Some(exited) = error.downcast_ref::<Exited>() {
            return trap(exited, guest);
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => deadline.missed(),
            Some(other) => trap(other, guest),
            // Everything else is the canonical ABI refusing what the guest handed over.
            None => CallError::BadOutput(printable(&error.root_cause().to_string())),
        }
    })
}

fn trap(why: &dyn std::fmt::Display, guest: &Guest) -> CallError {
    let why = match guest.log.last_words() {
        Some(words) => format!("{words} ({why})"),
        None => why.to_string(),
    };
    CallError::Trap {
        why,
        rows: Vec::new(),
    }
}
