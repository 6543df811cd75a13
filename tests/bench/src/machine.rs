//! What machine a run is on, and whether it is quiet enough.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::cores::allowed;
use crate::results::Machine;
use crate::usage;

/// Threads of others that may wait for a core, on average, before a pair is spoiled.
const OTHERS: f64 = 1.0;
/// Share of the time the host may take away.
const STEAL: f64 = 0.02;
const LOOKS: u32 = 10;
/// How often it is looked whether others have come to rest, two seconds apart: a server that was
/// just warmed up still compiles, and writes what it has in memory.
const PATIENCE: u32 = 8;

impl Machine {
    /// Of this one; `folder` tells the filesystem.
    pub fn here(folder: &Path) -> Result<Machine> {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let said =
            |command: &mut Command| peers::run(command).unwrap_or_default().trim().to_owned();
        let memory = field(&text("/proc/meminfo"), "MemTotal");
        let kilobytes = memory.split_whitespace().next().unwrap_or_default();
        let commit = said(Command::new("git").args(["rev-parse", "--short", "HEAD"]));
        let changed = said(Command::new("git").args([
            "--no-optional-locks",
            "status",
            "--porcelain",
            "-uno",
        ]));
        Ok(Machine {
            cpu: field(&text("/proc/cpuinfo"), "model name"),
            cores: allowed()?.len(),
            memory_bytes: kilobytes.parse().unwrap_or(0) << 10,
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            filesystem: said(Command::new("stat").args(["-f", "-c", "%T"]).arg(folder)),
            commit: commit + if changed.is_empty() { "" } else { "+" },
        })
    }
}

/// The machine's counters at the begin of a pair.
pub struct Watch {
    begun: usage::Machine,
}

impl Watch {
    pub fn start() -> Result<Watch> {
        Ok(Watch {
            begun: usage::Machine::now()?,
        })
    }

    /// Why the pair that was watched is spoiled, if it is.
    pub fn spoiled(&self) -> Result<Option<String>> {
        let now = usage::Machine::now()?;
        let (steal, busy) = (now.steal - self.begun.steal, now.busy - self.begun.busy);
        let share = steal as f64 / (steal + busy).max(1) as f64;
        Ok((share > STEAL).then(|| format!("the host took {:.0} % of the time", share * 100.0)))
    }
}

/// Why a pair should not begin now, and not in a while either: threads of others that run
/// while we only look.
pub fn crowded() -> Result<Option<String>> {
    for _ in 1..PATIENCE {
        if others_running()?.is_none() {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    others_running()
}

fn others_running() -> Result<Option<String>> {
    let mut others = 0;
    for _ in 0..LOOKS {
        std::thread::sleep(Duration::from_millis(20));
        others += usage::Machine::now()?.runnable.saturating_sub(1);
    }
    let others = others as f64 / f64::from(LOOKS);
    Ok((others > OTHERS).then(|| format!("{others:.1} threads of others were running")))
}

/// The time as `YYYY-MM-DD HH:MM`, in UTC.
pub fn today() -> String {
    let said = peers::run(Command::new("date").args(["-u", "+%F %H:%M"]));
    said.unwrap_or_default().trim().to_owned()
}
