//! Joining each row with the rows of a table as it is now.

use dataflow::{ColumnKind, Expression, JoinKind, LookupJoin, NodeKind, StateBound, Traits};
use datafusion::{
    common::{
        Column, DFSchema, JoinType, NullEquality,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{Expr, Join, LogicalPlan, utils::conjunction},
};
use std::{collections::BTreeSet, sync::Arc};

use super::{Builder, Relation, schema, unique_name};
use crate::{
    catalog::{Scanned, Table},
    error::Error,
    statements::Emission,
    types::flink_type,
};

/// The side that is looked up, with everything between the join and the table taken apart.
struct Looked {
    table: Arc<Table>,
    /// The table's name in the query.
    name: String,
    /// Per column of the side's plan, the column of the table.
    columns: Vec<usize>,
    /// Conditions on the table's columns, each written `#position`.
    conditions: Vec<Expr>,
}

impl Looked {
    fn read(plan: &LogicalPlan) -> Option<Self> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let scanned = Scanned::of(&scan.source).filter(|scanned| scanned.lookup)?;
                let all = (0..scanned.table.spec.columns.len()).collect();
                let columns = scan.projection.clone().unwrap_or(all);
                let table = Arc::clone(&scanned.table);
                let read = Self {
                    name: table.spec.name.clone(),
                    table,
                    columns,
                    conditions: Vec::new(),
                };
                scan.filters.is_empty().then_some(read)
            }
            LogicalPlan::SubqueryAlias(alias) => Some(Self {
                name: alias.alias.table().to_owned(),
                ..Self::read(&alias.input)?
            }),
            LogicalPlan::Projection(projection) => {
                let below = Self::read(&projection.input)?;
                let column = |expression: &Expr| match expression {
                    Expr::Column(column) => projection
                        .input
                        .schema()
                        .maybe_index_of_column(column)
                        .map(|at| below.columns[at]),
                    _ => None,
                };
                let columns = projection
                    .expr
                    .iter()
                    .map(column)
                    .collect::<Option<Vec<usize>>>()?;
                Some(Self { columns, ..below })
            }
            LogicalPlan::Filter(filter) => {
                let mut below = Self::read(&filter.input)?;
                let condition = below.numbered(&filter.predicate, filter.input.schema())?;
                below.conditions.push(condition);
                Some(below)
            }
            _ => None,
        }
    }

    /// The expression with each column replaced by `#` and its position in the table.
    fn numbered(&self, expression: &Expr, columns: &DFSchema) -> Option<Expr> {
        let numbered = expression.clone().transform_up(|part| {
            Ok(match part {
                Expr::Column(column) => {
                    let position = self.columns[columns.index_of_column(&column)?];
                    Transformed::yes(Expr::Column(Column::new_unqualified(format!(
                        "#{position}"
                    ))))
                }
                other => Transformed::no(other),
            })
        });
        numbered.ok().map(|numbered| numbered.data)
    }
}

