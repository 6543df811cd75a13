//! The job that is stopped everywhere: rows counted by second and key.

use arrow::datatypes::{DataType, Field, Schema};
use dataflow::{
    Aggregate, AggregateCall, Changelog, Column, ColumnKind, Dataflow, Emit, Expression, NodeKind,
    Sink, Source, StateBound, TableSpec, Traits, Tumble, Watermark, Window,
};
use datafusion::{
    functions_aggregate::expr_fn::{count, sum},
    logical_expr::{Expr, col, lit},
};
use datafusion_proto::bytes::Serializeable;
use runtime::Rng;
use std::{collections::BTreeMap, sync::Arc};

use crate::world::{QUEUES, World, input_schema, time};

const KEYS: [&str; 3] = ["a", "b", "c"];
const WINDOW_MS: i64 = 1000;

fn table(name: &str, schema: &Schema) -> TableSpec {
    let column = |field: &Arc<Field>| Column {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        nullable: field.is_nullable(),
        kind: ColumnKind::Physical,
    };
    TableSpec {
        name: name.to_owned(),
        columns: schema.fields().iter().map(column).collect(),
        primary_key: Vec::new(),
        watermark: None,
        options: BTreeMap::new(),
        place: name.to_owned(),
    }
}

fn expression(expr: &Expr) -> Expression {
    Expression {
        sql: expr.to_string(),
        encoded: expr.to_bytes().expect("it encodes").to_vec(),
    }
}

fn call(function: &str, argument: Expr, whole: &Expr) -> AggregateCall {
    AggregateCall {
        function: function.to_owned(),
        distinct: false,
        arguments: vec![expression(&argument)],
        filter: None,
        expression: expression(whole),
        output: Field::new(function, DataType::Int64, true),
        state_fields: Vec::new(),
    }
}

/// Per second and key the number of rows and the sum of `100 / v`.
pub fn windowed_counts() -> Dataflow {
    let mut flow = Dataflow::new("counts");
    let traits = || Traits {
        append_only: true,
        unique_key: None,
        event_time: None,
        state_bound: StateBound::Stateless,
    };
    let schema = input_schema();
    let source = Source {
        table: table("input", &schema),
        columns: vec![0, 1, 2],
    };
    let source = flow.add(NodeKind::Source(source), vec![], schema.clone(), traits());
    let divided = ["k", "ts"].map(|name| expression(&col(name)));
    let [k, ts] = divided;
    let project = NodeKind::Project(vec![k, expression(&(lit(100i64) / col("v"))), ts]);
    let project = flow.add(project, vec![source], schema.clone(), traits());
    let watermark = NodeKind::Watermark(Watermark {
        column: 2,
        expression: expression(&col("ts")),
    });
    let watermark = flow.add(watermark, vec![project], schema.clone(), traits());
    let mut fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone())
        .collect();
    fields.extend(
        ["window_start", "window_end", "window_time"].map(|name| Field::new(name, time(), false)),
    );
    let window = Window::Tumble(Tumble {
        time_column: 2,
        size_ms: WINDOW_MS,
        offset_ms: 0,
    });
    let window = flow.add(
        NodeKind::Window(window),
        vec![watermark],
        Arc::new(Schema::new(fields)),
        traits(),
    );
    let aggregate = NodeKind::Aggregate(Aggregate {
        keys: vec![4, 0],
        aggregates: vec![
            call("count", lit(1i64), &count(lit(1i64))),
            call("sum", col("v"), &sum(col("v"))),
        ],
        emit: Emit::OnWindowClose { window_end_key: 0 },
    });
    let output = Arc::new(Schema::new(vec![
        Field::new("window_end", time(), false),
        Field::new("k", DataType::Utf8, true),
        Field::new("count", DataType::Int64, true),
        Field::new("sum", DataType::Int64, true),
    ]));
    let aggregate = flow.add(aggregate, vec![window], output.clone(), traits());
    let sink = Sink {
        table: table("output", &output),
        changelog: Changelog::Append,
    };
    flow.add(NodeKind::Sink(sink), vec![aggregate], output, traits());
    flow
}

/// Rows per queue, each queue's times never falling; some cannot be decoded, some divide by zero.
pub fn arrivals(rng: &Rng, rows: u64, faulty: bool) -> World {
    let mut world = World {
        queues: vec![Vec::new(); QUEUES],
        ..World::default()
    };
    for queue in &mut world.queues {
        let mut time = 0;
        for _ in 0..rng.range(1..rows) {
            time += rng.range(0..300) as i64;
            let value = rng.range(u64::from(!faulty)..6) as i64;
            let good = !faulty || !rng.chance(0.1);
            queue.push(good.then(|| (KEYS[rng.range(0..3) as usize], value, time)));
        }
    }
    world
}

/// What must stand in the output, sorted.
pub fn expected(world: &World) -> Vec<String> {
    let mut windows: BTreeMap<(i64, &str), (i64, i64)> = BTreeMap::new();
    for (k, v, ts) in world
        .queues
        .iter()
        .flatten()
        .flatten()
        .filter(|(_, v, _)| *v != 0)
    {
        let window = windows
            .entry(((ts / WINDOW_MS + 1) * WINDOW_MS, k))
            .or_default();
        window.0 += 1;
        window.1 += 100 / v;
    }
    let mut lines: Vec<String> = windows
        .into_iter()
        .map(|((end, k), (count, sum))| format!("{end} {k} {count} {sum}"))
        .collect();
    lines.sort();
    lines
}
