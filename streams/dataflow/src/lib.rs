//! A streaming job as data: nodes, edges, traits, their serialized form, and the weighted
//! batch that travels on every edge. No engine and no SQL planner is known here.

mod delta;
mod error;
mod expression;
mod function_error;
mod graph;
mod identity;
mod node;
mod policy;
mod schema;
mod table;
mod traits;

pub use delta::Delta;
pub use error::Error;
pub use expression::Expression;
pub use function_error::FunctionError;
pub use graph::Dataflow;
pub use identity::OperatorId;
pub use node::{
    Aggregate, AggregateCall, Changelog, Emit, JoinKind, LookupJoin, Node, NodeId, NodeKind, Sink,
    Source, Tumble, Watermark, Window,
};
pub use policy::{Policies, RowPolicy};
pub use table::{Column, ColumnKind, TableSpec};
pub use traits::{StateBound, Traits};
