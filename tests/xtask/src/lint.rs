//! Formatting, clippy with warnings denied, the fuzzer, licences, sources and bans.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use peers::{cargo_deny, say};

/// Runs every lint; the first that fails ends it.
pub fn all() -> Result<()> {
    step(
        "formatting",
        Command::new("cargo").args(["fmt", "--all", "--check"]),
    )?;
    step(
        "clippy",
        Command::new("cargo").args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    // It stands outside the workspace, so nothing else would notice that it no longer builds.
    step(
        "the fuzzer",
        Command::new("cargo").args([
            "check",
            "--quiet",
            "--locked",
            "--manifest-path",
            "tests/fuzz/libfuzzer/Cargo.toml",
        ]),
    )?;
    say("checking docs/reliability.md");
    crate::reliability::page(true)?;
    let deny = cargo_deny()?;
    step(
        "licences, sources and bans",
        Command::new(deny).args([
            "--log-level",
            "error",
            "check",
            "licenses",
            "sources",
            "bans",
        ]),
    )
}

fn step(name: &str, command: &mut Command) -> Result<()> {
    say(&format!("checking {name}"));
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{name}: not clean; run  {command:?}");
    Ok(())
}
