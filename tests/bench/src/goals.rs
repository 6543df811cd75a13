//! The goals of `performance.md` §9 that these workloads measure, and how they stand.

use crate::bounds::{Bound, Costs, bound};
use crate::contender::Flush;
use crate::results::{Comparison, WorkloadResult};
use crate::workloads::figures::{BROKER, GENERATOR, P50, P99, P999, PULL_BROKER, PULL_RATE, RATE};
use crate::workloads::{w4, w5, w10, w11};

/// What a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Test {
    AtMost(f64),
    AtLeast(f64),
    /// Ours by RocketMQ's.
    RatioAtMost(f64),
    RatioAtLeast(f64),
    /// A rate by the least of its limits.
    OfLimitAtLeast(f64),
}

pub struct Goal {
    pub id: &'static str,
    pub workload: &'static str,
    pub cell: &'static str,
    pub figure: &'static str,
    pub test: Test,
    pub placement: &'static str,
    /// What binds by the profile where it is missed and no probe tells; empty where none was made.
    pub profile: &'static str,
}

/// How a goal stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub measured: f64,
    pub met: bool,
    /// The limit of a rate, where the figure is one.
    pub bound: Option<Bound>,
    /// Whether every pair behind it was dropped as noisy.
    pub noisy: bool,
}

const PIPELINED: &str = "1 KiB, 16 × pipelined, async";
const JAVA: &str = "1 KiB, 64 threads of the Java client, async";
const ONE_SYNC: &str = "1 KiB, 1 × sync call, sync";
const MANY_SYNC: &str = "1 KiB, 64 × sync call, sync";
const BATCHES_OF_32: &str = "32 × 100 B";
const BATCHES: &str = "64 × 100 B";
const STEADY: &str = "10000 messages/s of 1 KiB, 1:1, pulled";
const COLD: &str = "a cold backlog beside 10000 messages/s";
const FILTERS: &str = "100 B and 16 properties";
const SQL: &str = "a > 5 AND b IN ('x','y'): scanned/s and broker core";

/// By the profiles of 2026-11-30; parts of a hundred.
const KERNEL: &str = "kernel 40 (log 15, replies 10, receiving 9), JSON header 15";
const FEW_FRAMES: &str = "four system calls for the few frames of a read, half of all";
const COPIES: &str = "copies: out of the page cache, into the reply, into the socket";
const FLAT: &str =
    "nothing alone: kernel 31, copies 8, key index 5, checksums 5, none else above 4";
const CLIENT: &str = "the client, which takes most of both cores";
const SLOWEST: &str = "no profile of the slowest thousandth yet";
const MISSES: &str = "cache misses of a million heads, and saving all that changed";
const COLD_PAGES: &str = "copies 44 of the broker's four fifths of a core, 32 out of cold pages";
const SHARED: &str =
    "no profile of the wait yet; not the host (its probe): readers of cold pages share the core";
const ENTRIES: &str = "nothing alone: kernel 25, allocation 16, index blocks 14";
const RECORDS: &str = "copies 25, checksums 12, reading records 9, properties 6, none else above 4";

#[rustfmt::skip]
pub const GOALS: &[Goal] = &[
    bound_by(KERNEL, goal("P1", "W1", PIPELINED, BROKER, Test::AtMost(2.0))),
    bound_by(FEW_FRAMES, goal("P1", "W1", JAVA, BROKER, Test::RatioAtMost(0.1))),
    bound_by(COPIES, goal("P1", "W1", PIPELINED, PULL_BROKER, Test::RatioAtMost(0.125))),
    bound_by(FLAT, goal("P1", "W2", BATCHES_OF_32, BROKER, Test::RatioAtMost(0.125))),
    on_all_cores(goal("P2", "W1", PIPELINED, RATE, Test::AtLeast(300_000.0))),
    on_all_cores(goal("P2", "W2", BATCHES, RATE, Test::AtLeast(1_500_000.0))),
    bound_by(CLIENT, on_all_cores(goal("P3", "W1", JAVA, RATE, Test::RatioAtLeast(1.8)))),
    bound_by(CLIENT, on_all_cores(goal("P3", "W1", JAVA, P99, Test::RatioAtMost(0.333)))),
    bound_by(CLIENT, on_all_cores(goal("P3", "W1", JAVA, PULL_RATE, Test::RatioAtLeast(1.8)))),
    goal("P4", "W1", ONE_SYNC, RATE, Test::OfLimitAtLeast(0.8)),
    goal("P4", "W1", MANY_SYNC, RATE, Test::OfLimitAtLeast(0.9)),
    goal("P4", "W1", MANY_SYNC, RATE, Test::RatioAtLeast(3.0)),
    bound_by(SLOWEST, goal("P5", "W3", STEADY, P50, Test::AtMost(150.0))),
    bound_by(SLOWEST, goal("P5", "W3", STEADY, P99, Test::AtMost(1_000.0))),
    bound_by(SLOWEST, goal("P5", "W3", STEADY, P999, Test::AtMost(5_000.0))),
    goal("P5", "W3", STEADY, P999, Test::RatioAtMost(0.2)),
    bound_by(COLD_PAGES, goal("P6", "W4", COLD, w4::OF_COLD, Test::AtLeast(0.8))),
    bound_by(SHARED, goal("P6", "W4", COLD, w4::OF_BASELINE, Test::AtMost(1.5))),
    bound_by(MISSES, goal("P7", "W5", "1000000 queues, evenly", w5::KEPT, Test::AtLeast(80.0))),
    goal("P7", "W5", "1000000 queues, evenly", w5::BYTES, Test::AtMost(400.0)),
    goal("P7", "W5", "1000000 queues, evenly", w5::RESTART, Test::AtMost(5.0)),
    bound_by(ENTRIES, goal("P9", "W6", FILTERS, "p1: scanned/s and broker core", Test::AtLeast(10e6))),
    bound_by(RECORDS, goal("P9", "W6", FILTERS, SQL, Test::AtLeast(3e6))),
    goal("P10", "W11", "idle, then 1 KiB pipelined", w11::IDLE, Test::AtMost(40.0)),
    goal("P10", "W11", "idle, then 1 KiB pipelined", w11::START, Test::AtMost(0.15)),
    goal("P10", "W10", w10::CELL, w10::SEND, Test::AtMost(1.0)),
];

