//! From optimized plans to a dataflow: one operator per thing that happens to the rows.
//!
//! Columns of a plan have qualified names, columns of a node plain ones that are unique. A
//! [`Relation`] says which column of a node stands for which column of a plan, so renaming and
//! leaving out columns costs no operator.

use arrow::datatypes::{Field, Schema, SchemaRef};
use dataflow::{Dataflow, Expression, Node, NodeId, NodeKind, StateBound, Traits, Tumble, Window};
use datafusion::{
    common::{
        Column, DFSchema,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{Distinct, Expr, LogicalPlan, Union},
};
use datafusion_proto::bytes::Serializeable;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    canonical,
    catalog::Scanned,
    connectors::Connectors,
    error::{Error, Place},
    statements::Emission,
    tumble::{EmitNode, TumbleNode, WINDOW_COLUMNS},
    types::{self, TIMESTAMP},
};

mod aggregate;
mod lookup;
mod projection;
mod sink;
mod source;

pub(crate) use sink::Target;
pub(crate) use source::unqualified;

/// An optimized plan and where its rows go; without a target, nowhere.
pub(crate) struct Output {
    pub(crate) plan: LogicalPlan,
    pub(crate) target: Option<Target>,
    pub(crate) place: Place,
}

/// Builds the dataflow of a job from all its outputs; equal parts are shared.
pub(crate) fn build(
    job: &str,
    outputs: &[Output],
    connectors: &Connectors,
) -> Result<Dataflow, Vec<Error>> {
    let mut errors = Vec::new();
    let mut needed = BTreeMap::new();
    for output in outputs {
        source::needed_columns(&output.plan, &mut needed);
    }
    let mut builder = Builder {
        dataflow: Dataflow::new(job),
        needed,
        connectors,
        place: Place {
            line: 1,
            column: 1,
            length: 1,
        },
    };
    for output in outputs {
        builder.place = output.place;
        let built = builder.relation(&output.plan, None);
        let written = built.and_then(|relation| match &output.target {
            Some(target) => builder.sink(&output.plan, &relation, target),
            None => Ok(()),
        });
        errors.extend(written.err());
    }
    match errors.is_empty() {
        true => Ok(builder.dataflow),
        false => Err(errors),
    }
}

struct Builder<'a> {
    dataflow: Dataflow,
    /// Columns of each table that any output reads.
    needed: BTreeMap<String, BTreeSet<usize>>,
    connectors: &'a Connectors,
    /// Where the statement stands that is being built.
    place: Place,
}

/// A plan's rows as a node delivers them.
#[derive(Clone)]
struct Relation {
    node: NodeId,
    /// Per column of the plan, the column of the node.
    columns: Vec<usize>,
}

