//! Writes the component that `cargo build --target wasm32-unknown-unknown` left half done.
//!
//! ```text
//! cargo run -p plugin-host --example componentize -- FROM.wasm TO.wasm
//! ```
//! The host takes either file; a component is what other tools understand.
#![allow(clippy::disallowed_methods)]

use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        return Err("two file names are needed: FROM.wasm TO.wasm".into());
    };
    let component = plugin_host::to_component(&fs::read(from)?)?;
    fs::write(to, &component)?;
    println!("{to}: {} bytes", component.len());
    Ok(())
}
