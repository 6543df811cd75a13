//! A dataflow as text: what each operator does, what leaves it, and what bounds its state.

use dataflow::{
    Aggregate, Changelog, ColumnKind, Dataflow, Emit, JoinKind, LookupJoin, Node, NodeKind, Source,
    StateBound, Window,
};
use std::fmt::Write;

use crate::canonical;

/// One paragraph per operator, in the order in which they run.
pub fn explain(dataflow: &Dataflow) -> String {
    let mut text = format!("job {}\n", dataflow.name);
    for node in &dataflow.nodes {
        let inputs: Vec<String> = node
            .inputs
            .iter()
            .map(|input| format!("#{}", input.0))
            .collect();
        let from = if inputs.is_empty() {
            String::new()
        } else {
            format!(" <- {}", inputs.join(", "))
        };
        let input = node.inputs.first().map(|input| dataflow.node(*input));
        let mut lines = vec![format!("#{} {}{from}", node.id.0, heading(node))];
        lines.extend(
            details(node, input)
                .into_iter()
                .map(|line| format!("   {line}")),
        );
        lines.push(format!("   columns: {}", columns(node)));
        lines.push(format!("   rows: {}; state: {}", rows(node), state(node)));
        for line in lines {
            writeln!(text, "{line}").expect("writing to text never fails");
        }
    }
    text
}

fn heading(node: &Node) -> String {
    match &node.kind {
        NodeKind::Source(source) => {
            format!("source {} ({})", source.table.name, source.table.place)
        }
        NodeKind::LookupJoin(join) => {
            format!("lookup-join {} ({})", join.table.name, join.table.place)
        }
        NodeKind::Sink(sink) => format!("sink {} ({})", sink.table.name, sink.table.place),
        other => other.name().to_owned(),
    }
}

fn details(node: &Node, input: Option<&Node>) -> Vec<String> {
    let column = |position: usize| {
        input.map_or_else(String::new, |input| {
            canonical::name(input.schema.field(position).name())
        })
    };
    match &node.kind {
        NodeKind::Source(source) => metadata(source),
        NodeKind::Project(expressions) => {
            let names = node
                .schema
                .fields()
                .iter()
                .map(|field| canonical::name(field.name()));
            let computed = expressions
                .iter()
                .zip(names)
                .filter(|(expression, name)| expression.sql != *name);
            computed
                .map(|(expression, name)| format!("{name} := {}", expression.sql))
                .collect()
        }
        NodeKind::Filter(predicate) => vec![format!("where: {}", predicate.sql)],
        NodeKind::Watermark(watermark) => {
            vec![format!(
                "event time: {}; watermark: {}",
                column(watermark.column),
                watermark.expression.sql
            )]
        }
        NodeKind::Window(Window::Tumble(tumble)) => {
            let offset = if tumble.offset_ms == 0 {
                String::new()
            } else {
                format!(", offset {} ms", tumble.offset_ms)
            };
            vec![format!(
                "on: {}; size: {} ms{offset}",
                column(tumble.time_column),
                tumble.size_ms
            )]
        }
        NodeKind::Aggregate(aggregate) => group(aggregate, node, column),
        NodeKind::LookupJoin(join) => lookup(join),
        NodeKind::Union => Vec::new(),
        NodeKind::Sink(sink) => vec![match sink.changelog {
            Changelog::Append => "writes: inserts".to_owned(),
            Changelog::Upsert => {
                let key: Vec<String> = sink
                    .table
                    .primary_key
                    .iter()
                    .map(|key| canonical::name(&sink.table.columns[*key].name))
                    .collect();
                format!(
                    "writes: the newest row per ({}), and deletions",
                    key.join(", ")
                )
            }
            Changelog::Retract => "writes: inserts and withdrawals".to_owned(),
        }],
    }
}

fn metadata(source: &Source) -> Vec<String> {
    let read = source
        .columns
        .iter()
        .map(|column| &source.table.columns[*column]);
    let named = read.filter_map(|column| match &column.kind {
        ColumnKind::Metadata { key, .. } => Some(format!(
            "{} := metadata '{key}'",
            canonical::name(&column.name)
        )),
        _ => None,
    });
    named.collect()
}

fn group(aggregate: &Aggregate, node: &Node, column: impl Fn(usize) -> String) -> Vec<String> {
    let keys: Vec<String> = aggregate.keys.iter().map(|key| column(*key)).collect();
    let calls: Vec<&str> = aggregate.aggregates.iter().map(|call| call.sql()).collect();
    let emits = match aggregate.emit {
        Emit::Changes { .. } => "emits: with every change".to_owned(),
        Emit::OnWindowClose { window_end_key } => {
            let end = canonical::name(node.schema.field(window_end_key).name());
            format!("emits: once, when the watermark passes {end}")
        }
    };
    let mut lines = vec![format!(
        "by: {}",
        if keys.is_empty() {
            "nothing, one group".to_owned()
        } else {
            keys.join(", ")
        }
    )];
    if !calls.is_empty() {
        lines.push(format!("computes: {}", calls.join(", ")));
    }
    lines.push(emits);
    lines
}

fn lookup(join: &LookupJoin) -> Vec<String> {
    let keys: Vec<String> = join
        .left_keys
        .iter()
        .zip(&join.right_keys)
        .map(|(left, right)| {
            format!(
                "{} = {}.{}",
                left.sql,
                join.table.name,
                canonical::name(&join.table.columns[*right].name)
            )
        })
        .collect();
    let unmatched = match join.kind {
        JoinKind::Inner => "are dropped",
        JoinKind::Left => "stay, with nulls",
    };
    let mut lines = vec![format!(
        "on: {}; rows without a match {unmatched}",
        keys.join(", ")
    )];
    lines.extend(
        join.residual
            .as_ref()
            .map(|residual| format!("and: {}", residual.sql)),
    );
    lines
}

fn columns(node: &Node) -> String {
    let fields = node.schema.fields().iter().map(|field| {
        let null = if field.is_nullable() { "" } else { " NOT NULL" };
        format!(
            "{} {}{null}",
            canonical::name(field.name()),
            crate::types::flink_type(field.data_type())
        )
    });
    fields.collect::<Vec<_>>().join(", ")
}

fn rows(node: &Node) -> String {
    let name = |column: &usize| canonical::name(node.schema.field(*column).name());
    let kind = if node.traits.append_only {
        "append-only"
    } else {
        "updating"
    };
    match &node.traits.unique_key {
        Some(key) if !key.is_empty() => format!(
            "{kind}, unique by ({})",
            key.iter().map(name).collect::<Vec<_>>().join(", ")
        ),
        _ => kind.to_owned(),
    }
}

fn state(node: &Node) -> String {
    match &node.traits.state_bound {
        StateBound::Stateless => "none".to_owned(),
        StateBound::Watermark { column } => {
            format!(
                "dropped when the watermark passes {}",
                canonical::name(node.schema.field(*column).name())
            )
        }
        StateBound::Ttl { milliseconds } => {
            format!("dropped after {milliseconds} ms without change")
        }
        StateBound::Keys { of } => format!("one entry per {of}"),
        StateBound::Unbounded { why } => format!("unbounded: {why}"),
    }
}