impl Builder<'_> {
    /// Builds what a plan describes. `emission` is for the first aggregation below.
    fn relation(
        &mut self,
        plan: &LogicalPlan,
        emission: Option<Emission>,
    ) -> Result<Relation, Error> {
        match plan {
            LogicalPlan::Projection(projection) => self.projection(projection, emission),
            LogicalPlan::Filter(filter) => {
                let input = self.relation(&filter.input, emission)?;
                let predicate =
                    self.expression(&filter.predicate, filter.input.schema(), &input)?;
                self.filter(predicate, input)
            }
            LogicalPlan::SubqueryAlias(alias) => self.relation(&alias.input, emission),
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, emission),
            LogicalPlan::Distinct(Distinct::All(input)) => self.distinct(input, emission),
            LogicalPlan::Join(join) => self.lookup_join(join, emission),
            LogicalPlan::Union(union) => self.union(union, emission),
            LogicalPlan::Extension(extension) => {
                let node = extension.node.as_any();
                if let Some(emit) = node.downcast_ref::<EmitNode>() {
                    return self.relation(&emit.input, Some(emit.emission));
                }
                match node.downcast_ref::<TumbleNode>() {
                    Some(tumble) => self.tumble(tumble, emission),
                    None => Err(Error::unsupported(self.place, extension.node.name())),
                }
            }
            LogicalPlan::EmptyRelation(_) => {
                Err(
                    Error::new("sql.empty", self.place, "the query never yields a row")
                        .why("its condition is always false"),
                )
            }
            other => {
                let name = other.display().to_string();
                let name = name.split([':', ' ']).next().unwrap_or_default().to_owned();
                Err(Error::unsupported(
                    self.place,
                    format!("the plan's step {name}"),
                ))
            }
        }
    }

    fn filter(&mut self, predicate: Expression, input: Relation) -> Result<Relation, Error> {
        let source = self.node(input.node);
        let traits = Traits {
            state_bound: StateBound::Stateless,
            ..source.traits.clone()
        };
        let columns = Arc::clone(&source.schema);
        let node = self.dataflow.add(
            NodeKind::Filter(predicate),
            vec![input.node],
            columns,
            traits,
        );
        Ok(Relation { node, ..input })
    }

    fn tumble(
        &mut self,
        tumble: &TumbleNode,
        emission: Option<Emission>,
    ) -> Result<Relation, Error> {
        let input = self.relation(&tumble.input, emission)?;
        let source = self.node(input.node);
        let time = Expr::Column(tumble.time.clone());
        let column = self.position(&time, tumble.input.schema(), &input);
        let Some(time_column) = column.filter(|column| source.traits.event_time == Some(*column))
        else {
            return Err(Error::new(
                "sql.window.time",
                self.place,
                format!("{} no longer carries event time here", tumble.time.name),
            ));
        };
        let width = source.schema.fields().len();
        let windows = WINDOW_COLUMNS.map(|name| Field::new(name, TIMESTAMP, false));
        let all: Vec<&Field> = source
            .schema
            .fields()
            .iter()
            .map(Arc::as_ref)
            .chain(&windows)
            .collect();
        let fields = unique_fields(
            all.iter().map(|field| (field.name().as_str(), None)),
            all.iter().copied(),
        );
        let traits = Traits {
            append_only: source.traits.append_only,
            unique_key: source.traits.unique_key.clone(),
            event_time: Some(width + 2),
            state_bound: StateBound::Stateless,
        };
        let window = Window::Tumble(Tumble {
            time_column,
            size_ms: tumble.size_ms,
            offset_ms: tumble.offset_ms,
        });
        let node = self.dataflow.add(
            NodeKind::Window(window),
            vec![input.node],
            schema(fields),
            traits,
        );
        let columns = input.columns.into_iter().chain(width..width + 3).collect();
        Ok(Relation { node, columns })
    }

    fn union(&mut self, union: &Union, emission: Option<Emission>) -> Result<Relation, Error> {
        let mut inputs = Vec::new();
        let fields = unique_fields(
            union
                .schema
                .fields()
                .iter()
                .map(|field| (field.name().as_str(), None)),
            union.schema.fields().iter().map(Arc::as_ref),
        );
        for plan in &union.inputs {
            let relation = self.relation(plan, emission)?;
            inputs.push(self.aligned(&relation, &fields)?.node);
        }
        let all = |test: fn(&Node) -> bool, builder: &Self| {
            inputs.iter().all(|input| test(builder.node(*input)))
        };
        let times: BTreeSet<Option<usize>> = inputs
            .iter()
            .map(|input| self.node(*input).traits.event_time)
            .collect();
        let traits = Traits {
            append_only: all(|node| node.traits.append_only, self),
            unique_key: None,
            event_time: if times.len() == 1 {
                times.first().copied().flatten()
            } else {
                None
            },
            state_bound: StateBound::Stateless,
        };
        let columns = (0..fields.len()).collect();
        let node = self
            .dataflow
            .add(NodeKind::Union, inputs, schema(fields), traits);
        Ok(Relation { node, columns })
    }

    /// The relation as a node with exactly these columns, in order, type and name.
    fn aligned(&mut self, relation: &Relation, fields: &[Field]) -> Result<Relation, Error> {
        let node = self.node(relation.node);
        let in_order = relation
            .columns
            .iter()
            .copied()
            .eq(0..node.schema.fields().len());
        let same = |(have, want): (&Arc<Field>, &Field)| {
            have.name() == want.name()
                && have.data_type() == want.data_type()
                && (want.is_nullable() || !have.is_nullable())
        };
        if in_order
            && node.schema.fields().len() == fields.len()
            && node.schema.fields().iter().zip(fields).all(same)
        {
            return Ok(relation.clone());
        }
        let source = Arc::clone(&node.schema);
        let mut expressions = Vec::new();
        for (column, want) in relation.columns.iter().zip(fields) {
            let have = source.field(*column);
            let column = Expr::Column(Column::new_unqualified(have.name()));
            let cast = have.data_type() != want.data_type();
            expressions.push(self.encode(if cast {
                datafusion::logical_expr::cast(column, want.data_type().clone())
            } else {
                column
            })?);
        }
        Ok(self.project(expressions, fields.to_vec(), relation))
    }

    /// The column of the node that an expression is, if it is nothing but a column.
    fn position(&self, expression: &Expr, columns: &DFSchema, input: &Relation) -> Option<usize> {
        match expression {
            Expr::Alias(alias) => self.position(&alias.expr, columns, input),
            Expr::Column(column) => columns
                .maybe_index_of_column(column)
                .map(|position| input.columns[position]),
            _ => None,
        }
    }

    /// An expression over a plan's columns, as one over the node's.
    fn over_node(
        &self,
        expression: &Expr,
        columns: &DFSchema,
        input: &Relation,
    ) -> Result<Expr, Error> {
        let source = &self.node(input.node).schema;
        let renamed = expression.clone().transform_up(|part| {
            Ok(match part {
                Expr::Column(column) => {
                    let position = columns.index_of_column(&column)?;
                    let name = source.field(input.columns[position]).name();
                    Transformed::yes(Expr::Column(Column::new_unqualified(name)))
                }
                Expr::Alias(alias) => Transformed::yes(*alias.expr),
                other => Transformed::no(other),
            })
        });
        renamed
            .map(|renamed| renamed.data)
            .map_err(|error| crate::query::planning_error(&error, self.place))
    }

    fn expression(
        &self,
        expression: &Expr,
        columns: &DFSchema,
        input: &Relation,
    ) -> Result<Expression, Error> {
        self.encode(self.over_node(expression, columns, input)?)
    }

    /// An expression whose value has the one type we use for the field's.
    fn typed(
        &self,
        expression: &Expr,
        columns: &DFSchema,
        input: &Relation,
        field: &Field,
    ) -> Result<Expression, Error> {
        let plain = self.over_node(expression, columns, input)?;
        let wanted = types::canonical(field.data_type());
        self.encode(if wanted == *field.data_type() {
            plain
        } else {
            datafusion::logical_expr::cast(plain, wanted)
        })
    }

    fn encode(&self, expression: Expr) -> Result<Expression, Error> {
        let sql =
            canonical::text(&expression).map_err(|what| Error::unsupported(self.place, what))?;
        let encoded = expression
            .to_bytes()
            .map_err(|error| crate::query::planning_error(&error, self.place))?;
        Ok(Expression {
            sql,
            encoded: encoded.to_vec(),
        })
    }

    fn node(&self, id: NodeId) -> &Node {
        self.dataflow.node(id)
    }
}

/// Fields of these types under names that differ: a name that is taken gets its table's before it.
fn unique_fields<'a>(
    names: impl Iterator<Item = (&'a str, Option<String>)>,
    fields: impl Iterator<Item = &'a Field>,
) -> Vec<Field> {
    let mut taken = BTreeSet::new();
    names
        .zip(fields)
        .map(|((name, qualifier), field)| {
            let name = unique_name(name, qualifier.as_deref(), &mut taken);
            Field::new(
                name,
                types::canonical(field.data_type()),
                field.is_nullable(),
            )
        })
        .collect()
}

fn unique_name(name: &str, qualifier: Option<&str>, taken: &mut BTreeSet<String>) -> String {
    let qualified = qualifier.map(|qualifier| format!("{qualifier}.{name}"));
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    let mut candidates = std::iter::once(name.to_owned())
        .chain(qualified)
        .chain(numbered);
    let free = candidates
        .find(|candidate| !taken.contains(candidate))
        .expect("numbers do not end");
    taken.insert(free.clone());
    free
}

fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

/// The declared table that a plan scans, if it is one of ours.
fn scanned(plan: &datafusion::logical_expr::TableScan) -> Option<&Scanned> {
    Scanned::of(&plan.source)
}
