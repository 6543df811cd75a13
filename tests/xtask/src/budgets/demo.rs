//! How long a newcomer waits for the demo, once it is built.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::contender::build_millstream;
use super::median;

const RUNS: usize = 5;
const GOAL: Duration = Duration::from_secs(10);

/// The README's first command, the whole process; fails when it takes too long.
pub fn demo() -> Result<()> {
    let binary = build_millstream()?;
    let mut runs = Vec::with_capacity(RUNS);
    for run in 1..=RUNS {
        let began = Instant::now();
        let said = peers::run(Command::new(&binary).arg("demo"))?;
        let seconds = began.elapsed().as_secs_f64();
        ensure!(said.contains("all equal"), "the demo ended with {said}");
        println!("run {run}: {seconds:.2} s");
        runs.push(seconds);
    }
    let seconds = median(runs.into_iter());
    println!(
        "millstream demo: {seconds:.2} s (goal {} s)",
        GOAL.as_secs()
    );
    ensure!(
        seconds <= GOAL.as_secs_f64(),
        "the demo takes {seconds:.1} s"
    );
    Ok(())
}
