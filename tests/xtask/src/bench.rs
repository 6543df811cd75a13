//! Benchmarks by name: of single crates, and of budgets measured from outside.

use std::process::Command;

use anyhow::{Result, bail, ensure};
use peers::say;

use crate::budgets;

enum Bench {
    /// `cargo bench` in a package.
    Package(&'static str),
    /// A budget of ours; fails when it is exceeded.
    Budget(fn() -> Result<()>),
}

const BENCHES: &[(&str, Bench)] = &[
    ("sql-filter", Bench::Package("sql-filter")),
    ("protocol", Bench::Package("protocol")),
    ("store", Bench::Package("store")),
    ("functions", Bench::Package("plugin-host")),
    ("format", Bench::Package("format")),
    ("produce", Bench::Budget(budgets::produce)),
    ("start", Bench::Budget(budgets::start)),
    ("demo", Bench::Budget(budgets::demo)),
    ("sql", Bench::Budget(budgets::sql)),
];

/// Runs the benchmark `name`, or all of them.
pub fn run(name: Option<&str>) -> Result<()> {
    let chosen: Vec<_> = BENCHES
        .iter()
        .filter(|(short, _)| name.is_none_or(|name| name == *short))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = BENCHES.iter().map(|(short, _)| *short).collect();
        bail!(
            "there is no benchmark {:?}; there are {}",
            name.unwrap_or_default(),
            names.join(", ")
        );
    }
    for (short, bench) in chosen {
        say(&format!("benchmark {short}"));
        match bench {
            Bench::Package(package) => {
                let bench = Command::new("cargo")
                    .args(["bench", "--package", package])
                    .status()?;
                ensure!(bench.success(), "{short} failed");
            }
            Bench::Budget(measure) => measure()?,
        }
    }
    Ok(())
}
