//! What a process has cost so far, read from `/proc`.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// Bytes of what the kernel counts at a device, whatever its blocks are.
const SECTOR: u64 = 512;

/// Counters of one process. Memory is of the moment, all else since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU seconds in user mode and in the kernel, of all its threads.
    pub cpu_seconds: f64,
    /// Bytes resident, and those of them that are not pages of files.
    pub resident_bytes: u64,
    pub own_bytes: u64,
    /// Of the threads that live now: waits, and times another one came first.
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
    /// Bytes the process made dirty in files. The kernel counts whole folios, of which it may
    /// write a small part only.
    pub written_bytes: u64,
    /// Bytes that anybody has written to the devices where the process has files.
    #[serde(default)]
    pub device_bytes: u64,
    pub open_files: u64,
}

impl Usage {
    pub fn of(process: u32) -> Result<Usage> {
        let status = read(process, "status")?;
        let (voluntary, involuntary) = switches(process)?;
        Ok(Usage {
            cpu_seconds: cpu_seconds(process)?,
            resident_bytes: number(&status, "VmRSS:")? << 10,
            own_bytes: number(&status, "RssAnon:")? << 10,
            voluntary_switches: voluntary,
            involuntary_switches: involuntary,
            // Absent where the kernel does not account for it.
            written_bytes: read(process, "io")
                .and_then(|io| number(&io, "write_bytes:"))
                .unwrap_or(0),
            device_bytes: device_bytes(process)?,
            open_files: std::fs::read_dir(format!("/proc/{process}/fd"))?.count() as u64,
        })
    }

    /// What was added since an earlier look; memory and files stay those of now.
    pub fn since(&self, earlier: &Usage) -> Usage {
        Usage {
            cpu_seconds: self.cpu_seconds - earlier.cpu_seconds,
            voluntary_switches: self
                .voluntary_switches
                .saturating_sub(earlier.voluntary_switches),
            involuntary_switches: self
                .involuntary_switches
                .saturating_sub(earlier.involuntary_switches),
            written_bytes: self.written_bytes.saturating_sub(earlier.written_bytes),
            device_bytes: self.device_bytes.saturating_sub(earlier.device_bytes),
            ..*self
        }
    }
}

/// Jiffies that the host has taken from this machine, and threads that wait for a core now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub steal: u64,
    pub busy: u64,
    pub runnable: u64,
}

impl Machine {
    pub fn now() -> Result<Machine> {
        Ok(machine(&std::fs::read_to_string("/proc/stat")?).unwrap_or_default())
    }
}

/// Of `/proc/stat`: everything that is not idle or waiting counts as busy.
fn machine(stat: &str) -> Option<Machine> {
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let jiffies: Vec<u64> = all
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    let [user, nice, system, _idle, _wait, hard, soft, steal, ..] = jiffies[..] else {
        return None;
    };
    Some(Machine {
        steal,
        busy: user + nice + system + hard + soft,
        runnable: number(stat, "procs_running").ok()?,
    })
}

fn read(process: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{process}/{name}");
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

/// By the process's own clock: `/proc` counts in steps of 10 ms.
fn cpu_seconds(process: u32) -> Result<f64> {
    let clock = clock_getcpuclockid(Pid::from_raw(process.try_into()?));
    let time = clock.and_then(clock_gettime);
    let time = time.with_context(|| format!("process {process} has no clock"))?;
    Ok(Duration::from(time).as_secs_f64())
}

fn switches(process: u32) -> Result<(u64, u64)> {
    let mut sum = (0, 0);
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end while we look.
        let Ok(status) = std::fs::read_to_string(thread?.path().join("status")) else {
            continue;
        };
        sum.0 += number(&status, "voluntary_ctxt_switches:").unwrap_or(0);
        sum.1 += number(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0);
    }
    Ok(sum)
}

/// Bytes written so far to all devices on which the process has a file open; 0 where the kernel
/// does not tell.
fn device_bytes(process: u32) -> Result<u64> {
    let mut devices = BTreeSet::new();
    for descriptor in std::fs::read_dir(format!("/proc/{process}/fd"))? {
        // It may be closed while we look.
        let Ok(about) = std::fs::metadata(descriptor?.path()) else {
            continue;
        };
        if about.is_file() {
            devices.insert(about.dev());
        }
    }
    Ok(devices.into_iter().filter_map(written_to).sum())
}

fn written_to(device: u64) -> Option<u64> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let stat = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    let sectors: u64 = stat.split_whitespace().nth(6)?.parse().ok()?;
    Some(sectors * SECTOR)
}

fn number(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    Ok(word
        .with_context(|| format!("there is no {name}"))?
        .parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_cost() {
        let usage = Usage::of(std::process::id()).expect("it runs");
        assert!(usage.resident_bytes > 0 && usage.open_files > 0);
    }

    #[test]
    fn a_moment_of_work_is_seen() {
        let own = || Usage::of(std::process::id()).expect("it runs").cpu_seconds;
        let before = own();
        let work = (0..200_000_u64).fold(before as u64, |sum, next| sum.rotate_left(1) ^ next);
        assert!(std::hint::black_box(work) > 0);
        let passed = own() - before;
        assert!(passed > 0.0 && passed < 1.0, "{passed}");
    }

    #[test]
    fn steal_is_told_from_work() {
        let stat = "cpu  10 1 5 900 4 2 3 7 0 0\ncpu0 1\nprocs_running 3\n";
        let expected = Machine {
            steal: 7,
            busy: 21,
            runnable: 3,
        };
        assert_eq!(machine(stat), Some(expected));
    }
}
