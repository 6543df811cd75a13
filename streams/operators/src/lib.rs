//! The operators of a streaming job, stepped once per epoch over weighted Arrow batches.
//!
//! [`Graph`] builds one operator per node of a dataflow and steps them in order. Operators keep
//! rows in `state` alone: a graph built over reopened state goes on as if it had never stopped.

mod accumulators;
mod additive;
mod aggregate;
mod build;
mod emission;
mod error;
mod expressions;
mod filter;
mod graph;
mod groups;
mod late;
mod lookup_cache;
mod lookup_join;
mod multiset;
mod omitted;
mod operator;
mod project;
mod retracting;
mod stored_lookups;
mod trace;
mod union;
mod watermark;
mod window;

pub use build::Environment;
pub use error::{Error, RowError};
pub use expressions::Functions;
pub use graph::{Graph, Late, Stepped};
pub use late::LateRows;
pub use lookup_cache::{Fetched, Lookup, Lookups};
pub use omitted::Omitted;
pub use operator::{Operator, Output, RowMap, RowTimes, Step};
pub use trace::SourceRows;
pub use watermark::{EventTimes, Watermark};
