//! Every command that the README and the pages of `docs/` show is run as it stands there.
//!
//! A runner of our own, since a page's commands belong together: one starts a house that goes
//! on in the background while the next ones speak to it. `cargo run --release --` is answered by
//! the binary of this test run: the words behind it are what the page promises.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../support/addresses.rs"]
mod addresses;
mod page;
mod shell;

use std::path::{Path, PathBuf};
use std::process::Command;

use page::{Block, Page};
use shell::Shell;

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> Page {
    let text = std::fs::read_to_string(checkout().join(name)).expect("the page is readable");
    Page::read(&text)
}

/// Runs a page's commands in a folder and returns what they printed, in order.
fn run(name: &str, folder: &Path, has_house: bool) -> Vec<String> {
    let mut shell = Shell::new(folder);
    if has_house {
        shell.run("millstream up");
    }
    let mut printed = Vec::new();
    for block in page(name).shell {
        match block {
            Block::Run(commands) => {
                printed.extend(commands.iter().map(|command| shell.run(command)));
            }
            Block::Skipped { why } => assert!(!why.is_empty(), "{name}: not run, and no reason"),
        }
    }
    printed
}

#[test]
fn the_readmes_commands_do_what_it_says() {
    let printed = run("README.md", checkout(), false);
    assert!(
        printed[0].contains("17473 rows, all equal"),
        "{}",
        printed[0]
    );
    assert_eq!(printed.last().map(String::as_str), Some("it works\n"));
}

#[test]
fn the_readmes_first_commands_are_what_cargo_and_ci_know() {
    let ci = std::fs::read_to_string(checkout().join(".ci/run")).expect("the CI's script");
    assert!(
        ci.lines().any(|line| line == "exec cargo xtask test"),
        "{ci}"
    );
    let cargo = std::fs::read_to_string(checkout().join(".cargo/config.toml"));
    let cargo: toml::Table = cargo.expect("cargo's settings").parse().expect("TOML");
    assert_eq!(
        cargo["alias"]["xtask"].as_str(),
        Some("run --quiet --package xtask --")
    );
    let described = Command::new("cargo")
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(checkout())
        .output();
    let described = described.expect("cargo can be run").stdout;
    let described: serde_json::Value = serde_json::from_slice(&described).expect("JSON");
    let packages = described["packages"].as_array().expect("packages");
    let named = |name: &str| packages.iter().find(|package| package["name"] == name);
    let own = named("millstream").expect("the root package");
    assert_eq!(own["default_run"], "millstream");
    assert!(named("xtask").is_some());
}

#[test]
fn the_page_of_connectors_can_be_followed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shown = page("docs/connectors.md");
    std::fs::write(folder.path().join("flights.toml"), shown.code("toml", 0))
        .expect("the file is written");
    let flights = checkout().join("examples/flights/flights-20k.csv");
    std::fs::copy(flights, folder.path().join("flights.csv")).expect("the flights are copied");
    let printed = run("docs/connectors.md", folder.path(), true);
    assert!(printed[1].contains("state"), "{}", printed[1]);
    assert!(printed[2].contains("\"flights\""), "{}", printed[2]);
}

#[test]
fn the_page_of_sql_jobs_can_be_followed() {
    let printed = run("docs/sql-jobs.md", checkout(), false);
    assert!(printed[3].contains("sink airport_delays"), "{}", printed[3]);
}

#[test]
fn every_other_page_runs_or_says_why_not() {
    let pages = std::fs::read_dir(checkout().join("docs")).expect("the pages");
    let pages: Vec<PathBuf> = pages.map(|page| page.expect("a page").path()).collect();
    for path in pages {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !path.is_file() || ["connectors.md", "sql-jobs.md"].contains(&name.as_ref()) {
            continue;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        run(&format!("docs/{name}"), folder.path(), true);
    }
}
