//! Every script in `tests/sql`, and the example of the flights, beside the dataflow it becomes.
//!
//! `MILLSTREAM_BLESS=1 cargo test -p planner --test plans` writes what the planner says now.

#![allow(clippy::disallowed_methods)]

mod loader;

use dataflow::Dataflow;
use planner::{explain, plan};
use std::{
    fs,
    path::{Path, PathBuf},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sql");
const FLIGHTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/flights/airport-delays.sql"
);

/// Where the dataflow of a script is kept.
fn kept(script: &Path) -> PathBuf {
    let name = script.file_stem().expect("a script has a name");
    let name = name.to_string_lossy().replace('-', "_");
    Path::new(FOLDER).join(name).with_extension("explain")
}

fn scripts() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDER).expect("the folder of scripts is there");
    let mut scripts: Vec<PathBuf> = entries
        .map(|entry| entry.expect("it is readable").path())
        .collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    scripts.push(FLIGHTS.into());
    scripts.sort();
    scripts
}

#[test]
fn every_script_becomes_the_dataflow_beside_it() {
    let mut different = Vec::new();
    for path in scripts() {
        let script = fs::read_to_string(&path).expect("a script is text");
        let planned = plan(&script, &loader::environment())
            .unwrap_or_else(|errors| panic!("{}:\n{errors}", path.display()));
        let mut said = explain(&planned.dataflow);
        said.extend(
            planned
                .explained
                .iter()
                .map(|explained| format!("\nEXPLAIN\n{}", explain(explained))),
        );
        let expected = kept(&path);
        if std::env::var_os("MILLSTREAM_BLESS").is_some() {
            fs::write(&expected, &said).expect("the folder is writable");
        }
        if fs::read_to_string(&expected).unwrap_or_default() != said {
            different.push(format!("{}:\n{said}", path.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn every_planned_dataflow_survives_its_text_and_its_own_check() {
    for path in scripts() {
        let script = fs::read_to_string(&path).expect("a script is text");
        let planned = plan(&script, &loader::environment())
            .unwrap_or_else(|errors| panic!("{}:\n{errors}", path.display()));
        let read = Dataflow::from_json(&planned.dataflow.to_json());
        assert_eq!(
            read.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            planned.dataflow
        );
    }
}

#[test]
fn planning_twice_gives_the_same_operator_names() {
    for path in scripts() {
        let script = fs::read_to_string(&path).expect("a script is text");
        let names = || {
            let planned = plan(&script, &loader::environment()).expect("it was planned before");
            planned
                .dataflow
                .nodes
                .iter()
                .map(|node| node.operator.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(), names(), "{}", path.display());
    }
}
