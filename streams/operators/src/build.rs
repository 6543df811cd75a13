//! Builds the operator of a node.

use crate::{
    Error, Functions, Lookups, Operator,
    aggregate::AppendOnlyAggregate,
    filter::Filter,
    lookup_join::{LookupJoin, Lookuper},
    project::Project,
    retracting::RetractingAggregate,
    stored_lookups::StoredLookups,
    union::Union,
    watermark::DeclareEventTime,
    window::TumbleWindow,
};
use dataflow::{Dataflow, Node, NodeKind, Window};
use state::State;

/// What a job's operators are built with.
pub struct Environment<'a> {
    pub functions: Functions,
    pub lookups: &'a dyn Lookups,
    pub state: &'a mut State,
}

/// The operator of a node; none for sources and sinks, whose rows only pass.
pub(crate) fn operator(
    dataflow: &Dataflow,
    node: &Node,
    environment: &mut Environment<'_>,
) -> Result<Option<Box<dyn Operator>>, Error> {
    let inputs: Vec<&Node> = node
        .inputs
        .iter()
        .map(|input| dataflow.node(*input))
        .collect();
    let (functions, schema) = (&environment.functions, &node.schema);
    let first = || {
        inputs.first().ok_or_else(|| Error::Node {
            node: node.id.0,
            why: "it has no input".to_owned(),
        })
    };
    Ok(Some(match &node.kind {
        NodeKind::Source(_) | NodeKind::Sink(_) => return Ok(None),
        NodeKind::Project(expressions) => Box::new(Project::new(
            expressions,
            &first()?.schema,
            schema,
            functions,
        )?),
        NodeKind::Filter(condition) => {
            Box::new(Filter::new(condition, &first()?.schema, functions)?)
        }
        NodeKind::Watermark(watermark) => Box::new(DeclareEventTime::new(
            watermark,
            &first()?.schema,
            functions,
        )?),
        NodeKind::Window(Window::Tumble(tumble)) => Box::new(TumbleWindow::new(tumble, schema)),
        NodeKind::Aggregate(aggregate) if first()?.traits.append_only => {
            let input = &first()?.schema;
            Box::new(AppendOnlyAggregate::new(
                aggregate,
                node,
                input,
                functions,
                environment.state,
            )?)
        }
        NodeKind::Aggregate(aggregate) => {
            let input = &first()?.schema;
            Box::new(RetractingAggregate::new(
                aggregate,
                node,
                input,
                functions,
                environment.state,
            )?)
        }
        NodeKind::LookupJoin(join) => {
            let input = first()?;
            let lookuper =
                Lookuper::new(join, node, &input.schema, functions, environment.lookups)?;
            if input.traits.append_only {
                Box::new(LookupJoin(lookuper))
            } else {
                Box::new(StoredLookups::new(
                    lookuper,
                    node,
                    &input.schema,
                    environment.state,
                )?)
            }
        }
        NodeKind::Union => Box::new(Union::new(schema)),
    }))
}
