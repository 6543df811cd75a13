//! How much the doors take in, and how long they wait for it.

use std::time::Duration;

use delivery::PollLimits;
use protocol::{FRAME_LIMIT, HEADER_LIMIT};

use crate::Error;

/// What an operator may choose about a role's doors. All of it is on by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at all doors together; further ones are closed at once.
    pub connections: usize,
    /// Connections from one address.
    pub connections_of_address: usize,
    /// Bytes of requests that arrive or are under way, of all connections: one half for large
    /// frames that arrive, the other for what is under way. Beyond it sockets are not read.
    pub bytes_in_flight: usize,
    /// Bytes of requests under way, of one connection. Beyond it its socket is not read.
    pub bytes_in_flight_of_connection: usize,
    /// Bytes of sends that wait for the disk; further sends are refused.
    pub sends_waiting: usize,
    /// The disk is taken for stalled when sends wait and none was answered for so long.
    pub stall: Duration,
    /// How long a send waits for a disk that is stalled, or has too much to do, before it is
    /// refused.
    pub admission: Duration,
    /// From the first byte of a frame to the last one of its header, and between any two
    /// arrivals after that.
    pub header: Duration,
    /// Without a byte in either direction; also the longest that one frame may take.
    pub idle: Duration,
    /// How long a client may take no byte of what it is sent.
    pub write: Duration,
    pub polls: PollLimits,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 65_536,
            connections_of_address: 16_384,
            bytes_in_flight: 256 << 20,
            bytes_in_flight_of_connection: 16 << 20,
            sends_waiting: 64 << 20,
            stall: Duration::from_secs(1),
            admission: Duration::from_millis(200),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            write: Duration::from_secs(30),
            polls: PollLimits::default(),
        }
    }
}

/// Refuses a body limit that no frame could reach.
pub fn check_body_limit(bytes: usize) -> Result<(), Error> {
    /// A frame's length and its mark.
    const MARKS: usize = 8;
    let limit = FRAME_LIMIT - HEADER_LIMIT - MARKS;
    match bytes <= limit {
        true => Ok(()),
        false => Err(Error::BodyLimit { bytes, limit }),
    }
}
