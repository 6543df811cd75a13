//! The dataflow of one job: its nodes in an order in which they can run.

use crate::{Emit, Error, Node, NodeId, NodeKind, OperatorId, Policies, Source, Traits, Window};
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// A whole job as data. Every node's inputs stand before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dataflow {
    /// Name of the job.
    pub name: String,
    pub nodes: Vec<Node>,
    /// What `SET 'key' = 'value'` said, checked by the planner.
    pub settings: BTreeMap<String, String>,
    pub policies: Policies,
}

impl Dataflow {
    /// A dataflow without nodes.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            nodes: Vec::new(),
            settings: BTreeMap::new(),
            policies: Policies::default(),
        }
    }

    /// Adds an operator behind nodes that are there already, and names it.
    ///
    /// An operator that does exactly what an earlier one does is not added again: the earlier
    /// one's id is returned, and both readers share it. Sinks are never shared.
    pub fn add(
        &mut self,
        kind: NodeKind,
        inputs: Vec<NodeId>,
        schema: SchemaRef,
        traits: Traits,
    ) -> NodeId {
        let names: Vec<&OperatorId> = inputs
            .iter()
            .map(|input| &self.node(*input).operator)
            .collect();
        let operator = OperatorId::of(&kind, &names, &schema);
        let known = self.nodes.iter().find(|node| node.operator == operator);
        if let Some(known) = known
            && !matches!(kind, NodeKind::Sink(_))
        {
            return known.id;
        }
        let id = NodeId(self.nodes.len());
        self.nodes.push(Node {
            id,
            operator,
            kind,
            inputs,
            schema,
            traits,
        });
        id
    }

    /// The node of this id, which must come from this dataflow.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Every edge out of a node: who reads it, and as which of its inputs.
    pub fn consumers(&self, of: NodeId) -> impl Iterator<Item = (NodeId, usize)> {
        self.nodes.iter().flat_map(move |node| {
            let reads = node
                .inputs
                .iter()
                .enumerate()
                .filter(move |(_, input)| **input == of);
            reads.map(|(position, _)| (node.id, position))
        })
    }

    pub fn sources(&self) -> impl Iterator<Item = (NodeId, &Source)> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Source(source) => Some((node.id, source)),
            _ => None,
        })
    }

    pub fn sinks(&self) -> impl Iterator<Item = (NodeId, &crate::Sink)> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Sink(sink) => Some((node.id, sink)),
            _ => None,
        })
    }

    /// The serialized form: JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a dataflow holds no map with keys other than text")
    }

    /// Reads the serialized form and checks it as [`Dataflow::check`] does.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let dataflow: Self = serde_json::from_str(text)?;
        dataflow.check()?;
        Ok(dataflow)
    }

    /// Checks that ids, inputs, column numbers and operator names fit together, so that an
    /// operator may index what it is given.
    pub fn check(&self) -> Result<(), Error> {
        let mut sinks_seen = HashMap::new();
        for (position, node) in self.nodes.iter().enumerate() {
            let malformed = |why: String| Error::Malformed {
                node: position,
                why,
            };
            if node.id.0 != position {
                return Err(malformed(format!("it calls itself {}", node.id.0)));
            }
            if let Some(later) = node.inputs.iter().find(|input| input.0 >= position) {
                return Err(malformed(format!(
                    "its input {} does not stand before it",
                    later.0
                )));
            }
            let inputs: Vec<&Node> = node.inputs.iter().map(|input| self.node(*input)).collect();
            check_shape(node, &inputs).map_err(malformed)?;
            let names: Vec<&OperatorId> = inputs.iter().map(|input| &input.operator).collect();
            if node.operator != OperatorId::of_node(node, &names) {
                return Err(malformed(format!(
                    "it does not do what its name {} says",
                    node.operator
                )));
            }
            if let Some(earlier) = sinks_seen.insert(&node.operator, position) {
                return Err(malformed(format!("it repeats node {earlier}")));
            }
        }
        Ok(())
    }
}

fn check_shape(node: &Node, inputs: &[&Node]) -> Result<(), String> {
    let expected = match node.kind {
        NodeKind::Source(_) => 0..=0,
        NodeKind::Union => 1..=usize::MAX,
        _ => 1..=1,
    };
    if !expected.contains(&inputs.len()) {
        return Err(format!(
            "a {} cannot have {} inputs",
            node.kind.name(),
            inputs.len()
        ));
    }
    let below = |column: usize, limit: usize| match column < limit {
        true => Ok(()),
        false => Err(format!("there is no column {column} among {limit}")),
    };
    let width = node.schema.fields().len();
    let input_width = inputs
        .first()
        .map_or(0, |input| input.schema.fields().len());
    let same_width = |expected: usize| match width == expected {
        true => Ok(()),
        false => Err(format!(
            "it has {width} columns where {expected} follow from what it does"
        )),
    };
    let traits = &node.traits;
    for column in traits
        .unique_key
        .iter()
        .flatten()
        .chain(traits.event_time.iter())
    {
        below(*column, width)?;
    }
    match &node.kind {
        NodeKind::Source(source) => {
            source
                .columns
                .iter()
                .try_for_each(|column| below(*column, source.table.columns.len()))?;
            same_width(source.columns.len())
        }
        NodeKind::Project(expressions) => same_width(expressions.len()),
        NodeKind::Filter(_) => same_width(input_width),
        NodeKind::Watermark(watermark) => {
            below(watermark.column, input_width)?;
            same_width(input_width)
        }
        NodeKind::Window(Window::Tumble(tumble)) => {
            below(tumble.time_column, input_width)?;
            if tumble.size_ms <= 0 {
                return Err(format!("a window cannot last {} ms", tumble.size_ms));
            }
            same_width(input_width + 3)
        }
        NodeKind::Aggregate(aggregate) => {
            aggregate
                .keys
                .iter()
                .try_for_each(|key| below(*key, input_width))?;
            match aggregate.emit {
                Emit::Changes {
                    window_end_key: None,
                } => {}
                Emit::Changes {
                    window_end_key: Some(key),
                }
                | Emit::OnWindowClose {
                    window_end_key: key,
                } => {
                    below(key, aggregate.keys.len())?;
                }
            }
            same_width(aggregate.keys.len() + aggregate.aggregates.len())
        }
        NodeKind::LookupJoin(join) => {
            join.right_keys
                .iter()
                .try_for_each(|key| below(*key, join.table.columns.len()))?;
            if join.left_keys.len() != join.right_keys.len() || join.left_keys.is_empty() {
                return Err("its key columns do not pair up".to_owned());
            }
            same_width(input_width + join.table.columns.len())
        }
        NodeKind::Union => match inputs
            .iter()
            .all(|input| input.schema.fields().len() == width)
        {
            true => Ok(()),
            false => Err("its inputs have different numbers of columns".to_owned()),
        },
        NodeKind::Sink(sink) => {
            same_width(sink.table.persisted().count())?;
            same_width(input_width)
        }
    }
}
