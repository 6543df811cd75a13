//! What the checks found.

use std::fmt;

/// A promise that was broken, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its number in the list of promises: `D1` to `D16`.
    pub promise: &'static str,
    pub what: String,
}

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub sent: u64,
    pub acknowledged: u64,
    /// Of the acknowledged, those that were to come later.
    pub delayed: u64,
    pub refused: u64,
    pub read: u64,
    pub drained: u64,
    pub finished: u64,
    pub kills: u64,
    pub power_losses: u64,
    /// Acknowledged messages that a loss of power took and was allowed to take.
    pub forfeited: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The first hundred.
    pub violations: Vec<Violation>,
    pub tally: Tally,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.promise, self.what)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} sent, {} acknowledged ({} to come later), {} refused, {} read along, {} finished, {} drained; {} kills, {} losses of power, which took {} messages",
            self.sent,
            self.acknowledged,
            self.delayed,
            self.refused,
            self.read,
            self.finished,
            self.drained,
            self.kills,
            self.power_losses,
            self.forfeited
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.tally)?;
        for violation in &self.violations {
            write!(out, "\n{violation}")?;
        }
        Ok(())
    }
}
