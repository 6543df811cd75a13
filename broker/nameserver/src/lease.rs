//! How long a broker is believed to be alive.

use std::time::Duration;

use runtime::Moment;

/// RocketMQ's default for a broker that names no lease.
const DEFAULT: Duration = Duration::from_secs(120);

/// One process's lease, and the connection that feeds it.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    length: Duration,
    heard: Moment,
    /// The connection it registered on: when that closes, the broker is gone at once.
    connection: u64,
}

impl Lease {
    pub(crate) fn new(length: Option<Duration>, now: Moment, connection: u64) -> Lease {
        Lease {
            length: length.unwrap_or(DEFAULT),
            heard: now,
            connection,
        }
    }

    pub(crate) fn renew(&mut self, now: Moment) {
        self.heard = now;
    }

    pub(crate) fn is_over(&self, now: Moment) -> bool {
        now.since(self.heard) > self.length
    }

    pub(crate) fn is_fed_by(&self, connection: u64) -> bool {
        self.connection == connection
    }
}
