//! Computing new columns; projections over one another become one.

use arrow::datatypes::Field;
use dataflow::{Expression, NodeKind, StateBound, Traits};
use datafusion::{
    common::{Column, DataFusionError},
    logical_expr::{Expr, LogicalPlan, Projection},
};
use std::{collections::BTreeSet, sync::Arc};

use super::{Builder, Relation, schema, unique_fields};
use crate::{canonical, error::Error, statements::Emission, tumble::EmitNode};

impl Builder<'_> {
    pub(super) fn projection(
        &mut self,
        projection: &Projection,
        emission: Option<Emission>,
    ) -> Result<Relation, Error> {
        let Merged {
            outputs,
            below,
            emission,
        } = Merged::of(projection, emission)
            .map_err(|error| crate::query::planning_error(&error, self.place))?;
        let input = self.relation(below, emission)?;
        let columns = below.schema();
        let positions = outputs
            .iter()
            .map(|output| self.position(output, columns, &input));
        if let Some(columns) = positions.collect::<Option<Vec<usize>>>() {
            return Ok(Relation {
                node: input.node,
                columns,
            });
        }
        let mut expressions = Vec::new();
        let mut names = Vec::new();
        for (output, (qualifier, field)) in outputs.iter().zip(projection.schema.iter()) {
            let expression = self.typed(output, columns, &input, field)?;
            // A name that the SQL planner made up changes with its versions; ours does not.
            let name = match self.position(output, columns, &input) {
                _ if canonical::is_plain(field.name()) => field.name().clone(),
                Some(column) => self.node(input.node).schema.field(column).name().clone(),
                None => expression.sql.clone(),
            };
            names.push((
                name,
                qualifier.map(|qualifier| qualifier.table().to_owned()),
            ));
            expressions.push(expression);
        }
        let names = names
            .iter()
            .map(|(name, qualifier)| (name.as_str(), qualifier.clone()));
        let fields = unique_fields(names, projection.schema.fields().iter().map(Arc::as_ref));
        Ok(self.project(expressions, fields, &input))
    }

    /// Adds a projection; traits follow the plain columns in it.
    pub(super) fn project(
        &mut self,
        expressions: Vec<Expression>,
        fields: Vec<Field>,
        input: &Relation,
    ) -> Relation {
        let source = self.node(input.node);
        let plain: Vec<Option<usize>> = expressions
            .iter()
            .map(|expression| {
                source
                    .schema
                    .fields()
                    .iter()
                    .position(|field| canonical::name(field.name()) == expression.sql)
            })
            .collect();
        let moved = |column: usize| plain.iter().position(|from| *from == Some(column));
        let traits = Traits {
            append_only: source.traits.append_only,
            unique_key: source
                .traits
                .unique_key
                .as_ref()
                .and_then(|key| key.iter().map(|column| moved(*column)).collect()),
            event_time: source.traits.event_time.and_then(moved),
            state_bound: StateBound::Stateless,
        };
        let columns = (0..fields.len()).collect();
        let node = self.dataflow.add(
            NodeKind::Project(expressions),
            vec![input.node],
            schema(fields),
            traits,
        );
        Relation { node, columns }
    }
}

/// A projection's expressions over the first step below it that is no projection, where the
/// ones between only rename and reorder, or compute what is used once.
struct Merged<'a> {
    outputs: Vec<Expr>,
    below: &'a LogicalPlan,
    emission: Option<Emission>,
}

impl<'a> Merged<'a> {
    fn of(projection: &'a Projection, emission: Option<Emission>) -> Result<Self, DataFusionError> {
        let mut merged = Self {
            outputs: projection.expr.clone(),
            below: &projection.input,
            emission,
        };
        while merged.with_next()? {}
        Ok(merged)
    }

    /// Takes in one more projection, if there is one that can be.
    fn with_next(&mut self) -> Result<bool, DataFusionError> {
        let (mut inner, mut emission) = (self.below, self.emission);
        let inner = loop {
            inner = match inner {
                LogicalPlan::SubqueryAlias(alias) => &alias.input,
                LogicalPlan::Extension(extension) => {
                    match extension.node.as_any().downcast_ref::<EmitNode>() {
                        Some(emit) => {
                            emission = Some(emit.emission);
                            &emit.input
                        }
                        None => return Ok(false),
                    }
                }
                LogicalPlan::Projection(projection) => break projection,
                _ => return Ok(false),
            }
        };
        let mut used = BTreeSet::new();
        let mut moved = Vec::new();
        for output in &self.outputs {
            let Some(column) = plain_column(output) else {
                return Ok(false);
            };
            let position = self.below.schema().index_of_column(column)?;
            let source = &inner.expr[position];
            if plain_column(source).is_none() && !used.insert(position) {
                return Ok(false);
            }
            moved.push(source.clone());
        }
        *self = Self {
            outputs: moved,
            below: &inner.input,
            emission,
        };
        Ok(true)
    }
}

fn plain_column(expression: &Expr) -> Option<&Column> {
    match expression {
        Expr::Alias(alias) => plain_column(&alias.expr),
        Expr::Column(column) => Some(column),
        _ => None,
    }
}
