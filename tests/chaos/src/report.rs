//! What a run came to, for a person and for the file of runs.

use std::fmt;

use history::{Tally, Violation};

/// Of one round.
#[derive(Clone, Debug, Default)]
pub struct Round {
    pub seed: u64,
    /// What was done, and how often.
    pub blows: Vec<(&'static str, u64)>,
    pub tally: Tally,
    pub violations: Vec<Violation>,
    /// Milliseconds from each start to the first acknowledgement.
    pub waits: Vec<i64>,
    pub segments: usize,
    /// How long before a loss of power the oldest message that it took was acknowledged.
    pub oldest_taken_ms: Option<u64>,
    pub notes: Vec<String>,
}

/// Of all rounds of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub rounds: Vec<Round>,
    /// Why a kind of trouble could not be made here.
    pub skipped: Vec<String>,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.rounds.iter().all(|round| round.violations.is_empty())
    }

    pub fn cycles(&self) -> u64 {
        let blows = self.rounds.iter().flat_map(|round| &round.blows);
        blows.map(|(_, count)| count).sum()
    }

    pub fn attempts(&self) -> u64 {
        self.rounds.iter().map(|round| round.tally.sent).sum()
    }

    pub fn acknowledged(&self) -> u64 {
        self.rounds
            .iter()
            .map(|round| round.tally.acknowledged)
            .sum()
    }

    /// Acknowledged messages that a loss of power took and was allowed to take.
    pub fn forfeited(&self) -> u64 {
        self.rounds.iter().map(|round| round.tally.forfeited).sum()
    }

    /// Median and worst of the waits for the first acknowledgement after a start.
    pub fn waits(&self) -> Option<(i64, i64)> {
        let waits = self.rounds.iter().flat_map(|round| &round.waits);
        let mut waits: Vec<i64> = waits.copied().collect();
        waits.sort_unstable();
        Some((*waits.get(waits.len() / 2)?, *waits.last()?))
    }

    pub fn verdict(&self) -> String {
        let broken: Vec<_> = self
            .rounds
            .iter()
            .flat_map(|round| &round.violations)
            .collect();
        match broken[..] {
            [] => "clean".to_owned(),
            [first, ..] => format!("{} broken", first.promise),
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blows: Vec<_> = self
            .blows
            .iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        write!(
            out,
            "seed {}: {}; {} segments; {}",
            self.seed,
            blows.join(", "),
            self.segments,
            self.tally
        )?;
        if let Some(oldest) = self.oldest_taken_ms {
            write!(out, ", the oldest {oldest} ms old")?;
        }
        for note in &self.notes {
            write!(out, "\n  {note}")?;
        }
        for violation in &self.violations {
            write!(out, "\n  {violation}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = match self.is_clean() {
            true => "lost=0".to_owned(),
            false => self.verdict(),
        };
        write!(
            out,
            "{} cycles, {} attempts, {} acknowledged, {lost}",
            self.cycles(),
            self.attempts(),
            self.acknowledged(),
        )?;
        if self.forfeited() > 0 {
            write!(
                out,
                " of what was promised ({} younger than the flush interval went with the power)",
                self.forfeited()
            )?;
        }
        if let Some((median, worst)) = self.waits() {
            write!(
                out,
                "; first acknowledgement after a start: median {median} ms, worst {worst} ms"
            )?;
        }
        for why in &self.skipped {
            write!(out, "\nskipped: {why}")?;
        }
        Ok(())
    }
}
