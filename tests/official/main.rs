//! RocketMQ's own clients and tools against the real binary.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod clients;
mod lines;
mod millstream;
mod remoting;
