//! What threads of the store meet at: locks, conditions, atomics.
//!
//! Everywhere but in `cargo xtask schedules` these are `parking_lot`'s and the standard
//! library's own. There they are those of loom or shuttle, which decide who runs when. One-shot
//! channels stay tokio's: each use of one counts as a single step, and what happens within it
//! tokio tries by itself.

#[cfg(all(test, any(scheduler = "loom", scheduler = "shuttle")))]
mod scheduled;

#[cfg(not(all(test, any(scheduler = "loom", scheduler = "shuttle"))))]
pub(crate) use parking_lot::{Condvar, Mutex, RwLock};
#[cfg(not(all(test, any(scheduler = "loom", scheduler = "shuttle"))))]
pub(crate) use std::sync::atomic;

#[cfg(all(test, scheduler = "loom"))]
pub(crate) use scheduled::explore;
#[cfg(all(test, any(scheduler = "loom", scheduler = "shuttle")))]
pub(crate) use scheduled::{Condvar, Mutex, RwLock, atomic};
