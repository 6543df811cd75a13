//! Command-line tools that checks need.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache::{cache, say};

/// Runs a command to its end; a failure carries what it printed on standard error.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `cargo-deny`, built once from the Rust registry and kept.
pub fn cargo_deny() -> Result<PathBuf> {
    let root = cache("tools")?;
    let binary = root.join("bin/cargo-deny");
    if !binary.exists() {
        say("building cargo-deny from the Rust registry (once, about five minutes)");
        run(Command::new("cargo")
            .args(["install", "cargo-deny", "--locked", "--debug", "--root"])
            .arg(&root)
            .env("CARGO_TARGET_DIR", cache("tools-build")?))?;
    }
    Ok(binary)
}
