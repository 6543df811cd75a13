//! What a job promises over real topics: a broker and a name server in this process.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod groups;
mod growing;
#[path = "../../../../broker/client/tests/client/house.rs"]
#[allow(dead_code)]
mod house;
#[path = "../../../../broker/client/tests/client/inbox.rs"]
#[allow(dead_code)]
mod inbox;
mod script;
