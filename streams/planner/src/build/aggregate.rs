//! Grouping: keys as columns, calls with their partial state, and the moment results leave.

use arrow::datatypes::{Field, FieldRef};
use dataflow::{Aggregate, AggregateCall, Emit, NodeKind, StateBound, Traits};
use datafusion::{
    common::DFSchema,
    logical_expr::{
        self, Expr, ExprSchemable, LogicalPlan, expr::AggregateFunction, function::StateFieldsArgs,
    },
};
use std::{collections::BTreeSet, sync::Arc};

use super::{Builder, Relation, schema, unique_name};
use crate::{
    canonical,
    error::Error,
    roles::{Role, of_expressions, roles},
    statements::Emission,
    types,
};

impl Builder<'_> {
    pub(super) fn aggregate(
        &mut self,
        aggregate: &logical_expr::Aggregate,
        emission: Option<Emission>,
    ) -> Result<Relation, Error> {
        if let Some(Expr::GroupingSet(_)) = aggregate.group_expr.first() {
            return Err(Error::unsupported(
                self.place,
                "GROUPING SETS, CUBE or ROLLUP",
            ));
        }
        let input = self.relation(&aggregate.input, None)?;
        let columns = aggregate.input.schema();
        let (input, keys) = self.key_columns(&aggregate.group_expr, columns, input)?;
        let emit = self.emit(
            &of_expressions(&aggregate.group_expr, &aggregate.input),
            emission,
            false,
        )?;
        let source = Arc::clone(&self.node(input.node).schema);
        let mut taken = BTreeSet::new();
        let mut fields: Vec<Field> = Vec::new();
        for key in &keys {
            let field = source.field(*key);
            fields.push(
                field
                    .clone()
                    .with_name(unique_name(field.name(), None, &mut taken)),
            );
        }
        let mut calls = Vec::new();
        for (call, output) in aggregate
            .aggr_expr
            .iter()
            .zip(&aggregate.schema.fields()[keys.len()..])
        {
            let call = self.call(call, columns, &input, output, &mut taken)?;
            fields.push(call.output.clone());
            calls.push(call);
        }
        Ok(self.grouped(keys, calls, emit, fields, &input))
    }

    /// `SELECT DISTINCT`: every column is a key, and there is nothing to compute.
    pub(super) fn distinct(
        &mut self,
        plan: &LogicalPlan,
        emission: Option<Emission>,
    ) -> Result<Relation, Error> {
        let input = self.relation(plan, None)?;
        let emit = self.emit(&roles(plan), emission, true)?;
        let source = Arc::clone(&self.node(input.node).schema);
        let fields = input
            .columns
            .iter()
            .map(|key| source.field(*key).clone())
            .collect();
        Ok(self.grouped(input.columns.clone(), Vec::new(), emit, fields, &input))
    }

    fn grouped(
        &mut self,
        keys: Vec<usize>,
        calls: Vec<AggregateCall>,
        emit: Emit,
        fields: Vec<Field>,
        input: &Relation,
    ) -> Relation {
        let window_end = match emit {
            Emit::OnWindowClose { window_end_key } => Some(window_end_key),
            Emit::Changes { window_end_key } => window_end_key,
        };
        let source = self.node(input.node);
        let event_time = source
            .traits
            .event_time
            .and_then(|time| keys.iter().position(|key| *key == time));
        let names: Vec<String> = fields
            .iter()
            .take(keys.len())
            .map(|field| canonical::name(field.name()))
            .collect();
        let state_bound = match (window_end, names.as_slice()) {
            (Some(column), _) => StateBound::Watermark { column },
            (None, []) => StateBound::Keys {
                of: "job: there is one group".to_owned(),
            },
            (None, names) => StateBound::Keys {
                of: format!("distinct ({})", names.join(", ")),
            },
        };
        let traits = Traits {
            append_only: matches!(emit, Emit::OnWindowClose { .. }),
            unique_key: Some((0..keys.len()).collect()),
            event_time: event_time.filter(|_| window_end.is_some()),
            state_bound,
        };
        let columns = (0..fields.len()).collect();
        let kind = NodeKind::Aggregate(Aggregate {
            keys,
            aggregates: calls,
            emit,
        });
        let node = self
            .dataflow
            .add(kind, vec![input.node], schema(fields), traits);
        Relation { node, columns }
    }

    /// Positions of the keys in the input, behind a projection if some key is computed.
    fn key_columns(
        &mut self,
        keys: &[Expr],
        columns: &DFSchema,
        input: Relation,
    ) -> Result<(Relation, Vec<usize>), Error> {
        let plain: Vec<Option<usize>> = keys
            .iter()
            .map(|key| self.position(key, columns, &input))
            .collect();
        if let Some(keys) = plain.iter().copied().collect::<Option<Vec<usize>>>() {
            return Ok((input, keys));
        }
        let source = Arc::clone(&self.node(input.node).schema);
        let mut taken = BTreeSet::new();
        let mut fields: Vec<Field> = Vec::new();
        let mut expressions = Vec::new();
        for field in source.fields() {
            taken.insert(field.name().clone());
            fields.push(field.as_ref().clone());
            expressions.push(self.encode(Expr::Column(
                datafusion::common::Column::new_unqualified(field.name()),
            ))?);
        }
        let mut positions = Vec::new();
        for (key, plain) in keys.iter().zip(plain) {
            if let Some(position) = plain {
                positions.push(position);
                continue;
            }
            let (_, field) = key
                .to_field(columns)
                .map_err(|error| crate::query::planning_error(&error, self.place))?;
            let expression = self.typed(key, columns, &input, &field)?;
            let name = unique_name(&expression.sql, None, &mut taken);
            positions.push(fields.len());
            fields.push(Field::new(
                name,
                types::canonical(field.data_type()),
                field.is_nullable(),
            ));
            expressions.push(expression);
        }
        let projected = self.project(expressions, fields, &input);
        Ok((
            Relation {
                node: projected.node,
                columns: input.columns,
            },
            positions,
        ))
    }

    /// Windows emit once when they close, as Flink's do; everything else with every change.
    fn emit(
        &self,
        keys: &[Role],
        asked: Option<Emission>,
        is_distinct: bool,
    ) -> Result<Emit, Error> {
        let window_end_key = keys.iter().position(|role| *role == Role::WindowEnd);
        let is_window =
            window_end_key.is_some() && keys.contains(&Role::WindowStart) && !is_distinct;
        match (asked, window_end_key) {
            (Some(Emission::OnWindowClose), None) => Err(Error::new(
                "sql.emit.window",
                self.place,
                "EMIT ON WINDOW CLOSE needs window_end among the keys",
            )
            .hint("GROUP BY …, window_start, window_end")),
            (Some(Emission::OnWindowClose), Some(window_end_key)) => {
                Ok(Emit::OnWindowClose { window_end_key })
            }
            (None, Some(window_end_key)) if is_window => Ok(Emit::OnWindowClose { window_end_key }),
            (_, window_end_key) => Ok(Emit::Changes { window_end_key }),
        }
    }

    fn call(
        &self,
        expression: &Expr,
        columns: &DFSchema,
        input: &Relation,
        output: &Field,
        taken: &mut BTreeSet<String>,
    ) -> Result<AggregateCall, Error> {
        let call = match expression {
            Expr::Alias(alias) => &alias.expr,
            other => other,
        };
        let Expr::AggregateFunction(function) = call else {
            return Err(Error::unsupported(
                self.place,
                format!("the aggregate {call}"),
            ));
        };
        let whole = self.expression(call, columns, input)?;
        let arguments = function
            .params
            .args
            .iter()
            .map(|argument| self.expression(argument, columns, input));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let filter = function
            .params
            .filter
            .as_ref()
            .map(|filter| self.expression(filter, columns, input))
            .transpose()?;
        let name = unique_name(&whole.sql, None, taken);
        let output = Field::new(
            &name,
            types::canonical(output.data_type()),
            output.is_nullable(),
        );
        let state_fields = state_fields(function, columns, &output)
            .map_err(|error| crate::query::planning_error(&error, self.place))?;
        Ok(AggregateCall {
            function: function.func.name().to_owned(),
            distinct: function.params.distinct,
            arguments,
            filter,
            expression: whole,
            output,
            state_fields,
        })
    }
}

fn state_fields(
    function: &AggregateFunction,
    columns: &DFSchema,
    output: &Field,
) -> Result<Vec<Field>, datafusion::common::DataFusionError> {
    let inputs = function
        .params
        .args
        .iter()
        .map(|argument| argument.to_field(columns).map(|(_, field)| field));
    let inputs = inputs.collect::<Result<Vec<FieldRef>, _>>()?;
    let fields = function.func.state_fields(StateFieldsArgs {
        name: output.name(),
        input_fields: &inputs,
        return_field: function.func.return_field(&inputs)?,
        ordering_fields: &[],
        is_distinct: function.params.distinct,
    })?;
    Ok(fields.iter().map(|field| field.as_ref().clone()).collect())
}
