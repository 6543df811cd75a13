//! The demo's files: carried in the binary, or taken from a folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// (path below the input folder, content).
const FILES: &[(&str, &[u8])] = &[
    (
        "flights/flights-20k.csv",
        include_bytes!("../../../../examples/flights/flights-20k.csv"),
    ),
    (
        "flights/airports.csv",
        include_bytes!("../../../../examples/flights/airports.csv"),
    ),
    (
        "flights/airport-delays.sql",
        include_bytes!("../../../../examples/flights/airport-delays.sql"),
    ),
    (
        "flights/flights-source.toml",
        include_bytes!("../../../../examples/flights/flights-source.toml"),
    ),
    (
        "flights/airport-delays-sink.toml",
        include_bytes!("../../../../examples/flights/airport-delays-sink.toml"),
    ),
    (
        "functions/rust/haversine.wasm",
        include_bytes!("../../../../examples/functions/rust/haversine.wasm"),
    ),
];

/// What the demo reads.
pub struct Input {
    pub folder: PathBuf,
    pub script: String,
    pub source: String,
    pub sink: String,
}

impl Input {
    /// The files of a folder laid out as `examples/flights`.
    pub fn at(folder: &Path) -> Result<Input> {
        let read = |name: &str| {
            std::fs::read_to_string(folder.join(name))
                .with_context(|| format!("cannot read {}", folder.join(name).display()))
        };
        Ok(Input {
            script: read("airport-delays.sql")?,
            source: read("flights-source.toml")?,
            sink: read("airport-delays-sink.toml")?,
            folder: folder.canonicalize()?,
        })
    }

    /// Writes the files of the binary below `folder`, unless an earlier run has: a connector
    /// knows its file by more than the name.
    pub fn unpack(folder: &Path) -> Result<Input> {
        for (name, content) in FILES {
            let file = folder.join(name);
            if std::fs::metadata(&file).is_ok_and(|known| known.len() == content.len() as u64) {
                continue;
            }
            let parent = file.parent().context("every file lies in a folder")?;
            std::fs::create_dir_all(parent)?;
            std::fs::write(&file, content)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        Input::at(&folder.join("flights"))
    }
}
