//! A table of the outside world as a statement declared it: columns, key, watermark, options.

use crate::{Expression, Watermark, schema};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// A declared table: what `CREATE TABLE … WITH (…)` said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableSpec {
    pub name: String,
    /// Every declared column, in the order of the declaration.
    pub columns: Vec<Column>,
    /// Positions in `columns`; empty without `PRIMARY KEY`.
    pub primary_key: Vec<usize>,
    /// `column` is a position in `columns`.
    pub watermark: Option<Watermark>,
    /// `WITH` options as written; their keys were checked against the connector.
    pub options: BTreeMap<String, String>,
    /// Connector and place of the rows, as in `rocketmq topic flights`. Operator ids hash it
    /// instead of `options`, so that a new address does not orphan state.
    pub place: String,
}

/// One declared column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(with = "schema::data_type")]
    pub data_type: DataType,
    pub nullable: bool,
    pub kind: ColumnKind,
}

/// Where the values of a column come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnKind {
    /// From the record's body.
    Physical,
    /// From the other columns; a projection behind the source computes it.
    Computed(Expression),
    /// From the record's envelope, under this key. A virtual one is never written.
    Metadata { key: String, is_virtual: bool },
}

impl TableSpec {
    /// The `connector` option, as written.
    pub fn connector(&self) -> Option<&str> {
        self.options.get("connector").map(String::as_str)
    }

    /// The columns that a sink writes, in order: all but computed and virtual ones.
    pub fn persisted(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| match &column.kind {
            ColumnKind::Physical => true,
            ColumnKind::Computed(_) => false,
            ColumnKind::Metadata { is_virtual, .. } => !is_virtual,
        })
    }

    /// The schema of the columns that a sink writes.
    pub fn persisted_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(
            self.persisted().map(Column::field).collect::<Vec<_>>(),
        ))
    }

    /// The schema of the columns in the record's body.
    pub fn physical_schema(&self) -> SchemaRef {
        let physical = self
            .columns
            .iter()
            .filter(|column| column.kind == ColumnKind::Physical);
        Arc::new(Schema::new(physical.map(Column::field).collect::<Vec<_>>()))
    }

    /// The schema of every declared column.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(
            self.columns.iter().map(Column::field).collect::<Vec<_>>(),
        ))
    }
}

impl Column {
    pub fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), self.nullable)
    }
}
