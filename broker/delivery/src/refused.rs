//! What somebody is told who would go over a limit: what is short, and when to come again.

use std::fmt;
use std::time::Duration;

/// A request that would go over a limit. Its text is what the client reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{resource}: {in_use} of {limit} are in use, held by {holder}; try again in {} ms",
    retry_after.as_millis()
)]
pub struct Refused {
    pub resource: Resource,
    pub limit: u64,
    pub in_use: u64,
    pub holder: String,
    pub retry_after: Duration,
}

/// What can run short. Named as its setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Pulls that wait for a message, in the whole broker.
    Polls,
    /// Pulls that wait for a message, of one group at one queue.
    PollsOfQueue,
    /// Bytes of sends that wait for the disk.
    SendsWaiting,
    /// Milliseconds in which the disk answered no send.
    Stall,
}

impl fmt::Display for Resource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Resource::Polls => "waiting pulls (limits.polls)",
            Resource::PollsOfQueue => "waiting pulls (limits.polls-of-queue)",
            Resource::SendsWaiting => "bytes of waiting sends (limits.sends-waiting)",
            Resource::Stall => "milliseconds without an answer of the disk (limits.stall)",
        })
    }
}
