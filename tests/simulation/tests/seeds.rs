//! Seeds of a broker and its clients, with faults and without.
//!
//! `SIMULATION_SEED` repeats one seed, `SIMULATION_SEEDS` sets how many are tried of each kind, both
//! how many from that one on, and with `SIMULATION_TRACE` every observation is printed.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use simulation::{Outcome, Plan, run};
use store::Flush;

fn seeds(default: u64) -> Vec<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse().expect("a seed is a number"))
    };
    let (first, count) = match (number("SIMULATION_SEED"), number("SIMULATION_SEEDS")) {
        (Some(first), count) => (first, count.unwrap_or(1)),
        (None, count) => (0, count.unwrap_or(default)),
    };
    (first..first + count).collect()
}

fn judged(seed: u64, plan: &Plan) -> Outcome {
    let outcome = std::panic::catch_unwind(|| run(seed, plan)).unwrap_or_else(|panic| {
        eprintln!("SIMULATION_SEED={seed} of {plan:?}");
        std::panic::resume_unwind(panic)
    });
    let broken = &outcome.verdict.violations;
    assert!(
        broken.is_empty(),
        "SIMULATION_SEED={seed} of {plan:?}: {}",
        outcome.verdict
    );
    outcome
}

fn try_seeds(default: u64, flush: Flush, intact: bool) {
    let plan = Plan { flush, intact };
    let mut acknowledged = 0;
    for seed in seeds(default) {
        acknowledged += judged(seed, &plan).verdict.tally.acknowledged;
    }
    assert!(acknowledged > 0, "the runs have to do something");
}

#[test]
fn synchronous_appends_keep_every_promise() {
    try_seeds(250, Flush::Sync, false);
}

#[test]
fn asynchronous_appends_keep_every_promise() {
    try_seeds(250, Flush::Async, false);
}

#[test]
fn without_faults_nothing_goes_wrong() {
    try_seeds(5, Flush::Sync, true);
    try_seeds(5, Flush::Async, true);
}

#[test]
fn a_seed_decides_everything() {
    for seed in seeds(3) {
        for flush in [Flush::Sync, Flush::Async] {
            let plan = Plan {
                flush,
                intact: false,
            };
            assert_eq!(judged(seed, &plan), judged(seed, &plan), "seed {seed}");
        }
    }
}
