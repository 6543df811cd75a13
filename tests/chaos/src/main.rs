//! `chaos`: puts a broker under load and trouble, and judges what its clients saw.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::process::ExitCode;

use anyhow::{Result, bail};
use chaos::{Plan, run};
use runtime::Clock;

fn main() -> ExitCode {
    match begin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("chaos: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn begin() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let seed = Clock::real().wall() as u64 % 1_000_000;
    let plan = Plan::parse(&words, seed)?;
    let outcome = run(&plan);
    if let Some(file) = &plan.record {
        chaos::record(file, &plan, &outcome)?;
    }
    let report = outcome?;
    if !report.is_clean() {
        bail!("{report}");
    }
    Ok(())
}
