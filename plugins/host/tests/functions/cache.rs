//! Compiled code is kept between starts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use plugin_host::Settings;

use crate::build;
use crate::guests::tight;
use crate::house::{House, doubles, haversine_signature};

/// Files that hold compiled code; the cache keeps small statistics beside them.
fn artifacts(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the cache is readable") {
            let path = entry.expect("an entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none() {
                found.insert(path);
            }
        }
    }
    found
}

fn distance(settings: &Settings) -> f64 {
    let house = House::new(settings.clone());
    let bytes =
        std::fs::read(build::example("rust").join("haversine.wasm")).expect("it is committed");
    let module = house.host.compile(&bytes).expect("it is a component");
    let function = module
        .scalar("haversine_miles", &haversine_signature())
        .expect("it has it");
    let points: Vec<_> = [0.0, 0.0, 0.0, 180.0]
        .map(|degrees| doubles([degrees]))
        .into();
    let column = function.call(&points, 1).expect("it is half the globe");
    column.as_primitive::<Float64Type>().value(0)
}

#[test]
fn a_second_start_finds_the_code_and_a_broken_cache_is_no_loss() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let settings = Settings {
        cache_dir: Some(folder.path().join("wasm")),
        ..tight()
    };
    let first = distance(&settings);
    let written = artifacts(folder.path());
    assert!(!written.is_empty(), "nothing was kept");
    assert_eq!(distance(&settings).to_bits(), first.to_bits());
    assert_eq!(
        artifacts(folder.path()),
        written,
        "the second start compiled again"
    );
    for artifact in &written {
        std::fs::write(artifact, b"not code").expect("the cache is writable");
    }
    assert_eq!(distance(&settings).to_bits(), first.to_bits());
}
