//! From Flink SQL text to a dataflow, by way of an unforked DataFusion plan.
//!
//! ```text
//! script ─ statements ─► tables, views, functions
//!                        INSERT ─ check ─ respell ─► DataFusion's SQL planner ─► meaning ─► optimize ─► build ─► Dataflow
//! ```
//! What no operator does is refused by name, with its place in the script. [`batch`] runs the
//! same queries by DataFusion alone and is what streaming results are compared with.

pub mod batch;
mod build;
mod canonical;
mod catalog;
mod connectors;
mod cursor;
mod declare;
mod depth;
mod dialect;
mod error;
mod explain;
mod functions;
mod insert;
mod meaning;
mod nearest;
mod plan;
mod query;
mod relations;
mod respell;
mod roles;
mod scope;
mod settings;
mod statements;
mod supported;
mod tumble;
mod types;
mod window_functions;

pub use connectors::{ConnectorSpec, Connectors, MetadataSpec, OptionSpec, RefusedOptions};
pub use error::{Error, Errors};
pub use explain::explain;
pub use functions::{EpochTime, FunctionLoader, Functions, NoFunctions, ScalarBody, WasmFunctions};
pub use plan::{Environment, Plan, plan};
