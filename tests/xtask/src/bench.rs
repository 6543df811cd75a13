//! Benchmarks of single crates, by name.

use std::process::Command;

use anyhow::{Result, bail, ensure};
use peers::say;

/// (name on the command line, package).
const BENCHES: &[(&str, &str)] = &[
    ("sql-filter", "sql-filter"),
    ("protocol", "protocol"),
    ("store", "store"),
    ("functions", "plugin-host"),
    ("format", "format"),
];

/// Runs the benchmark `name`, or all of them.
pub fn run(name: Option<&str>) -> Result<()> {
    let chosen: Vec<_> = BENCHES
        .iter()
        .filter(|(short, _)| name.is_none_or(|name| name == *short))
        .collect();
    if chosen.is_empty() {
        bail!(
            "there is no benchmark {:?}; there are {}",
            name.unwrap_or_default(),
            BENCHES
                .iter()
                .map(|(short, _)| *short)
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    for (short, package) in chosen {
        say(&format!("benchmark {short}"));
        ensure!(
            Command::new("cargo")
                .args(["bench", "--package", package])
                .status()?
                .success(),
            "{short} failed"
        );
    }
    Ok(())
}
