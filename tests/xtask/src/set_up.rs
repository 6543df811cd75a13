//! Brings what tests and lints need, and says so.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use peers::{Jars, cache, find_postgres, python, run, say, toolchains};

/// Everything from outside that tests meet. A second call finds it all and does nothing.
///
/// Returns the search path on which tests find the programs they start.
pub fn peers() -> Result<OsString> {
    let mut folders = toolchains()?;
    wasm_target()?;
    Jars::rocketmq("5.5.0")?;
    Jars::rocketmq("4.9.3")?;
    python("rocketmq-0.4.4", &["rocketmq==0.4.4"])?;
    find_postgres()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    Ok(std::env::join_paths(folders)?)
}

/// One target folder for every checkout of this user, so that a fresh clone reuses compiled dependencies.
///
/// Starts itself again with the folder in its environment: a process must not change its own.
pub fn share_build_cache(command: &str) -> Result<()> {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(chosen) => PathBuf::from(chosen),
        None => cache("target")?,
    };
    say(&format!("building in {}", target.display()));
    let status = Command::new(std::env::current_exe()?)
        .arg(command)
        .env("CARGO_TARGET_DIR", &target)
        .status()?;
    ensure!(status.success(), "{command} failed");
    Ok(())
}

fn wasm_target() -> Result<()> {
    let installed =
        run(Command::new("rustup").args(["target", "list", "--installed"])).unwrap_or_default();
    if !installed
        .lines()
        .any(|line| line == "wasm32-unknown-unknown")
    {
        say("adding the Rust target wasm32-unknown-unknown");
        run(Command::new("rustup").args(["target", "add", "wasm32-unknown-unknown"])).context(
            "example functions are built for WebAssembly: add the target wasm32-unknown-unknown",
        )?;
    }
    Ok(())
}
