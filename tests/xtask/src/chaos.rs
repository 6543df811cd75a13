//! The real broker under load and trouble, with everything built first.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::budgets::build_millstream;
use crate::suite::build;

/// Tries the broker without streams and connectors, which builds in minutes.
const ALONE: &str = "--alone";
/// What says which broker: then there is nothing of ours to build.
const CHOSEN: [&str; 2] = ["--program", "--against"];

/// Passes everything on to `chaos`, but for `--alone`.
pub fn run(options: &[&str]) -> Result<()> {
    let chaos = build(&["--package", "chaos"], "chaos")?;
    let mut command = Command::new(chaos);
    command.args(options.iter().filter(|option| **option != ALONE));
    if options.contains(&ALONE) {
        let what = ["--package", "server", "--example", "broker"];
        command
            .arg("--program")
            .arg(build(&what, "examples/broker")?);
    } else if !options.iter().any(|option| CHOSEN.contains(option)) {
        command.arg("--program").arg(build_millstream()?);
    }
    let status = command.status()?;
    ensure!(status.success(), "chaos did not end well");
    Ok(())
}
