//! Seeded runs of a broker and its clients, and the bugs that the seeds have to find.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

const USAGE: &str = "cargo xtask simulate [--seeds N] [--seed S]";

/// Runs seeds of every kind: as many as `--seeds` says, from the one on that `--seed` names, or that
/// one alone.
pub fn seeds(options: &[&str]) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(["test", "--workspace", "--test", "seeds"]);
    for option in options.chunks(2) {
        let variable = match option {
            ["--seeds", _] => "SIMULATION_SEEDS",
            ["--seed", _] => "SIMULATION_SEED",
            _ => bail!("{} is no option of  {USAGE}", option[0]),
        };
        let number: u64 = option[1]
            .parse()
            .with_context(|| format!("{} is not a number of seeds; {USAGE}", option[1]))?;
        command.env(variable, number.to_string());
    }
    run(command)
}

/// Builds the house with bugs in it and shows within how many seeds each is found.
pub fn planted(only: Option<&str>) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(["test", "--package", "simulation", "--features", "planted"]);
    command.args(["--test", "planted", "--", "--nocapture"]);
    if let Some(bug) = only {
        command.env("SIMULATION_BUG", bug);
    }
    // What the bugs do is what is wanted: where they did it is of no interest.
    command.env("RUST_BACKTRACE", "0");
    run(command)
}

fn run(mut command: Command) -> Result<()> {
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "cargo test ended with {status}");
    Ok(())
}
