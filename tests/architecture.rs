//! Reads every manifest and fails on an arrow between crates that points up or sideways.
//!
//! The layers are those of `ARCHITECTURE.md`. A crate may use crates of lower layers only;
//! the few sideways arrows that are decisions stand in [`ALLOWED_SIDEWAYS`], each with its reason.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Lowest first. A crate that is not here has no place in the house, and the test says so.
const LAYERS: &[(&str, &[&str])] = &[
    ("ground", &["model", "runtime", "sql-filter", "plugin-sdk"]),
    ("shapes", &["protocol", "dataflow", "connect-sdk", "format"]),
    (
        "mechanisms",
        &[
            "store",
            "metadata",
            "client",
            "state",
            "plugin-host",
            "connector-file",
            "connector-postgres",
            "connector-datagen",
            "connector-blackhole",
        ],
    ),
    (
        "policies",
        &["delivery", "nameserver", "planner", "operators"],
    ),
    (
        "processes",
        &["server", "engine", "connect-runtime", "settings"],
    ),
    ("tests", &["peers", "history"]),
    (
        "house",
        &[
            "chaos",
            "fuzz",
            "hand-back",
            "mill-bench",
            "millstream",
            "simulation",
            "xtask",
        ],
    ),
];

/// (from, to, why): arrows inside one layer that are design decisions.
const ALLOWED_SIDEWAYS: &[(&str, &str, &str)] = &[];

/// Folders whose crates know of each other only what stands here: (wing, other wing, crates).
/// A wing that is not named beside another one must not know it at all.
const BETWEEN_WINGS: &[(&str, &str, &[&str])] = &[
    ("broker", "sql-filter", &["sql-filter"]),
    ("streams", "broker", &["model", "runtime", "client"]),
    ("streams", "connect", &["connect-sdk", "format"]),
    ("streams", "plugins", &["plugin-host"]),
    ("connect", "broker", &["model", "runtime", "client"]),
    ("plugins", "broker", &["runtime"]),
];
const WINGS: &[&str] = &["broker", "streams", "connect", "plugins", "sql-filter"];

/// (from, to): arrows within a wing that point down but are forbidden.
const FORBIDDEN: &[(&str, &str)] = &[
    ("client", "store"),
    ("delivery", "protocol"),
    ("nameserver", "store"),
];

#[derive(Debug)]
struct Manifest {
    name: String,
    /// The folder of the checkout it lies in.
    wing: String,
    uses: Vec<String>,
}

fn manifests() -> Vec<Manifest> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![read_manifest(&root.join("Cargo.toml"))];
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the checkout is readable") {
            let path = entry.expect("a folder entry is readable").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if !path.is_dir() || name.starts_with('.') || name == "target" || name == "node_modules"
            {
                continue;
            }
            let manifest = path.join("Cargo.toml");
            if manifest.exists() && is_member(&manifest) {
                found.push(read_manifest(&manifest));
            }
            folders.push(path);
        }
    }
    found
}

/// Members inherit the workspace's version; examples and fuzz targets stand outside and do not.
fn is_member(manifest: &PathBuf) -> bool {
    let text = std::fs::read_to_string(manifest).expect("a manifest is readable");
    text.contains("version.workspace = true")
}

fn read_manifest(path: &Path) -> Manifest {
    let text = std::fs::read_to_string(path).expect("a manifest is readable");
    let manifest: toml::Table = text
        .parse()
        .unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    let name = manifest["package"]["name"]
        .as_str()
        .expect("a package has a name")
        .to_owned();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = path.strip_prefix(root).expect("it lies below the root");
    let wing = place.iter().next().unwrap_or_default();
    let mut uses = dependencies(&manifest);
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    for target in targets.into_iter().flat_map(toml::Table::values) {
        uses.extend(dependencies(
            target.as_table().expect("a target is a table"),
        ));
    }
    Manifest {
        name,
        wing: wing.to_string_lossy().into_owned(),
        uses,
    }
}

/// What is linked in or built with. Tests may look up: they see a crate as its users do.
fn dependencies(table: &toml::Table) -> Vec<String> {
    let tables = ["dependencies", "build-dependencies"].map(|kind| table.get(kind));
    let entries = tables
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table);
    entries
        .flatten()
        .map(|(name, how)| {
            let renamed = how.get("package").and_then(toml::Value::as_str);
            renamed.unwrap_or(name).to_owned()
        })
        .collect()
}

