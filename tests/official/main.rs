//! RocketMQ's own clients and tools against the real binary.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../support/addresses.rs"]
mod addresses;
mod adopt;
mod clients;
mod lines;
mod masks;
mod millstream;
mod mqadmin;
mod remoting;
mod rocketmq;
