//! Why a door could not be opened.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What stops a server from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("limits.body is {bytes} bytes, and a frame carries {limit} at most")]
    BodyLimit { bytes: usize, limit: usize },
    /// What a RocketMQ kept beside its log.
    #[error("the configuration in {} cannot be taken over: {why}", path.display())]
    Adoption { path: PathBuf, why: String },
    #[error("the broker's own topics cannot be made: {0}")]
    Metadata(#[from] metadata::Error),
    #[error(transparent)]
    Delivery(#[from] delivery::Error),
}
