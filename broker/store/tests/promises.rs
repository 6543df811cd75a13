//! What the store promises to those who use it, one thing per test.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "promises/disk.rs"]
mod disk;
#[path = "promises/house.rs"]
mod house;
#[path = "promises/keys.rs"]
mod keys;
#[path = "promises/queues.rs"]
mod queues;
#[path = "promises/recycling.rs"]
mod recycling;
#[path = "promises/retention.rs"]
mod retention;
#[path = "promises/starts.rs"]
mod starts;
