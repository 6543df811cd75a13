//! Runs users' WebAssembly functions over Arrow columns, inside limits.
//!
//! ```text
//! bytes ── PluginHost::compile ──► Module ── scalar(name, signature) ──► ScalarFunction
//!            limits, imports,        │                                        │ call(columns)
//!            start-up tried          └ describes what it offers               ▼
//!                                                                        column or CallError
//! ```
//! A module is a component that exports `millstream:udf/scalar`, or a core module
//! with `mr_alloc` and `mr_eval`. Either sees columns and nothing of the machine.

mod argument;
mod block;
mod call_error;
mod component;
mod componentize;
mod contract;
mod core_module;
mod deadlines;
mod error;
mod function;
mod guest;
mod guest_log;
mod host;
mod instance;
mod module;
mod offenders;
mod returned;
mod sandbox;
mod settings;
mod signature;
mod wasi;

pub use call_error::{CallError, RowError};
pub use componentize::to_component;
pub use error::Error;
pub use function::ScalarFunction;
pub use host::PluginHost;
pub use module::{Kind, Module, ModuleHash};
pub use settings::Settings;
pub use signature::Signature;
