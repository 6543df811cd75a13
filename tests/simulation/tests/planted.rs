//! The test of the tests: each bug made on purpose is found within so many seeds.
//! `SIMULATION_BUG` names the only one to try.
#![cfg(feature = "planted")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::panic::catch_unwind;

use runtime::Planted;
use simulation::{Plan, run};
use store::Flush;

/// Seeds within which a bug has to be found.
const WITHIN: u64 = 200;

/// What gave the bug away, and how many seeds it took.
fn found(bug: Planted) -> Option<(u64, String)> {
    Planted::plant(Some(bug));
    let found = (0..WITHIN).find_map(|seed| {
        let plans = [Flush::Sync, Flush::Async].map(|flush| Plan {
            flush,
            intact: false,
        });
        let noticed = plans
            .iter()
            .find_map(|plan| match catch_unwind(|| run(seed, plan)) {
                Ok(outcome) => Some(outcome.verdict.violations.first()?.to_string()),
                Err(panic) => Some(match panic.downcast_ref::<String>() {
                    Some(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
                    None => "it panicked".to_owned(),
                }),
            })?;
        Some((seed + 1, noticed))
    });
    Planted::plant(None);
    found
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    let only = std::env::var("SIMULATION_BUG").ok();
    let chosen = |bug: &Planted| only.as_ref().is_none_or(|only| *only == format!("{bug:?}"));
    for bug in Planted::ALL.into_iter().filter(chosen) {
        match found(bug) {
            Some((seeds, noticed)) => {
                let noticed: String = noticed.chars().take(120).collect();
                println!("{bug:?}: found by seed {seeds}: {noticed}");
            }
            None => {
                println!("{bug:?}: not found within {WITHIN} seeds");
                missed.push(bug);
            }
        }
    }
    assert!(missed.is_empty(), "the checks miss {missed:?}");
}
