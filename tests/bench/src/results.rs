//! What the paired runs have found, as data: written to files, read back for the page.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::contender::Flush;
use crate::limits::Limits;
use crate::load::{Latency, LoadReport};
use crate::pairs::{Ratio, median};

/// One workload, as last run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkloadResult {
    /// `W1` and so on.
    pub workload: String,
    /// When it began, in UTC.
    pub when: String,
    pub machine: Machine,
    /// `split` or `all`: see [`crate::Placement`].
    pub placement: String,
    /// The arguments it was run with.
    pub arguments: String,
    pub comparisons: Vec<Comparison>,
}

/// Where it ran.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    pub filesystem: String,
    /// The commit of the checkout, `+` if it had changes.
    pub commit: String,
}

/// Rounds of one cell of a workload: ours, and a peer if there is one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    pub cell: String,
    pub flush: Flush,
    pub placement: String,
    pub sides: Vec<Side>,
    pub rounds: Vec<Round>,
    /// Bytes of one message on the wire and on the disk, for the limits.
    pub message_bytes: u64,
    /// Messages under way at once, for the limits of `sync`.
    pub outstanding: u64,
}

/// One of the servers; ours is first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Side {
    pub name: String,
    pub version: String,
    pub configuration: String,
}

/// One pair and the probes around it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Round {
    pub before: Limits,
    pub after: Limits,
    /// In the order of the sides.
    pub measured: Vec<Measurement>,
    /// Why it does not count.
    pub dropped: Option<String>,
}

/// What one side did in one round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measurement {
    /// By name, the unit in it.
    pub figures: BTreeMap<String, f64>,
    pub latencies: BTreeMap<String, Latency>,
    /// Everything the generator reported.
    pub raw: Option<LoadReport>,
    /// Why there are no figures.
    pub failed: Option<String>,
}

impl Measurement {
    pub fn set(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }
}

impl Comparison {
    /// Rounds that count. When every one was dropped they all do: the page says so.
    pub fn kept(&self) -> Vec<&Round> {
        let kept: Vec<_> = self
            .rounds
            .iter()
            .filter(|round| round.dropped.is_none())
            .collect();
        match kept.is_empty() {
            true => self.rounds.iter().collect(),
            false => kept,
        }
    }

    pub fn dropped(&self) -> usize {
        self.rounds
            .iter()
            .filter(|round| round.dropped.is_some())
            .count()
    }

    /// Names of everything measured, in order.
    pub fn figures(&self) -> Vec<String> {
        let rounds = self.rounds.iter().flat_map(|round| &round.measured);
        let mut names: Vec<String> = rounds.flat_map(|one| one.figures.keys().cloned()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The median of a figure of one side, over the rounds that count.
    pub fn median(&self, side: usize, figure: &str) -> Option<f64> {
        let values: Vec<f64> = self
            .kept()
            .iter()
            .filter_map(|round| round.measured.get(side)?.figures.get(figure).copied())
            .collect();
        median(&values)
    }

    /// Ours by theirs, paired.
    pub fn ratio(&self, figure: &str) -> Option<Ratio> {
        let pairs: Vec<(f64, f64)> = self
            .kept()
            .iter()
            .filter_map(|round| match &round.measured[..] {
                [ours, theirs] => Some((*ours.figures.get(figure)?, *theirs.figures.get(figure)?)),
                _ => None,
            })
            .collect();
        Ratio::of(&pairs)
    }

    /// The best figure of every probe, before and after any pair.
    pub fn limits(&self) -> Limits {
        let all = self
            .rounds
            .iter()
            .flat_map(|round| [round.before, round.after]);
        all.reduce(|one, two| one.better(&two)).unwrap_or_default()
    }
}

impl WorkloadResult {
    fn file(folder: &Path, workload: &str, placement: &str) -> PathBuf {
        folder.join(format!("{workload}-{placement}.json"))
    }

    /// Keeps it as the newest of its workload and placement.
    pub fn keep(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        self.write(&WorkloadResult::file(
            folder,
            &self.workload,
            &self.placement,
        ))
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(self)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The newest of a workload and placement; `None` if it was never kept.
    pub fn read(folder: &Path, workload: &str, placement: &str) -> Result<Option<WorkloadResult>> {
        let path = WorkloadResult::file(folder, workload, placement);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path)?;
        let result = serde_json::from_str(&text);
        Ok(Some(result.with_context(|| {
            format!("{} is not a result", path.display())
        })?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(ours: f64, theirs: f64, dropped: bool) -> Round {
        let measurement = |value| {
            let mut measurement = Measurement::default();
            measurement.set("messages/s", value);
            measurement
        };
        Round {
            before: Limits::default(),
            after: Limits::default(),
            measured: vec![measurement(ours), measurement(theirs)],
            dropped: dropped.then(|| "steal".to_owned()),
        }
    }

    fn comparison(rounds: Vec<Round>) -> Comparison {
        Comparison {
            cell: "1 KiB".into(),
            flush: Flush::Async,
            placement: "split".into(),
            sides: Vec::new(),
            rounds,
            message_bytes: 1_200,
            outstanding: 1,
        }
    }

    #[test]
    fn a_dropped_pair_does_not_count() {
        let rounds = vec![
            round(20.0, 10.0, false),
            round(90.0, 10.0, true),
            round(30.0, 10.0, false),
        ];
        let comparison = comparison(rounds);
        assert_eq!(comparison.dropped(), 1);
        assert_eq!(comparison.median(0, "messages/s"), Some(25.0));
        assert_eq!(
            comparison.ratio("messages/s").map(|ratio| ratio.median),
            Some(2.5)
        );
    }

    #[test]
    fn when_all_pairs_are_dropped_all_are_shown() {
        let comparison = comparison(vec![round(20.0, 10.0, true), round(30.0, 10.0, true)]);
        assert_eq!((comparison.dropped(), comparison.kept().len()), (2, 2));
    }

    #[test]
    fn a_result_is_read_back_as_it_was_kept() {
        let folder = std::env::temp_dir().join(format!("mill-bench-{}", std::process::id()));
        let result = WorkloadResult {
            workload: "W1".into(),
            when: "now".into(),
            machine: Machine::default(),
            placement: "split".into(),
            arguments: String::new(),
            comparisons: vec![comparison(vec![round(1.0, 2.0, false)])],
        };
        result.keep(&folder).expect("it is written");
        let read = WorkloadResult::read(&folder, "W1", "split").expect("it is readable");
        let read = read.expect("it is there");
        assert_eq!(read.comparisons[0].median(1, "messages/s"), Some(2.0));
        let none = WorkloadResult::read(&folder, "W1", "all").expect("nothing is wrong");
        assert!(none.is_none());
        std::fs::remove_dir_all(&folder).ok();
    }
}
