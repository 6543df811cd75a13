//! What clients promise, against a broker and a name server in the same process.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "client/administering.rs"]
mod administering;
#[path = "client/committing_epochs.rs"]
mod committing_epochs;
#[path = "client/house.rs"]
mod house;
#[path = "client/inbox.rs"]
mod inbox;
#[path = "client/over_tcp.rs"]
mod over_tcp;
#[path = "client/producing.rs"]
mod producing;
#[path = "client/pulling.rs"]
mod pulling;
#[path = "client/pushing.rs"]
mod pushing;
#[path = "client/pushing_in_order.rs"]
mod pushing_in_order;
#[path = "client/several_brokers.rs"]
mod several_brokers;
#[path = "client/sharing.rs"]
mod sharing;
#[path = "client/unreachable.rs"]
mod unreachable;
