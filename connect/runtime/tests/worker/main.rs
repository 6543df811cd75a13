//! What the runtime promises, against a broker in memory that can fail, and against a real one.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod broker_in_memory;
mod crash;
mod delivery;
mod files;
mod other_words;
mod process;
mod real_broker;
mod repositions;
mod rest;
