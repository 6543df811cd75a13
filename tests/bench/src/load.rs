//! The generator: plain remoting over TCP against any broker that speaks it.
//!
//! One thread, one loop. Requests are copies of frames that were encoded once; their latency
//! counts from the time they were meant to be sent.

mod catch_up;
mod frame;
mod group;
mod java;
mod ledger;
mod link;
mod plan;
mod produce;
mod producer;
mod reply;
mod report;
mod rpc;
mod run;
mod schedule;
pub mod serving;
mod slots;
mod spread;
mod subscription;
mod traffic;

pub use java::JavaClient;
pub use plan::{Client, Plan};
pub use report::{CaughtUp, Consumed, Cost, Latency, LoadReport, OWN_SHARE, Produced};
pub use run::run;
pub use spread::Spread;
pub use subscription::Subscription;