fn layers() -> BTreeMap<&'static str, usize> {
    LAYERS
        .iter()
        .enumerate()
        .flat_map(|(height, (_, crates))| crates.iter().map(move |name| (*name, height)))
        .collect()
}

/// Every arrow of the given manifests that breaks a rule, as a sentence.
fn broken_arrows(manifests: &[Manifest]) -> Vec<String> {
    let height = layers();
    let wings: BTreeMap<&str, &str> = manifests
        .iter()
        .map(|manifest| (manifest.name.as_str(), manifest.wing.as_str()))
        .collect();
    let mut broken = Vec::new();
    for Manifest { name, wing, uses } in manifests {
        let Some(&own) = height.get(name.as_str()) else {
            broken.push(format!("{name} stands in no layer: give it one in tests/architecture.rs and ARCHITECTURE.md"));
            continue;
        };
        for used in uses {
            let Some(&other) = height.get(used.as_str()) else {
                continue;
            };
            let (from, to) = (LAYERS[own].0, LAYERS[other].0);
            let sideways = ALLOWED_SIDEWAYS
                .iter()
                .any(|(a, b, _)| a == name && b == used);
            let beside = wings.get(used.as_str()).copied().unwrap_or_default();
            if other > own {
                broken.push(format!("{name} ({from}) points up at {used} ({to})"));
            } else if other == own && !sideways {
                broken.push(format!("{name} points sideways at {used} (both in {from})"));
            } else if FORBIDDEN.contains(&(name.as_str(), used.as_str()))
                || !may_know(wing, beside, used)
            {
                broken.push(format!("{name} must not know {used}"));
            }
        }
    }
    broken
}

/// Whether crates of one wing may use this crate of another.
fn may_know(wing: &str, other: &str, used: &str) -> bool {
    if wing == other || !WINGS.contains(&wing) || !WINGS.contains(&other) {
        return true;
    }
    BETWEEN_WINGS
        .iter()
        .any(|(from, to, crates)| *from == wing && *to == other && crates.contains(&used))
}

#[test]
fn every_arrow_points_down() {
    let broken = broken_arrows(&manifests());
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_crate_of_a_layer_exists() {
    let found: Vec<String> = manifests()
        .into_iter()
        .map(|manifest| manifest.name)
        .collect();
    for (name, _) in layers() {
        assert!(
            found.iter().any(|other| other == name),
            "{name} has a layer but no manifest"
        );
    }
}

#[test]
fn an_arrow_that_points_up_or_sideways_is_named() {
    let arrow = |wing: &str, name: &str, used: &str| Manifest {
        name: name.into(),
        wing: wing.into(),
        uses: vec![used.into()],
    };
    let broken = broken_arrows(&[
        arrow("broker", "model", "store"),
        arrow("broker", "store", "metadata"),
        arrow("streams", "engine", "store"),
        arrow("streams", "operators", "model"),
        arrow("broker", "server", "operators"),
        arrow("broker", "stranger", "model"),
    ]);
    assert_eq!(
        broken,
        [
            "model (ground) points up at store (mechanisms)",
            "store points sideways at metadata (both in mechanisms)",
            "engine must not know store",
            "server must not know operators",
            "stranger stands in no layer: give it one in tests/architecture.rs and ARCHITECTURE.md",
        ]
    );
}

#[test]
fn only_the_disk_module_may_use_unsafe() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut guilty = Vec::new();
    let mut folders: Vec<PathBuf> = [
        "broker",
        "cli",
        "connect",
        "plugins",
        "sql-filter",
        "streams",
    ]
    .iter()
    .map(|name| root.join(name))
    .collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the checkout is readable") {
            let path = entry.expect("a folder entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file is readable");
                let place = path
                    .strip_prefix(root)
                    .expect("it lies below the root")
                    .to_string_lossy()
                    .into_owned();
                let lifted = text.lines().any(|line| {
                    line.contains("unsafe_code")
                        && ["allow(", "expect(", "warn("]
                            .iter()
                            .any(|lift| line.contains(lift))
                });
                let excused = place.starts_with("broker/runtime/src/disk")
                    || place.starts_with("plugins/sdk")
                    || place.contains("/tests/");
                if lifted && !excused {
                    guilty.push(place);
                }
            }
        }
    }
    assert!(
        guilty.is_empty(),
        "unsafe code is allowed outside runtime::disk: {guilty:?}"
    );
}
