//! What is written for a RocketMQ, and what is refused.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "export/adopted.rs"]
mod adopted;
#[path = "offline/fixture.rs"]
#[allow(dead_code)]
mod fixture;
#[path = "export/golden.rs"]
mod golden;
#[path = "promises/house.rs"]
#[allow(dead_code)]
mod house;
#[path = "export/places.rs"]
mod places;
#[path = "export/refused.rs"]
mod refused;
#[path = "export/small.rs"]
mod small;
#[path = "export/unfinished.rs"]
mod unfinished;
