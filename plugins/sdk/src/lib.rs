//! Write a Millstream function in plain Rust and build it as WebAssembly.
//!
//! ```
//! plugin_sdk::functions! {
//!     /// Celsius to Fahrenheit.
//!     pub fn fahrenheit(celsius: f64) -> f64 {
//!         celsius * 1.8 + 32.0
//!     }
//!
//!     /// The first letter of a name; an empty name is this row's error.
//!     pub fn initial(name: &str) -> Result<String, &'static str> {
//!         name.chars().next().map(String::from).ok_or("the name is empty")
//!     }
//! }
//! ```
//!
//! One crate holds one [`functions!`] block, is a `cdylib`, and is built with
//! `cargo build --release --target wasm32-unknown-unknown`. The functions stay
//! ordinary Rust functions, so `cargo test` can call them.

mod argument;
mod bindings;
mod functions;
mod outcome;
mod panics;
mod values;

pub use argument::Argument;
pub use bindings::clock::epoch_time as epoch_time_micros;
pub use bindings::log::{Level, log};
pub use outcome::{Outcome, Results};
pub use values::{Date, Decimal, TimestampMicros, TimestampMillis, TimestampNanos};

/// What [`functions!`] expands to; not for use by hand.
#[doc(hidden)]
pub mod expansion {
    pub use crate::bindings::export_scalar;
    pub use crate::bindings::exports::millstream::udf::scalar::Guest;
    pub use crate::bindings::millstream::udf::types::{
        Column, Error, Field, RowError, Signature, Ty,
    };
    pub use crate::functions::{batch_error, read, signature};
    pub use crate::outcome::Rows;
    pub use crate::panics::report_panics;
    pub mod bindings {
        pub use crate::bindings::*;
    }
}
