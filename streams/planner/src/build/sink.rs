//! Writing to a table: which changes it may get, and whether it can take them.

use dataflow::{Changelog, Dataflow, NodeKind, Sink, StateBound, Traits};
use datafusion::logical_expr::LogicalPlan;
use std::sync::Arc;

use super::{Builder, Relation};
use crate::{
    catalog::Table,
    error::{Error, Place},
};

/// The table of an `INSERT` and where its name stands.
pub(crate) struct Target {
    pub(crate) table: Arc<Table>,
    pub(crate) place: Place,
}

impl Builder<'_> {
    /// Adds the sink behind a plan whose columns are the table's persisted ones.
    pub(super) fn sink(
        &mut self,
        plan: &LogicalPlan,
        input: &Relation,
        target: &Target,
    ) -> Result<(), Error> {
        let spec = &target.table.spec;
        let fields: Vec<_> = spec
            .persisted()
            .zip(plan.schema().fields())
            .map(|(column, field)| column.field().with_nullable(field.is_nullable()))
            .collect();
        let input = self.aligned(input, &fields)?;
        let changelog = self.changelog(&input, target)?;
        let node = self.node(input.node);
        let traits = Traits {
            state_bound: StateBound::Stateless,
            ..node.traits.clone()
        };
        let columns = Arc::clone(&node.schema);
        if Dataflow::sinks(&self.dataflow).any(|(_, known)| known.table.name == spec.name) {
            return Err(Error::unsupported(
                target.place,
                format!("a second INSERT INTO {}", spec.name),
            )
            .hint("one INSERT with UNION ALL of both queries"));
        }
        let sink = Sink {
            table: spec.clone(),
            changelog,
        };
        self.dataflow
            .add(NodeKind::Sink(sink), vec![input.node], columns, traits);
        Ok(())
    }

    fn changelog(&self, input: &Relation, target: &Target) -> Result<Changelog, Error> {
        let spec = &target.table.spec;
        let name = spec.connector().unwrap_or_default();
        let Some(connector) = self.connectors.get(name).filter(|connector| connector.sink) else {
            return Err(Error::new(
                "sql.sink.direction",
                target.place,
                format!("table {} cannot be written", spec.name),
            )
            .why(self.connectors.abilities(name)));
        };
        let traits = &self.node(input.node).traits;
        if traits.append_only {
            return Ok(Changelog::Append);
        }
        if !spec.primary_key.is_empty() && connector.upserts {
            let key = persisted_key(target);
            let identifies = traits
                .unique_key
                .as_ref()
                .is_some_and(|unique| unique.iter().all(|column| key.contains(column)));
            return match identifies {
                true => Ok(Changelog::Upsert),
                false => Err(Error::new(
                    "sql.sink.key",
                    target.place,
                    format!(
                        "the primary key of {} does not tell the query's rows apart",
                        spec.name
                    ),
                )
                .why(match &traits.unique_key {
                    Some(unique) => format!(
                        "the query's rows are told apart by {}",
                        self.names(input, unique)
                    ),
                    None => "nothing tells the query's rows apart".to_owned(),
                })
                .hint("make the columns of GROUP BY the primary key")),
            };
        }
        if connector.retracts {
            return Ok(Changelog::Retract);
        }
        let error = Error::new(
            "sql.sink.updates",
            target.place,
            format!("table {} cannot take results that change", spec.name),
        )
        .why("the query updates rows that it has written");
        Err(match connector.upserts {
            true => error.hint("declare PRIMARY KEY (…) NOT ENFORCED, or aggregate windows, whose results are final"),
            false => error.hint("aggregate windows, whose results are final, or write to a table with a primary key"),
        })
    }

    fn names(&self, input: &Relation, columns: &[usize]) -> String {
        let schema = &self.node(input.node).schema;
        let names: Vec<&str> = columns
            .iter()
            .map(|column| schema.field(*column).name().as_str())
            .collect();
        match names.as_slice() {
            [] => "nothing: there is one row".to_owned(),
            names => names.join(", "),
        }
    }
}

/// The primary key as positions among the persisted columns.
fn persisted_key(target: &Target) -> Vec<usize> {
    let spec = &target.table.spec;
    let names: Vec<&str> = spec
        .primary_key
        .iter()
        .map(|column| spec.columns[*column].name.as_str())
        .collect();
    let position = |(position, column): (usize, &dataflow::Column)| {
        names.contains(&column.name.as_str()).then_some(position)
    };
    spec.persisted().enumerate().filter_map(position).collect()
}
