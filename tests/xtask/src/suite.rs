//! The workloads of `mill-bench`, ours beside its peers, with everything built first.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use peers::say;

use crate::budgets::build_millstream;

/// Measures the broker without streams and connectors, which builds in minutes.
const ALONE: &str = "--alone";

/// Passes everything on to `mill-bench run`, but for `--alone`.
pub fn run(arguments: &[&str]) -> Result<()> {
    let alone = arguments.contains(&ALONE);
    let binary = match alone {
        true => build(
            &["--package", "server", "--example", "broker"],
            "examples/broker",
        )?,
        false => build_millstream()?,
    };
    let bench = build(&["--package", "mill-bench"], "mill-bench")?;
    let status = Command::new(bench)
        .arg("run")
        .arg("--binary")
        .arg(binary)
        .args(arguments.iter().filter(|argument| **argument != ALONE))
        .status()?;
    ensure!(status.success(), "the suite did not come to its end");
    Ok(())
}

/// Builds with optimisation; the program, by its place below cargo's folder for that.
pub fn build(what: &[&str], program: &str) -> Result<PathBuf> {
    say(&format!("building {program} with optimisation"));
    let status = Command::new("cargo")
        .args(["build", "--release", "--quiet"])
        .args(what)
        .status()?;
    ensure!(status.success(), "{program} does not build");
    Ok(crate::budgets::target().join("release").join(program))
}
