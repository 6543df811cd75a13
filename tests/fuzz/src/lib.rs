//! What comes from a socket, a file or a user, made up by a fuzzer: one target for each kind.
//!
//! A target takes bytes and panics if a promise is broken: whatever they are, they are
//! understood or refused, and what is understood means the same when it is written and read
//! again. `libfuzzer/` runs a target for as long as one likes; the inputs it kept lie in
//! `corpus/`, and `cargo test` runs every one of them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod body;
mod damage;
mod frame;
mod headers;
mod import;
mod properties;
mod record;
mod recovery;
mod settings;
mod sql_filter;
mod written;

use std::path::{Path, PathBuf};

/// One kind of input, and what has to hold for all of it.
#[derive(Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

pub const TARGETS: &[Target] = &[
    Target {
        name: "frame",
        run: frame::run,
    },
    Target {
        name: "headers",
        run: headers::run,
    },
    Target {
        name: "body",
        run: body::run,
    },
    Target {
        name: "record",
        run: record::run,
    },
    Target {
        name: "properties",
        run: properties::run,
    },
    Target {
        name: "sql-filter",
        run: sql_filter::run,
    },
    Target {
        name: "import",
        run: import::run,
    },
    Target {
        name: "settings",
        run: settings::run,
    },
    Target {
        name: "recovery",
        run: recovery::run,
    },
];

/// How many kinds of JSON bodies there are: the first byte of an input of `body` chooses one.
pub use body::KINDS as BODY_KINDS;

pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}

/// The inputs of a target that are kept, in a fixed order.
pub fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let entries = std::fs::read_dir(&folder)
        .unwrap_or_else(|why| panic!("{} cannot be listed: {why}", folder.display()));
    let mut inputs: Vec<_> = entries
        .map(|entry| entry.expect("an entry of the corpus").path())
        .collect();
    inputs.sort();
    inputs
}
