//! The contract's types and imports, as wit-bindgen writes them.

wit_bindgen::generate!({
    world: "scalar-function",
    path: "../wit",
    pub_export_macro: true,
    export_macro_name: "export_scalar",
    default_bindings_module: "plugin_sdk::expansion::bindings",
});

pub use millstream::udf::{clock, log};
