//! How a job is doing, for whoever asks.

use runtime::Moment;
use state::{Counters, Progress, Stats};
use std::time::Duration;

/// A job after its last committed epoch.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub epoch: u64,
    /// Totals since the job was created, exact across restarts: `rows in`, `rows out`,
    /// `undecodable`, `late`, `failed`, `dead letters`.
    pub counters: Counters,
    /// The smallest watermark of the job's tables, ms since 1970.
    pub watermark: Option<i64>,
    /// Time that the last epoch took from its first row to its commit.
    pub last_epoch: Duration,
    /// When it was committed.
    pub committed: Option<Moment>,
    pub state: Stats,
}

impl Status {
    /// Of a job that is not running.
    pub(crate) fn of(progress: &Progress) -> Self {
        Self {
            epoch: progress.epoch.0,
            counters: progress.counters.clone(),
            ..Self::default()
        }
    }
}
