//! Threads that meet in every order, or in many: loom and shuttle decide who runs when.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use peers::{cache, say};

/// Runs the tests that are only built for a scheduler, with each of them in turn.
///
/// What is tried is bounded by the tests themselves: `LOOM_MAX_PREEMPTIONS` and
/// `SHUTTLE_SCHEDULES` try more.
pub fn all() -> Result<()> {
    for scheduler in ["loom", "shuttle"] {
        say(&format!("threads whose turns {scheduler} decides"));
        let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
        let flags = format!("{flags} --cfg scheduler=\"{scheduler}\"");
        let status = Command::new("cargo")
            .args(["test", "--package", "store", "--lib", "schedules::"])
            .env("RUSTFLAGS", flags.trim())
            // Other flags are another build of everything: it leaves the usual one alone.
            .env("CARGO_TARGET_DIR", cache("schedules")?)
            .status()
            .context("cannot start cargo")?;
        ensure!(status.success(), "cargo test ended with {status}");
    }
    Ok(())
}
