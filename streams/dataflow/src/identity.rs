//! Names for operators that survive restarts, upgrades and edits elsewhere in the job.

use crate::{Column, ColumnKind, Emit, Node, NodeKind, TableSpec, Window};
use arrow::datatypes::{Field, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt;

/// Stable name of an operator and its state: 32 hexadecimal digits.
///
/// It hashes what the operator does, its output columns and the names of its inputs, over a
/// canonical form of our own. Two operators with one name compute the same rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperatorId(String);

impl OperatorId {
    /// The name of an operator of this kind over these inputs.
    pub fn of(kind: &NodeKind, inputs: &[&OperatorId], schema: &Schema) -> Self {
        let inputs: Vec<&str> = inputs.iter().map(|input| input.as_str()).collect();
        let canonical = json!(["v1", describe(kind), inputs, columns(schema)]).to_string();
        let digest = Sha256::digest(canonical.as_bytes());
        Self(
            digest
                .iter()
                .take(16)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }

    /// The name that belongs to a node whose inputs have these names.
    pub(crate) fn of_node(node: &Node, inputs: &[&OperatorId]) -> Self {
        Self::of(&node.kind, inputs, &node.schema)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn describe(kind: &NodeKind) -> Value {
    let name = kind.name();
    match kind {
        NodeKind::Source(source) => json!([name, table(&source.table)]),
        NodeKind::Project(expressions) => {
            json!([
                name,
                expressions
                    .iter()
                    .map(|expression| &expression.sql)
                    .collect::<Vec<_>>()
            ])
        }
        NodeKind::Filter(predicate) => json!([name, predicate.sql]),
        NodeKind::Watermark(watermark) => json!([name, watermark.column, watermark.expression.sql]),
        NodeKind::Window(Window::Tumble(tumble)) => {
            json!([name, tumble.time_column, tumble.size_ms, tumble.offset_ms])
        }
        NodeKind::Aggregate(aggregate) => {
            let calls: Vec<Value> = aggregate
                .aggregates
                .iter()
                .map(|call| {
                    json!([
                        call.sql(),
                        call.state_fields.iter().map(column).collect::<Vec<_>>()
                    ])
                })
                .collect();
            let emit = match aggregate.emit {
                Emit::Changes { window_end_key } => json!(["changes", window_end_key]),
                Emit::OnWindowClose { window_end_key } => {
                    json!(["on-window-close", window_end_key])
                }
            };
            json!([name, aggregate.keys, calls, emit])
        }
        NodeKind::LookupJoin(join) => {
            let left: Vec<&String> = join.left_keys.iter().map(|key| &key.sql).collect();
            let residual = join.residual.as_ref().map(|residual| &residual.sql);
            json!([
                name,
                table(&join.table),
                left,
                join.right_keys,
                join.kind,
                residual
            ])
        }
        NodeKind::Union => json!([name]),
        NodeKind::Sink(sink) => json!([name, table(&sink.table), sink.changelog]),
    }
}

fn table(table: &TableSpec) -> Value {
    let declared: Vec<Value> = table.columns.iter().map(declared).collect();
    json!([table.name, table.place, declared, table.primary_key])
}

fn declared(column: &Column) -> Value {
    let kind = match &column.kind {
        ColumnKind::Physical => json!("physical"),
        ColumnKind::Computed(expression) => json!(["computed", expression.sql]),
        ColumnKind::Metadata { key, is_virtual } => json!(["metadata", key, is_virtual]),
    };
    json!([
        column.name,
        column.data_type.to_string(),
        column.nullable,
        kind
    ])
}

fn columns(schema: &Schema) -> Vec<Value> {
    schema.fields().iter().map(|field| column(field)).collect()
}

fn column(field: &Field) -> Value {
    json!([
        field.name(),
        field.data_type().to_string(),
        field.is_nullable()
    ])
}
