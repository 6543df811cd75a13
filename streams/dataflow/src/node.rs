//! The nodes of a dataflow: what each operator is asked to do.

use crate::{Expression, OperatorId, TableSpec, Traits, schema};
use arrow::datatypes::{Field, SchemaRef};
use serde::{Deserialize, Serialize};

/// Position of a node in its dataflow. Inputs always have smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub usize);

/// One operator of the job, with everything needed to run it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeId,
    /// Stable name of the operator's state across restarts and new versions of the job.
    pub operator: OperatorId,
    pub kind: NodeKind,
    pub inputs: Vec<NodeId>,
    /// Columns of the output. Names are unique within one schema.
    #[serde(with = "schema::whole")]
    pub schema: SchemaRef,
    pub traits: Traits,
}

/// What an operator does. Column numbers are positions in its input's schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    Source(Source),
    /// One output column per expression; names and types stand in the node's schema.
    Project(Vec<Expression>),
    /// Keeps the rows for which the expression is true, neither false nor null.
    Filter(Expression),
    Watermark(Watermark),
    Window(Window),
    Aggregate(Aggregate),
    LookupJoin(LookupJoin),
    /// All rows of all inputs, weights added. The inputs' types are equal, names may differ.
    Union,
    Sink(Sink),
}

/// Reads a table: its physical and metadata columns, as far as the job uses them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub table: TableSpec,
    /// Positions in `table.columns`, in the order of the node's schema. Never computed ones.
    pub columns: Vec<usize>,
}

/// Declares event time. Rows pass unchanged.
///
/// The watermark of a queue is the greatest value of `expression` seen in it, the job's is
/// the smallest over queues that are not idle; neither ever goes back. Null values are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watermark {
    /// Column that carries event time.
    pub column: usize,
    /// Yields the same type as the column.
    pub expression: Expression,
}

/// Assigns windows; appends `window_start`, `window_end` and `window_time` (`window_end` − 1 ms),
/// each `Timestamp(Millisecond, None)` and never null.
///
/// A row whose time is null belongs to no window: it is counted as late and left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    Tumble(Tumble),
}

/// Adjacent windows of one size: `start ≤ time < start + size`, `start ≡ offset (mod size)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tumble {
    pub time_column: usize,
    pub size_ms: i64,
    pub offset_ms: i64,
}

/// Groups rows by key columns. Output: the keys in order, then one column per aggregate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Positions in the input; empty for one global group.
    pub keys: Vec<usize>,
    pub aggregates: Vec<AggregateCall>,
    pub emit: Emit,
}

/// One aggregate function with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregateCall {
    /// Lower-case name as registered: `count`, `sum`, `min`, …
    pub function: String,
    pub distinct: bool,
    /// Argument expressions over the input. `COUNT(*)` has the literal 1.
    pub arguments: Vec<Expression>,
    /// Only rows for which this is true are counted.
    pub filter: Option<Expression>,
    /// The whole call, as the planner encodes it.
    pub expression: Expression,
    #[serde(with = "schema::field")]
    pub output: Field,
    /// Columns of the partial state, for stores that keep it as a row.
    #[serde(with = "schema::fields")]
    pub state_fields: Vec<Field>,
}

/// When a group's result leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Emit {
    /// With every epoch that changed it: the old row is withdrawn, the new one inserted.
    /// If the keys hold a `window_end`, a group is dropped when its window closes.
    Changes { window_end_key: Option<usize> },
    /// Once, when the watermark reaches `window_end` − 1 ms. Rows that come later are late.
    /// The number is a position in `keys`.
    OnWindowClose { window_end_key: usize },
}

/// Looks each row up in a table of the outside world, as that table is at that moment.
///
/// Output: the input's columns, then every column of the table. A null key matches nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LookupJoin {
    pub table: TableSpec,
    /// Key expressions over the input, of the types of the table's key columns.
    pub left_keys: Vec<Expression>,
    /// Positions in `table.columns`, one per key expression.
    pub right_keys: Vec<usize>,
    pub kind: JoinKind,
    /// Over the output columns: a pair for which it is not true does not match.
    pub residual: Option<Expression>,
}

/// What happens to a row without a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JoinKind {
    /// It is dropped.
    Inner,
    /// It leaves once, the table's columns null.
    Left,
}

/// Writes to a table. The input's columns are the table's persisted ones, in order and type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sink {
    pub table: TableSpec,
    pub changelog: Changelog,
}

/// Which changes reach a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changelog {
    /// Only inserts ever arrive.
    Append,
    /// One row per primary key and epoch: its newest content, or its deletion.
    Upsert,
    /// Every withdrawal and insert.
    Retract,
}

impl NodeKind {
    /// The operator's name in plans, metrics and errors.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Project(_) => "project",
            Self::Filter(_) => "filter",
            Self::Watermark(_) => "watermark",
            Self::Window(Window::Tumble(_)) => "tumble",
            Self::Aggregate(_) => "aggregate",
            Self::LookupJoin(_) => "lookup-join",
            Self::Union => "union",
            Self::Sink(_) => "sink",
        }
    }
}

impl AggregateCall {
    /// The call's canonical text.
    pub fn sql(&self) -> &str {
        &self.expression.sql
    }
}
