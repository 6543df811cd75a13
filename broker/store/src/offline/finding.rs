//! What a check tells.

use super::plan::Plan;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Below the store's directory.
    pub file: String,
    /// Log offset, or position in a file of the index.
    pub position: Option<u64>,
    pub what: String,
    /// What a repair does about it.
    pub repair: String,
    /// The next start mends it by itself, and no acknowledged message is lost by it.
    pub harmless: bool,
}

/// How much was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub segments: u64,
    pub records: u64,
    /// Queues with messages of users or of the broker.
    pub queues: u64,
    /// From the log's first byte to its end.
    pub bytes: u64,
}

/// Everything a check has found.
#[derive(Debug, Default)]
pub struct Check {
    pub findings: Vec<Finding>,
    pub totals: Totals,
    /// The store was not closed in order.
    pub crashed: bool,
    pub(super) plan: Plan,
}

impl Check {
    /// True if the next start opens the store and nothing is lost.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.harmless)
    }

    /// What a repair would do, in its order; nothing for a store that needs none.
    pub fn plan(&self) -> Vec<String> {
        let steps = self.plan.steps.iter();
        steps.map(ToString::to_string).collect()
    }

    /// Why nothing can be repaired, if that is so.
    pub fn hopeless(&self) -> Option<&str> {
        self.plan.hopeless.as_deref()
    }
}
