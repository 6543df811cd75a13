//! Measures brokers that speak RocketMQ's remoting protocol: ours and others, by one client.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod bounds;
mod clock;
mod contender;
mod cores;
mod goals;
mod limits;
pub mod load;
mod machine;
mod page;
mod pairs;
mod results;
pub mod suite;
mod usage;
mod workloads;

pub use cores::Placement;
pub use limits::{Limits, PROBES, Probe};
