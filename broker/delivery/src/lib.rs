//! When a stored message is shown, and to whom: pulls, filters, retries, delays, order, epochs.

mod carried;
mod delay_levels;
mod epochs;
mod error;
mod filter;
mod long_polls;
mod publish;
mod pull;
mod queue_locks;
mod refused;
mod retry;
mod schedule;

pub use delay_levels::DelayLevel;
pub use epochs::{EpochCommit, EpochCommitted, Epochs, ShardState};
pub use error::Error;
pub use filter::Filter;
pub use long_polls::{Interest, LongPolls, PollLimits, Waiting};
pub use publish::Publisher;
pub use pull::{Hold, Pull, PullStatus, Pulled, Pulls};
pub use queue_locks::QueueLocks;
pub use refused::{Refused, Resource};
pub use retry::{Failure, Retries};
pub use schedule::Schedule;
