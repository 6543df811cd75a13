//! How a job is paced.

use std::time::Duration;

/// Limits and times of one job.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most rows of one epoch, over all sources.
    pub epoch_rows: usize,
    /// Most bytes of records of one epoch, over all sources.
    pub epoch_bytes: usize,
    /// How long a pull waits for the first row when nothing is there.
    pub linger: Duration,
    /// How long a queue that is read to its end may be silent before it no longer holds back
    /// the watermark. `None`: it holds it back for ever.
    pub idle_timeout: Option<Duration>,
    pub sync: Sync,
    /// Memory for the rows of the job's state.
    pub state: state::Settings,
    /// Wait before an epoch that could not be published is tried again.
    pub publish_retry: Duration,
}

/// When committed epochs are made to survive a power loss. None is published before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// At once.
    EveryEpoch,
    /// Several epochs together, so long after the last time.
    Every(Duration),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            epoch_rows: 64 << 10,
            epoch_bytes: 32 << 20,
            linger: Duration::from_millis(20),
            idle_timeout: Some(Duration::from_secs(5)),
            sync: Sync::EveryEpoch,
            state: state::Settings::default(),
            publish_retry: Duration::from_millis(200),
        }
    }
}
