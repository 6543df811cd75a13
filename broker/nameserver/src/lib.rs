//! Who serves which topic: routes by registration, leases that end when a broker falls silent.
//!
//! One writer rebuilds a snapshot; readers never lock. Only the KV configuration is durable, and
//! it lives in `metadata`.

mod lease;
mod registration;
mod routes;

pub use registration::{BrokerAddress, DataVersion, Registered, Registration, TopicQueues};
pub use routes::{BrokerRoute, Cluster, QueueRoute, Routes, TopicRoute};
