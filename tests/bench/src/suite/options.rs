//! What a suite run may be told: arguments of `mill-bench run`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use crate::contender::Kind;
use crate::cores::Placement;
use crate::workloads::{self, Workload};

/// Which workloads, beside whom, how often.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// W1, W2 and so on, or all.
    #[arg(long, value_delimiter = ',', required = true)]
    pub workload: Vec<String>,
    /// rocketmq, rocketmq-tuned, rocketmq-rocksdb, rocketmq-rust, kafka; without any, ours runs alone.
    #[arg(long, value_delimiter = ',')]
    pub peers: Vec<String>,
    /// Pairs of each cell.
    #[arg(long, default_value_t = 5)]
    pub rounds: u32,
    /// Longest time of one measurement.
    #[arg(long, default_value_t = 25.0)]
    pub seconds: f64,
    /// Seconds of load before the first round, for compilers that learn.
    #[arg(long, default_value_t = 30.0)]
    pub warm_up: f64,
    /// GiB that one side may write in one cell.
    #[arg(long, default_value_t = 8.0)]
    pub store_gib: f64,
    /// Every cell of the workload, not only the headlines.
    #[arg(long)]
    pub all: bool,
    /// Only the cells that a goal is about, beside peers where it compares with them.
    #[arg(long, conflicts_with = "all")]
    pub goals: bool,
    /// Only cells whose name contains this.
    #[arg(long)]
    pub only: Option<String>,
    /// `split`: broker and generator have a core each; `all`: they share what there is.
    #[arg(long, default_value = "split", value_parser = Placement::NAMES)]
    pub placement: String,
    /// The program to measure: `millstream`, or the broker alone.
    #[arg(long)]
    pub binary: PathBuf,
    /// Where stores are made; the cache folder if nothing is said.
    #[arg(long)]
    pub folder: Option<PathBuf>,
    /// Writes everything that was measured.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Writes the page of all workloads' newest results.
    #[arg(long)]
    pub record: Option<PathBuf>,
}

impl Options {
    pub fn kinds(&self) -> Result<Vec<Kind>> {
        self.peers.iter().map(|name| name.parse()).collect()
    }

    pub fn millstream(&self) -> Kind {
        Kind::Millstream(self.binary.clone())
    }

    pub fn placement(&self) -> Placement {
        match self.placement.as_str() {
            "all" => Placement::All,
            _ => Placement::Split,
        }
    }

    /// The chosen workloads.
    pub fn workloads(&self) -> Result<Vec<&'static Workload>> {
        let everything = self.workload.iter().any(|name| name == "all");
        let known = |name: &str| workloads::ALL.iter().any(|known| known.name == name);
        for name in &self.workload {
            ensure!(everything || known(name), "there is no workload {name:?}");
        }
        let chosen = |workload: &&Workload| {
            everything || self.workload.iter().any(|name| name == workload.name)
        };
        Ok(workloads::ALL.iter().filter(chosen).collect())
    }

    /// As a person would type it.
    pub fn text(&self) -> String {
        let mut text = format!(
            "--workload {} --rounds {} --seconds {} --warm-up {} --store-gib {} --placement {}",
            self.workload.join(","),
            self.rounds,
            self.seconds,
            self.warm_up,
            self.store_gib,
            self.placement
        );
        if !self.peers.is_empty() {
            text += &format!(" --peers {}", self.peers.join(","));
        }
        if let Some(only) = &self.only {
            text += &format!(" --only {only:?}");
        }
        if self.all {
            text += " --all";
        }
        if self.goals {
            text += " --goals";
        }
        if self.binary.ends_with("broker") {
            text += " --alone";
        }
        text
    }
}
