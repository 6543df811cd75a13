//! What real clients and a real RocketMQ 5.5.0 said to each other, understood and said again.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod bodies;
mod captured;
mod damage;
mod damaged;
mod decoders;
mod frames;
mod headers;
