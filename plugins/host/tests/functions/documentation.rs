//! The page `docs/wasm-functions.md` tells the truth.

use std::fs;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Float64Type};
use plugin_host::{Settings, Signature};

use crate::build;
use crate::house::{House, doubles};

/// The first piece of code in `language` on the page.
fn code(page: &str, language: &str) -> String {
    let fence = format!("```{language}\n");
    let start = page.find(&fence).expect("the page has such code") + fence.len();
    let length = page[start..].find("```").expect("the fence is closed");
    page[start..start + length].to_owned()
}

#[test]
fn the_function_of_the_page_builds_and_runs_as_written() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page =
        fs::read_to_string(checkout.join("docs/wasm-functions.md")).expect("the page exists");
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let checkout = checkout.canonicalize().expect("the checkout exists");
    let manifest = code(&page, "toml").replace("../millstream", &checkout.to_string_lossy());
    fs::create_dir(folder.path().join("src")).expect("the folder is new");
    fs::write(folder.path().join("Cargo.toml"), manifest).expect("the folder is writable");
    fs::write(folder.path().join("src/lib.rs"), code(&page, "rust"))
        .expect("the folder is writable");

    let house = House::new(Settings::default());
    let bytes = build::rust(folder.path(), "temperature");
    let module = house.host.compile(&bytes).expect("it is a function");
    let declared = Signature::new("fahrenheit", vec![DataType::Float64], DataType::Float64);
    let fahrenheit = module
        .scalar("fahrenheit", &declared)
        .expect("the page declares it so");
    let column = fahrenheit
        .call(&[doubles([0.0, 100.0])], 2)
        .expect("water freezes and boils");
    assert_eq!(
        column.as_primitive::<Float64Type>().values(),
        &[32.0, 212.0]
    );
    let initial = Signature::new("initial", vec![DataType::Utf8], DataType::Utf8);
    assert!(module.scalar("initial", &initial).is_ok());
}
