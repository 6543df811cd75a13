//! The doors of broker and name server: listeners, connections, requests and their answers.

mod adoption;
mod broker_door;
mod channel;
mod connection;
mod error;
mod fast_door;
mod hand_back;
mod handlers;
mod latency;
mod listener;
mod name_server_door;
mod pull_progress;
mod registration;
mod respond;
mod series;
mod sessions;
mod statistics;

pub use adoption::adopt;
pub use broker_door::{Broker, Settings as BrokerSettings};
pub use error::Error;
pub use hand_back::{HandedBack, hand_back};
pub use listener::{Listening, listen};
pub use name_server_door::NameServer;