const fn goal(
    id: &'static str,
    workload: &'static str,
    cell: &'static str,
    figure: &'static str,
    test: Test,
) -> Goal {
    Goal {
        id,
        workload,
        cell,
        figure,
        test,
        placement: "split",
        profile: "",
    }
}

const fn bound_by(profile: &'static str, goal: Goal) -> Goal {
    Goal { profile, ..goal }
}

const fn on_all_cores(goal: Goal) -> Goal {
    Goal {
        placement: "all",
        ..goal
    }
}

/// The goals that one cell tells about.
pub fn about(workload: &str, cell: &str, placement: &str) -> Vec<&'static Goal> {
    let own =
        |goal: &&Goal| (goal.workload, goal.cell, goal.placement) == (workload, cell, placement);
    GOALS.iter().filter(own).collect()
}

impl Goal {
    /// Whether it needs RocketMQ's figure, too.
    pub fn compares(&self) -> bool {
        matches!(self.test, Test::RatioAtMost(_) | Test::RatioAtLeast(_))
    }

    /// What it asks, in words.
    pub fn asks(&self) -> String {
        match self.test {
            Test::AtMost(most) => format!("≤ {}", short(most)),
            Test::AtLeast(least) => format!("≥ {}", short(least)),
            Test::RatioAtMost(most) => format!("≤ {} of RocketMQ's", short(most)),
            Test::RatioAtLeast(least) => format!("≥ {} × RocketMQ's", short(least)),
            Test::OfLimitAtLeast(share) => format!("≥ {:.0} % of its limit", share * 100.0),
        }
    }

    /// How it stands by the newest results; `None` if they do not tell.
    pub fn standing(&self, results: &[WorkloadResult]) -> Option<Standing> {
        let result = results.iter().find(|result| {
            result.workload == self.workload && result.placement == self.placement
        })?;
        let beside_rocketmq =
            |one: &&Comparison| one.sides.get(1).is_some_and(|peer| peer.name == "RocketMQ");
        let own = |one: &&Comparison| one.cell == self.cell;
        let mut all = result.comparisons.iter().filter(own);
        let comparison = match self.compares() {
            true => all.find(beside_rocketmq)?,
            false => all.next()?,
        };
        let value = comparison.median(0, self.figure)?;
        let bound = (self.figure == RATE)
            .then(|| rate_bound(comparison, result.machine.cores))
            .flatten();
        let (measured, met) = match self.test {
            Test::AtMost(most) => (value, value <= most),
            Test::AtLeast(least) => (value, value >= least),
            Test::RatioAtMost(most) => {
                let ratio = comparison.ratio(self.figure)?.median;
                (ratio, ratio <= most)
            }
            Test::RatioAtLeast(least) => {
                let ratio = comparison.ratio(self.figure)?.median;
                (ratio, ratio >= least)
            }
            Test::OfLimitAtLeast(share) => {
                let of = value / bound?.messages_a_second;
                (of, of >= share)
            }
        };
        Some(Standing {
            measured,
            met,
            bound,
            noisy: comparison.dropped() == comparison.rounds.len(),
        })
    }
}

/// The limit of our rate in a cell, from its probes and its measured costs.
pub fn rate_bound(comparison: &Comparison, cores: usize) -> Option<Bound> {
    let costs = Costs {
        broker: comparison.median(0, BROKER)?,
        generator: comparison.median(0, GENERATOR)?,
        bytes: comparison.message_bytes as f64,
        outstanding: comparison.outstanding as f64,
        sync: comparison.flush == Flush::Sync,
        shared_cores: (comparison.placement == "all").then_some(cores as f64),
    };
    (costs.outstanding > 0.0).then(|| bound(&comparison.limits(), &costs))
}

/// A number with as many digits as matter.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 {
        format!("{:.2} M", value / 1e6)
    } else if size >= 10_000.0 {
        format!("{:.1} k", value / 1e3)
    } else if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if value == 0.0 || value.fract() == 0.0 {
        format!("{value}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (1_540_000.0, "1.54 M"),
            (43_210.0, "43.2 k"),
            (1_234.5, "1234"),
            (14.52, "14.5"),
            (0.1234, "0.123"),
            (3.0, "3"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn a_goal_without_a_result_has_no_standing() {
        assert!(GOALS.iter().all(|goal| goal.standing(&[]).is_none()));
    }
}
