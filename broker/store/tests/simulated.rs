//! What the store promises holds through crashes: seeded runs on a disk that forgets.
//!
//! A run appends single records and groups from several senders, reads along, and is then
//! closed, killed, or loses power, several times over. Its segments are recycled ones, full of old
//! records, and in some runs the oldest go meanwhile and come back as the next. `STORE_SEED` repeats one seed,
//! `STORE_SEEDS` sets how many are tried.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "simulated/history.rs"]
mod history;
#[path = "../../../tests/simulation/src/old_files.rs"]
mod old_files;
#[path = "simulated/world.rs"]
mod world;

use runtime::Faults;
use store::Flush;
use world::{End, Plan, simulate};

fn seeds(default: u64) -> Vec<u64> {
    if let Ok(seed) = std::env::var("STORE_SEED") {
        return vec![seed.parse().expect("STORE_SEED is a number")];
    }
    let count = std::env::var("STORE_SEEDS")
        .ok()
        .and_then(|count| count.parse().ok());
    (0..count.unwrap_or(default)).collect()
}

fn check(plan: &Plan, default: u64) {
    for seed in seeds(default) {
        let run = std::panic::catch_unwind(|| simulate(seed, plan));
        if let Err(panic) = run {
            eprintln!("seed {seed} of {}", plan.name);
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn asynchronous_appends_survive_a_kill_and_lose_only_a_suffix_with_the_power() {
    let ends = vec![End::Close, End::Kill, End::PowerLoss];
    check(
        &Plan {
            name: "async",
            flush: Flush::Async,
            ends,
            faults: None,
        },
        50,
    );
}

#[test]
fn synchronous_appends_survive_the_loss_of_power() {
    let ends = vec![End::Kill, End::PowerLoss, End::PowerLoss];
    check(
        &Plan {
            name: "sync",
            flush: Flush::Sync,
            ends,
            faults: None,
        },
        50,
    );
}

#[test]
fn a_failing_disk_costs_refusals_and_never_an_acknowledged_message() {
    let faults = |rng: &runtime::Rng| Faults {
        cold_bit_flip: 0.0,
        ..Faults::swarm(rng)
    };
    for flush in [Flush::Sync, Flush::Async] {
        let ends = vec![End::Close, End::Kill, End::PowerLoss];
        check(
            &Plan {
                name: "faults",
                flush,
                ends,
                faults: Some(faults),
            },
            30,
        );
    }
}

#[test]
fn a_healthy_disk_and_orderly_stops_lose_nothing() {
    for flush in [Flush::Sync, Flush::Async] {
        check(
            &Plan {
                name: "healthy",
                flush,
                ends: vec![End::Close],
                faults: None,
            },
            10,
        );
    }
}
