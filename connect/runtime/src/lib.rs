//! Runs connectors: configurations, tasks, positions, retries and dead letters, and Kafka
//! Connect's REST API over all of it.

mod broker;
mod broker_client;
mod catalogue;
mod committer;
mod config;
mod dead_letter;
mod error;
mod layout;
mod loggers;
mod owner;
mod positions;
mod reposition;
mod rest;
mod retry;
mod status;
mod supervisor;
mod task;
mod topics;
mod worker;

pub use broker::{Bounds, Broker, BrokerError, Commit, Pulled, ShardState};
pub use broker_client::ClientBroker;
pub use catalogue::{Catalogue, NotFound, Plugin};
pub use config::{Checked, Config, ConnectorFile, Flat, Tree, TreeError, canonical, check};
pub use error::Error;
pub use loggers::{Level, Logger, Loggers};
pub use reposition::Wanted;
pub use rest::{router, serve};
pub use status::{ConnectorStatus, State, TaskStatus};
pub use task::Target;
pub use worker::{Info, Parts, Settings, Worker};
