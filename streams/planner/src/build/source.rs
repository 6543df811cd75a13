//! Reading a table: the columns in use, then the computed ones, then the watermark.

use arrow::datatypes::Field;
use dataflow::{ColumnKind, NodeKind, Source, StateBound, TableSpec, Traits, Watermark};
use datafusion::{
    common::{
        Column,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Expr, LogicalPlan, TableScan},
};
use std::collections::{BTreeMap, BTreeSet};

use super::{Builder, Relation, scanned, schema};
use crate::{catalog::Table, error::Error};

/// Adds the columns that a plan reads from each table, with what computes them.
pub(super) fn needed_columns(plan: &LogicalPlan, needed: &mut BTreeMap<String, BTreeSet<usize>>) {
    let walk = plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(scanned) = scanned(scan)
            && !scanned.lookup
        {
            let table = &scanned.table;
            let columns = needed.entry(table.spec.name.clone()).or_default();
            match &scan.projection {
                Some(projection) => columns.extend(projection),
                None => columns.extend(0..table.spec.columns.len()),
            }
            add_inputs(table, columns);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walk.expect("the visitor never fails");
}

/// Adds what computed columns and the watermark are made of.
fn add_inputs(table: &Table, columns: &mut BTreeSet<usize>) {
    if let (Some(watermark), Some(expression)) = (&table.spec.watermark, &table.watermark) {
        columns.insert(watermark.column);
        columns.extend(columns_of(expression, &table.spec));
    }
    let mut inputs = BTreeSet::new();
    for column in columns.iter() {
        if let Some(expression) = table.computed.get(column) {
            inputs.extend(columns_of(expression, &table.spec));
        }
    }
    columns.append(&mut inputs);
    let read = |column: &usize| !table.computed.contains_key(column);
    if !columns.iter().any(read) {
        columns.extend((0..table.spec.columns.len()).find(read));
    }
}

fn columns_of(expression: &Expr, table: &TableSpec) -> Vec<usize> {
    let names = expression.column_refs();
    let position = |(position, column): (usize, &dataflow::Column)| {
        names
            .iter()
            .any(|name| name.name == column.name)
            .then_some(position)
    };
    table
        .columns
        .iter()
        .enumerate()
        .filter_map(position)
        .collect()
}

impl Builder<'_> {
    pub(super) fn scan(&mut self, scan: &TableScan) -> Result<Relation, Error> {
        let Some(scanned) = scanned(scan) else {
            return Err(Error::unsupported(
                self.place,
                format!("the table {}", scan.table_name),
            ));
        };
        let table = &scanned.table;
        let spec = &table.spec;
        let can_read = spec
            .connector()
            .and_then(|name| self.connectors.get(name))
            .is_some_and(|connector| connector.source);
        if !can_read {
            let connector = spec.connector().unwrap_or_default();
            return Err(Error::new(
                "sql.source.direction",
                self.place,
                format!("table {} cannot be read", spec.name),
            )
            .why(self.connectors.abilities(connector)));
        }
        if let Some(place) = table.key_place {
            return Err(Error::new(
                "sql.source.key",
                place,
                format!("table {} has a primary key and cannot be read as a stream", spec.name),
            )
            .why("every record of a topic is read as one more row: older versions of a key, and deletions, would count too")
            .hint("leave PRIMARY KEY out to read every version as a row of its own"));
        }
        let mut filters = scan.filters.iter();
        if let Some(filter) = filters.next() {
            return Err(Error::unsupported(
                self.place,
                format!("the filter {filter} inside a scan"),
            ));
        }
        let needed = self.needed.get(&spec.name).cloned().unwrap_or_default();
        let read: Vec<usize> = needed
            .iter()
            .copied()
            .filter(|column| !table.computed.contains_key(column))
            .collect();
        let computed: Vec<usize> = needed
            .iter()
            .copied()
            .filter(|column| table.computed.contains_key(column))
            .collect();
        let mut relation = self.source(spec, &read);
        if !computed.is_empty() {
            relation = self.compute(table, &read, &computed, &relation)?;
        }
        let layout: Vec<usize> = read.into_iter().chain(computed).collect();
        let position = |column: usize| {
            layout
                .iter()
                .position(|known| *known == column)
                .expect("every column in use was collected")
        };
        if let (Some(watermark), Some(expression)) = (&spec.watermark, &table.watermark) {
            relation = self.watermark(position(watermark.column), expression, relation)?;
        }
        let all: Vec<usize> = (0..spec.columns.len()).collect();
        let visible = scan.projection.as_ref().unwrap_or(&all);
        Ok(Relation {
            node: relation.node,
            columns: visible.iter().map(|column| position(*column)).collect(),
        })
    }

    fn source(&mut self, spec: &TableSpec, read: &[usize]) -> Relation {
        let fields: Vec<Field> = read
            .iter()
            .map(|column| spec.columns[*column].field())
            .collect();
        let traits = Traits {
            append_only: true,
            unique_key: None,
            event_time: None,
            state_bound: StateBound::Stateless,
        };
        let source = Source {
            table: spec.clone(),
            columns: read.to_vec(),
        };
        debug_assert!(
            read.iter()
                .all(|column| !matches!(spec.columns[*column].kind, ColumnKind::Computed(_)))
        );
        let node = self
            .dataflow
            .add(NodeKind::Source(source), Vec::new(), schema(fields), traits);
        Relation {
            node,
            columns: (0..read.len()).collect(),
        }
    }

    fn compute(
        &mut self,
        table: &Table,
        read: &[usize],
        computed: &[usize],
        input: &Relation,
    ) -> Result<Relation, Error> {
        let mut expressions = Vec::new();
        let mut fields = Vec::new();
        for column in read.iter().chain(computed) {
            let declared = &table.spec.columns[*column];
            let expression = match table.computed.get(column) {
                Some(expression) => unqualified(expression),
                None => Expr::Column(Column::new_unqualified(&declared.name)),
            };
            expressions.push(self.encode(expression)?);
            fields.push(declared.field());
        }
        Ok(self.project(expressions, fields, input))
    }

    fn watermark(
        &mut self,
        column: usize,
        expression: &Expr,
        input: Relation,
    ) -> Result<Relation, Error> {
        let expression = self.encode(unqualified(expression))?;
        let source = self.node(input.node);
        let of = source.schema.field(column).name().clone();
        let traits = Traits {
            event_time: Some(column),
            state_bound: StateBound::Keys {
                of: format!("queue: the greatest {of} seen"),
            },
            ..source.traits.clone()
        };
        let columns = source.schema.clone();
        let kind = NodeKind::Watermark(Watermark { column, expression });
        let node = self.dataflow.add(kind, vec![input.node], columns, traits);
        Ok(Relation { node, ..input })
    }
}

/// The expression with its columns' tables left out: a table's own columns have plain names.
pub(crate) fn unqualified(expression: &Expr) -> Expr {
    let plain = expression.clone().transform_up(|part| {
        Ok(match part {
            Expr::Column(column) => {
                Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))
            }
            Expr::Alias(alias) => Transformed::yes(*alias.expr),
            other => Transformed::no(other),
        })
    });
    plain.expect("renaming never fails").data
}
