//! The five things a program takes from its machine: disk, clock, network, randomness, tasks.
//!
//! Each has a real form and a simulated one behind the same handle, so the whole house can
//! run inside a seed. Nothing above this crate reaches around it.

// This is the one crate that may touch the originals.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod clock;
mod disk;
mod net;
mod planted;
mod rng;
mod tasks;

pub use clock::{Clock, Elapsed, Moment, SimClock, SteadyWall};
pub use disk::{Advice, DirEntry, Disk, DiskLock, File, FileId, Mapped, Open, RealDisk, Space};
pub use disk::{DiskFailure, Faults, Operation, SimDisk};
pub use net::{Listener, Net, ReadHalf, SimNet, Stream, WriteHalf};
pub use planted::Planted;
pub use rng::Rng;
pub use tasks::{Panic, Report, Shutdown, Signal, Task, TaskError, TaskGuard, Tasks};
