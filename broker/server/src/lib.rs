//! The doors of broker and name server: listeners, connections, requests and their answers.

mod admission;
mod adoption;
mod broker_door;
mod bytes_in_flight;
mod channel;
mod connection;
mod doorkeeper;
mod error;
mod fast_door;
mod hand_back;
mod handlers;
mod latency;
mod limits;
mod listener;
mod name_server_door;
mod output;
mod patience;
mod pull_progress;
mod registration;
mod respond;
mod series;
mod sessions;
mod statistics;
mod turned_away;

pub use adoption::adopt;
pub use broker_door::{Broker, Settings as BrokerSettings, Usage};
pub use delivery::PollLimits;
pub use error::Error;
pub use hand_back::{HandedBack, hand_back};
pub use limits::Limits;
pub use listener::Listening;
pub use name_server_door::NameServer;
