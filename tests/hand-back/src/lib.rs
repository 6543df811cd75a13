//! What the hand-back of a store needs: our broker within the test, and Java programs that
//! meet it and a real RocketMQ alike.
//!
//! A crate of its own, so that it can be tried without building streams and connect.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod broker;
mod java;

pub use broker::{ADDRESS, OurBroker};
pub use java::{Messages, Place, consumed, run};
