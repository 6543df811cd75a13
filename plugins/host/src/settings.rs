//! How much of the machine a function may use.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// Limits for every function of one host. The defaults suit functions of a few
/// microseconds per row.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Where compiled code is kept between starts. Only the host may write there:
    /// what lies in it is run. None: every start compiles again.
    pub cache_dir: Option<PathBuf>,
    /// How long one batch, of up to 8,192 rows, may take, in real time.
    pub deadline_ms: u64,
    /// How long a module may take to start and describe itself.
    pub start_deadline_ms: u64,
    /// Linear memory of one instance.
    pub memory_bytes: usize,
    /// Size of a module's file.
    pub module_bytes: usize,
    /// What one batch may hand back.
    pub result_bytes: usize,
    /// Whether components may import `millstream:udf/clock`.
    pub grant_clock: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_dir: None,
            deadline_ms: 1_000,
            start_deadline_ms: 5_000,
            memory_bytes: 64 << 20,
            module_bytes: 32 << 20,
            result_bytes: 32 << 20,
            grant_clock: false,
        }
    }
}

impl Settings {
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    pub(crate) fn start_deadline(&self) -> Duration {
        Duration::from_millis(self.start_deadline_ms)
    }
}
