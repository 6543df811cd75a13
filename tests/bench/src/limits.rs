//! What the machine allows, probed in the same run: the limits that figures are held against.
//!
//! Two threads stand where broker and generator stand: on the first core and on the last, or
//! wherever the kernel puts them. All of it takes three seconds, on a busy machine ten.

mod bare_server;
mod disk;
mod handoff;
mod memory;
mod network;
pub mod standstill;

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::cores::Placement;

/// Every probe's figure of one round of probing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// `pwrite` and `fdatasync` over a file of zeros, median and 99th percentile in µs.
    pub flush_4k: f64,
    pub flush_4k_p99: f64,
    pub flush_64k: f64,
    pub flush_1m: f64,
    /// 512 MiB written in order and made durable, in MB/s.
    pub durable: f64,
    /// CPU of `pwrite` for one KiB, in calls of 1 and of 64 KiB, in ns.
    pub pwrite_1k: f64,
    pub pwrite_64k: f64,
    /// Memory copied beyond the caches, in MB/s.
    pub memcpy: f64,
    /// 64 bytes over loopback TCP, there and back, in µs.
    pub round_trip: f64,
    /// One loopback TCP stream, in MB/s.
    pub stream: f64,
    /// One thread wakes another and is woken by it, in µs.
    pub eventfd: f64,
    pub pipe: f64,
    /// Requests a second of a server that writes, flushes and answers, and does nothing else.
    /// Older results have none.
    #[serde(default)]
    pub bare_server: f64,
}

/// One figure: its name, its unit, whether more is better, and where it stands.
pub struct Probe {
    pub name: &'static str,
    pub unit: &'static str,
    pub more_is_better: bool,
    pub of: fn(&Limits) -> f64,
    set: fn(&mut Limits, f64),
}

macro_rules! probes {
    ($($field:ident: $name:literal, $unit:literal, $better:ident;)*) => {
        &[$(Probe {
            name: $name,
            unit: $unit,
            more_is_better: probes!(@ $better),
            of: |limits| limits.$field,
            set: |limits, value| limits.$field = value,
        },)*]
    };
    (@ more) => { true };
    (@ less) => { false };
}

/// In the order they are printed.
pub const PROBES: &[Probe] = probes! {
    flush_4k: "fdatasync 4 KiB, p50", "µs", less;
    flush_4k_p99: "fdatasync 4 KiB, p99", "µs", less;
    flush_64k: "fdatasync 64 KiB, p50", "µs", less;
    flush_1m: "fdatasync 1 MiB, p50", "µs", less;
    durable: "durable write, 512 MiB", "MB/s", more;
    pwrite_1k: "pwrite 1 KiB, CPU per KiB", "ns", less;
    pwrite_64k: "pwrite 64 KiB, CPU per KiB", "ns", less;
    memcpy: "memcpy", "MB/s", more;
    round_trip: "loopback round trip, p50", "µs", less;
    stream: "loopback stream", "MB/s", more;
    eventfd: "eventfd there and back, p50", "µs", less;
    pipe: "pipe there and back, p50", "µs", less;
    bare_server: "a bare server: 1 KiB received, flushed, answered", "/s", more;
};

impl Limits {
    /// Probes in `folder`, on the filesystem that stores will use.
    pub fn probe(folder: &Path, placement: Placement) -> Result<Limits> {
        let file = disk::Recycled::open(folder)?;
        let (flush_4k, flush_4k_p99) = file.flush(4 << 10)?;
        let (near, far) = (placement.generator()?, placement.broker()?);
        Ok(Limits {
            flush_4k,
            flush_4k_p99,
            flush_64k: file.flush(64 << 10)?.0,
            flush_1m: file.flush(1 << 20)?.0,
            durable: file.durable()?,
            pwrite_1k: file.pwrite(1 << 10)?,
            pwrite_64k: file.pwrite(64 << 10)?,
            memcpy: memory::copy(),
            round_trip: network::round_trip(near, far)?,
            stream: network::stream(near, far)?,
            eventfd: handoff::eventfd(near, far)?,
            pipe: handoff::pipe(near, far)?,
            bare_server: bare_server::durable_requests(&file.file, near, far)?,
        })
    }

    /// Of two rounds, the better figure of each probe: a limit is what was once reached.
    pub fn better(&self, other: &Limits) -> Limits {
        let mut best = *self;
        for probe in PROBES {
            let (one, two) = ((probe.of)(self), (probe.of)(other));
            let value = match probe.more_is_better {
                true => one.max(two),
                false => one.min(two),
            };
            (probe.set)(&mut best, value);
        }
        best
    }

    /// The first of the named probes that moved by more than `share` between two rounds.
    pub fn moved(&self, later: &Limits, names: &[&str], share: f64) -> Option<String> {
        PROBES
            .iter()
            .filter(|probe| names.contains(&probe.name))
            .find_map(|probe| {
                let (before, after) = ((probe.of)(self), (probe.of)(later));
                let moved = (after - before).abs() / before.min(after).max(f64::MIN_POSITIVE);
                (moved > share).then(|| {
                    let Probe { name, unit, .. } = probe;
                    format!("{name}: {before:.1} {unit} before, {after:.1} after")
                })
            })
    }

    /// One line for each probe.
    pub fn text(&self) -> String {
        let line = |probe: &Probe| {
            format!(
                "  {:<48} {:>10.1} {}",
                probe.name,
                (probe.of)(self),
                probe.unit
            )
        };
        PROBES.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_of_two_figures_counts() {
        let one = Limits {
            flush_4k: 90.0,
            memcpy: 5_000.0,
            ..Limits::default()
        };
        let two = Limits {
            flush_4k: 120.0,
            memcpy: 6_000.0,
            ..Limits::default()
        };
        let best = one.better(&two);
        assert_eq!((best.flush_4k, best.memcpy), (90.0, 6_000.0));
    }

    #[test]
    fn only_the_probes_that_matter_can_spoil_a_pair() {
        let before = Limits {
            flush_4k: 100.0,
            memcpy: 5_000.0,
            ..Limits::default()
        };
        let after = Limits {
            flush_4k: 140.0,
            memcpy: 5_100.0,
            ..Limits::default()
        };
        assert_eq!(before.moved(&after, &["memcpy"], 0.15), None);
        let said = before.moved(&after, &["memcpy", "fdatasync 4 KiB, p50"], 0.15);
        assert_eq!(
            said.as_deref(),
            Some("fdatasync 4 KiB, p50: 100.0 µs before, 140.0 after")
        );
    }
}