impl Builder<'_> {
    pub(super) fn lookup_join(
        &mut self,
        join: &Join,
        emission: Option<Emission>,
    ) -> Result<Relation, Error> {
        let Some(looked) = Looked::read(&join.right) else {
            return Err(Error::unsupported(self.place, "a join of two streams"));
        };
        self.check_lookup(&looked)?;
        let kind = match join.join_type {
            JoinType::Inner => JoinKind::Inner,
            JoinType::Left => JoinKind::Left,
            other => return Err(Error::unsupported(self.place, format!("{other} JOIN"))),
        };
        if join.null_equality != NullEquality::NullEqualsNothing {
            return Err(Error::unsupported(
                self.place,
                "a join in which null equals null",
            ));
        }
        let left = self.relation(&join.left, emission)?;
        let output = self.joined(join, &looked, &left, kind);
        let mut left_keys = Vec::new();
        let mut right_keys = Vec::new();
        let mut conditions: Vec<Expr> = Vec::new();
        for (one, other) in &join.on {
            match other {
                Expr::Column(column) => {
                    let position = join.right.schema().index_of_column(column);
                    let position = position
                        .map_err(|error| crate::query::planning_error(&error, self.place))?;
                    left_keys.push(self.expression(one, join.left.schema(), &left)?);
                    right_keys.push(looked.columns[position]);
                }
                _ => conditions.push(one.clone().eq(other.clone())),
            }
        }
        if left_keys.is_empty() {
            return Err(self.no_key(&looked, join));
        }
        conditions.extend(join.filter.clone());
        let residual = self.residual(conditions, &looked, join, &left, &output)?;
        let source = &self.node(left.node).traits;
        let is_unique = !looked.table.spec.primary_key.is_empty()
            && looked
                .table
                .spec
                .primary_key
                .iter()
                .all(|column| right_keys.contains(column));
        // What was found for a row is kept if the row may be withdrawn: the table may change.
        let state_bound = match source.append_only {
            true => StateBound::Stateless,
            false => StateBound::Keys {
                of: "row of the input: what was found for it".to_owned(),
            },
        };
        let traits = Traits {
            append_only: source.append_only,
            unique_key: source.unique_key.clone().filter(|_| is_unique),
            event_time: source.event_time,
            state_bound,
        };
        let width = self.node(left.node).schema.fields().len();
        let table = looked.table.spec.clone();
        let kind = NodeKind::LookupJoin(LookupJoin {
            table,
            left_keys,
            right_keys,
            kind,
            residual,
        });
        let node = self
            .dataflow
            .add(kind, vec![left.node], schema(output), traits);
        let columns = left
            .columns
            .iter()
            .copied()
            .chain(looked.columns.iter().map(|column| width + column))
            .collect();
        Ok(Relation { node, columns })
    }

    fn check_lookup(&self, looked: &Looked) -> Result<(), Error> {
        let spec = &looked.table.spec;
        let connector = spec.connector().unwrap_or_default();
        if !self
            .connectors
            .get(connector)
            .is_some_and(|connector| connector.lookup)
        {
            return Err(Error::new(
                "sql.lookup.connector",
                self.place,
                format!("rows of table {} cannot be looked up", spec.name),
            )
            .why(self.connectors.abilities(connector)));
        }
        match spec
            .columns
            .iter()
            .find(|column| column.kind != ColumnKind::Physical)
        {
            Some(column) => Err(Error::unsupported(
                self.place,
                format!(
                    "the computed or metadata column {} of a table that is looked up",
                    column.name
                ),
            )),
            None => Ok(()),
        }
    }

    /// The output's columns: the input's, then all of the table's.
    fn joined(
        &self,
        join: &Join,
        looked: &Looked,
        left: &Relation,
        kind: JoinKind,
    ) -> Vec<arrow::datatypes::Field> {
        debug_assert_eq!(join.right.schema().fields().len(), looked.columns.len());
        let mut taken = BTreeSet::new();
        let mut fields: Vec<_> = self
            .node(left.node)
            .schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        taken.extend(fields.iter().map(|field| field.name().clone()));
        for column in &looked.table.spec.columns {
            let field = column.field();
            let name = unique_name(field.name(), Some(&looked.name), &mut taken);
            let nullable = field.is_nullable() || kind == JoinKind::Left;
            fields.push(field.with_name(name).with_nullable(nullable));
        }
        fields
    }

    /// The conditions beyond equal keys, over the output's columns.
    fn residual(
        &self,
        conditions: Vec<Expr>,
        looked: &Looked,
        join: &Join,
        left: &Relation,
        output: &[arrow::datatypes::Field],
    ) -> Result<Option<Expression>, Error> {
        let width = self.node(left.node).schema.fields().len();
        let left_width = left.columns.len();
        let named =
            |position: usize| Expr::Column(Column::new_unqualified(output[position].name()));
        let own = conditions.into_iter().map(|condition| {
            condition.transform_up(|part| {
                Ok(match part {
                    Expr::Column(column) => {
                        let position = join.schema.index_of_column(&column)?;
                        Transformed::yes(match position.checked_sub(left_width) {
                            None => named(left.columns[position]),
                            Some(right) => named(width + looked.columns[right]),
                        })
                    }
                    Expr::Alias(alias) => Transformed::yes(*alias.expr),
                    other => Transformed::no(other),
                })
            })
        });
        let pushed = looked.conditions.iter().cloned().map(|condition| {
            condition.transform_up(|part| {
                let number = match &part {
                    Expr::Column(column) => column
                        .name
                        .strip_prefix('#')
                        .and_then(|number| number.parse::<usize>().ok()),
                    _ => None,
                };
                Ok(match number {
                    Some(position) => Transformed::yes(named(width + position)),
                    None => Transformed::no(part),
                })
            })
        });
        let all: Result<Vec<Expr>, _> = own
            .chain(pushed)
            .map(|condition| condition.map(|condition| condition.data))
            .collect();
        let all = all.map_err(|error| crate::query::planning_error(&error, self.place))?;
        conjunction(all)
            .map(|condition| self.encode(condition))
            .transpose()
    }

    fn no_key(&self, looked: &Looked, join: &Join) -> Error {
        let error = Error::new(
            "sql.lookup.key",
            self.place,
            format!("the join with {} has no column to look up by", looked.name),
        );
        let cast = join.on.iter().find_map(|(_, right)| match right {
            Expr::Cast(cast) => Some(format!(
                "cast the other side to the type of {}, not to {}",
                cast.expr,
                flink_type(cast.field.data_type())
            )),
            _ => None,
        });
        error.hint(
            cast.unwrap_or_else(|| format!("ON an equality with a column of {}", looked.name)),
        )
    }
}
