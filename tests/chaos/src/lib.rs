//! A real broker as a process, under the load of real clients, while things go wrong.
//!
//! A run has rounds. In each the broker is killed, stopped, cut off, deprived of room, damaged
//! or deprived of power, as its seed decides; then everything heals, all is read, and what
//! clients observed is judged by [`history`], which knows nothing of the broker.

// Processes, sockets and file systems of the machine itself are what this is about.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod body;
mod broker;
mod damage;
mod delays;
mod full;
mod java_load;
mod nemesis;
mod plan;
mod power;
mod producers;
mod proxy;
mod readers;
mod recorder;
mod report;
mod run;
mod runs;
mod rust_load;
mod target;
mod world;

pub use plan::{Clients, Flush, Nemesis, Plan};
pub use report::{Report, Round};
pub use run::run;
pub use runs::record;
pub use target::Target;
