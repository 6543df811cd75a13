//! What a check says of a damaged store, and what is served after a repair.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "offline/damage.rs"]
mod damage;
#[path = "offline/dump.rs"]
mod dump;
#[path = "offline/fixture.rs"]
mod fixture;
#[path = "promises/house.rs"]
#[allow(dead_code)]
mod house;
#[path = "offline/kills.rs"]
mod kills;
#[path = "offline/rocketmq.rs"]
mod rocketmq;
#[path = "offline/rows.rs"]
mod rows;
#[path = "offline/tail.rs"]
mod tail;
