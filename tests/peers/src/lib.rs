//! What tests meet from outside: other people's clients, servers and toolchains, and the
//! processes that are measured.
//!
//! Nothing here is vendored. Each part comes from its own registry by name and version on
//! first use, says so, and stays in the user's cache directory for next time.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod cache;
mod debian;
mod flights;
mod go;
mod maven;
mod process;
mod python;
mod rocketmq;
mod rocketmq_rust;
mod toolchains;
mod tools;
mod up;

pub use cache::{cache, say, stamp};
pub use debian::{find_postgres, require_debian};
pub use flights::{Flights, flights};
pub use go::go_build;
pub use maven::{Jars, javac};
pub use process::Process;
pub use python::python;
pub use rocketmq::RocketMq;
pub use rocketmq_rust::{ROCKETMQ_RUST, RocketMqRust};
pub use toolchains::toolchains;
pub use tools::{cargo_deny, run};
pub use up::up;
