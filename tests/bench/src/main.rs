//! `mill-bench`: load, probes and paired runs, each by one command.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use mill_bench::load::{self, Plan};
use mill_bench::{Limits, Placement, suite};

#[derive(Parser)]
#[command(name = "mill-bench", about = "Measures RocketMQ-compatible brokers")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends and reads by a plan; prints what it found as JSON.
    Load(Box<Plan>),
    /// The same, the plan as JSON.
    #[command(hide = true)]
    Plan { plan: String },
    /// Runs workloads on ours and its peers in turn; see `cargo xtask bench --workload`.
    Run(Box<suite::Options>),
    /// Writes the page of all workloads' newest results, and measures nothing.
    Page { file: PathBuf },
    /// Probes what the machine allows.
    Limits {
        /// A folder on the filesystem that stores would use.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Load(plan) => println!("{}", serde_json::to_string(&load::run(&plan)?)?),
        Command::Plan { plan } => {
            let plan: Plan = serde_json::from_str(&plan)?;
            println!("{}", serde_json::to_string(&load::run(&plan)?)?);
        }
        Command::Run(options) => suite::run(&options)?,
        Command::Page { file } => suite::page(&file)?,
        Command::Limits { folder } => {
            println!("{}", Limits::probe(&folder, Placement::Split)?.text());
        }
    }
    Ok(())
}
