//! Speaks to brokers and name servers: producers, consumers, administrators, jobs.
//!
//! One [`Client`] holds the connections; everything else is made from it and is a cheap handle.

mod admin;
mod client;
mod compression;
mod connection;
mod connections;
mod error;
mod filter;
mod jobs;
mod members;
mod name_servers;
mod producer;
mod pull_consumer;
mod pulled;
mod push;
mod route;
mod routes;
mod settings;

pub use admin::{Admin, Key, NewTopic, ResetTo};
pub use client::Client;
pub use error::{Address, Error, Origin};
pub use filter::Filter;
pub use jobs::Jobs;
pub use producer::{Durability, Producer, ProducerSettings, SendReceipt};
pub use protocol::body::{MessageModel, OffsetWrapper, SubscriptionGroup, TopicOffset};
pub use protocol::{CommitEpoch, EpochCommitted, JobState};
pub use pull_consumer::PullConsumer;
pub use pulled::{PullStatus, Pulled};
pub use push::{
    Batch, ConsumeFrom, Listener, Outcome, PushConsumer, PushConsumerBuilder, PushSettings,
};
pub use route::{BrokerQueue, Route, RouteBroker};
pub use settings::{Settings, Timeouts};
