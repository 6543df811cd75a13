//! mxsm's rocketmq-rust: its servers, built from the Rust registry.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{cache, say, stamp};
use crate::tools::run;

/// The version of both crates.
pub const ROCKETMQ_RUST: &str = "1.0.0";
const CRATES: [&str; 2] = ["rocketmq-namesrv", "rocketmq-broker"];

/// The folder of its programs, built once and kept.
pub fn rocketmq_rust() -> Result<PathBuf> {
    let root = cache("rocketmq-rust")?.join(ROCKETMQ_RUST);
    stamp(&root, ROCKETMQ_RUST, || {
        say("building rocketmq-rust from the Rust registry (once, a quarter of an hour)");
        for name in CRATES {
            run(Command::new("nice")
                .args([
                    "-n",
                    "19",
                    "cargo",
                    "install",
                    "--locked",
                    name,
                    "--version",
                    ROCKETMQ_RUST,
                ])
                .arg("--root")
                .arg(&root)
                .env("CARGO_TARGET_DIR", cache("tools-build")?))
            .with_context(|| format!("{name} {ROCKETMQ_RUST} does not build"))?;
        }
        Ok(())
    })?;
    Ok(root.join("bin"))
}
