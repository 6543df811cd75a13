//! What holds for every dataflow: its text, its names, and what `check` refuses.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use dataflow::{
    Aggregate, AggregateCall, Changelog, Column, ColumnKind, Dataflow, Emit, Error, Expression,
    JoinKind, LookupJoin, NodeId, NodeKind, Sink, Source, StateBound, TableSpec, Traits, Tumble,
    Watermark, Window,
};
use std::{collections::BTreeMap, sync::Arc};

const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

fn expression(sql: &str) -> Expression {
    Expression {
        sql: sql.to_owned(),
        encoded: vec![0, 159, 146, 150],
    }
}

fn physical(name: &str, data_type: DataType) -> Column {
    Column {
        name: name.to_owned(),
        data_type,
        nullable: true,
        kind: ColumnKind::Physical,
    }
}

fn table(name: &str, columns: Vec<Column>) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        columns,
        primary_key: vec![0],
        watermark: None,
        options: BTreeMap::from([("connector".to_owned(), "rocketmq".to_owned())]),
        place: format!("rocketmq topic {name}"),
    }
}

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    let fields: Vec<Field> = fields
        .iter()
        .map(|(name, kind)| Field::new(*name, kind.clone(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

fn traits(event_time: Option<usize>) -> Traits {
    Traits {
        append_only: true,
        unique_key: None,
        event_time,
        state_bound: StateBound::Stateless,
    }
}

/// One node of most kinds; `price` varies a filter in the middle.
fn job(price: &str) -> Dataflow {
    let mut job = Dataflow::new("prices");
    let bid = table(
        "bid",
        vec![physical("item", DataType::Utf8), physical("at", TIME)],
    );
    let read = schema(&[("item", DataType::Utf8), ("at", TIME)]);
    let source = NodeKind::Source(Source {
        table: bid.clone(),
        columns: vec![0, 1],
    });
    let source = job.add(source, vec![], read.clone(), traits(None));
    let filter = job.add(
        NodeKind::Filter(expression(price)),
        vec![source],
        read.clone(),
        traits(None),
    );
    let watermark = NodeKind::Watermark(Watermark {
        column: 1,
        expression: expression("at - 1s"),
    });
    let watermark = job.add(watermark, vec![filter], read, traits(Some(1)));
    let windowed = schema(&[
        ("item", DataType::Utf8),
        ("at", TIME),
        ("window_start", TIME),
        ("window_end", TIME),
        ("window_time", TIME),
    ]);
    let tumble = NodeKind::Window(Window::Tumble(Tumble {
        time_column: 1,
        size_ms: 1000,
        offset_ms: 0,
    }));
    let tumble = job.add(tumble, vec![watermark], windowed, traits(Some(4)));
    let count = AggregateCall {
        function: "count".to_owned(),
        distinct: false,
        arguments: vec![expression("1")],
        filter: None,
        expression: expression("count(1)"),
        output: Field::new("num", DataType::Int64, false),
        state_fields: vec![Field::new("num[count]", DataType::Int64, true)],
    };
    let aggregate = Aggregate {
        keys: vec![0, 3],
        aggregates: vec![count],
        emit: Emit::OnWindowClose { window_end_key: 1 },
    };
    let counted = schema(&[
        ("item", DataType::Utf8),
        ("window_end", TIME),
        ("num", DataType::Int64),
    ]);
    let closed = Traits {
        state_bound: StateBound::Watermark { column: 1 },
        ..traits(None)
    };
    let aggregate = job.add(
        NodeKind::Aggregate(aggregate),
        vec![tumble],
        counted,
        closed,
    );
    let names = table(
        "names",
        vec![
            physical("id", DataType::Utf8),
            physical("label", DataType::Utf8),
        ],
    );
    let lookup = LookupJoin {
        table: names,
        left_keys: vec![expression("item")],
        right_keys: vec![0],
        kind: JoinKind::Left,
        residual: None,
    };
    let joined = schema(&[
        ("item", DataType::Utf8),
        ("window_end", TIME),
        ("num", DataType::Int64),
        ("id", DataType::Utf8),
        ("label", DataType::Utf8),
    ]);
    let lookup = job.add(
        NodeKind::LookupJoin(lookup),
        vec![aggregate],
        joined,
        traits(None),
    );
    let out = table("out", vec![physical("label", DataType::Utf8)]);
    let written = schema(&[("label", DataType::Utf8)]);
    let project = job.add(
        NodeKind::Project(vec![expression("label")]),
        vec![lookup],
        written.clone(),
        traits(None),
    );
    job.add(
        NodeKind::Sink(Sink {
            table: out,
            changelog: Changelog::Append,
        }),
        vec![project],
        written,
        traits(None),
    );
    job
}

#[test]
fn a_dataflow_reads_back_from_its_text_byte_for_byte() {
    let job = job("price > 3");
    let read = Dataflow::from_json(&job.to_json()).expect("our own text is readable");
    assert_eq!(read, job);
    assert_eq!(read.nodes[1].kind, job.nodes[1].kind);
    let NodeKind::Filter(filter) = &read.nodes[1].kind else {
        panic!("node 1 is the filter")
    };
    assert_eq!(filter.encoded, vec![0, 159, 146, 150]);
    assert_eq!(read.to_json(), job.to_json());
}

#[test]
fn changing_one_operator_renames_it_and_what_reads_it_only() {
    let (before, after) = (job("price > 3"), job("price > 4"));
    let renamed: Vec<bool> = before
        .nodes
        .iter()
        .zip(&after.nodes)
        .map(|(one, other)| one.operator != other.operator)
        .collect();
    assert_eq!(renamed, [false, true, true, true, true, true, true, true]);
}

#[test]
fn operator_names_ignore_addresses_and_encodings() {
    let before = job("price > 3");
    let mut after = Dataflow::new("other name");
    for node in &before.nodes {
        let mut kind = node.kind.clone();
        if let NodeKind::Source(source) = &mut kind {
            source
                .table
                .options
                .insert("nameServerAddress".to_owned(), "elsewhere:9876".to_owned());
        }
        if let NodeKind::Filter(filter) = &mut kind {
            filter.encoded = vec![7];
        }
        after.add(
            kind,
            node.inputs.clone(),
            node.schema.clone(),
            node.traits.clone(),
        );
    }
    for (one, other) in before.nodes.iter().zip(&after.nodes) {
        assert_eq!(one.operator, other.operator, "{}", one.kind.name());
    }
}

#[test]
fn equal_operators_over_equal_inputs_are_one() {
    let mut job = job("price > 3");
    let (count, filter) = (job.nodes.len(), job.nodes[1].clone());
    assert_eq!(
        job.add(filter.kind, filter.inputs, filter.schema, filter.traits),
        NodeId(1)
    );
    assert_eq!(job.nodes.len(), count);
    let readers: Vec<(NodeId, usize)> = job.consumers(NodeId(1)).collect();
    assert_eq!(readers, [(NodeId(2), 0)]);
}

#[test]
fn sources_and_sinks_are_found() {
    let job = job("price > 3");
    let sources: Vec<&str> = job
        .sources()
        .map(|(_, source)| source.table.name.as_str())
        .collect();
    let sinks: Vec<&str> = job
        .sinks()
        .map(|(_, sink)| sink.table.name.as_str())
        .collect();
    assert_eq!((sources, sinks), (vec!["bid"], vec!["out"]));
}

#[track_caller]
fn refused(spoil: impl FnOnce(&mut Dataflow), expected: &str) {
    let mut job = job("price > 3");
    spoil(&mut job);
    let error = Dataflow::from_json(&job.to_json()).expect_err("a spoiled dataflow is refused");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_malformed_dataflow_is_refused_with_its_node() {
    refused(
        |job| job.nodes[1].id = NodeId(5),
        "node 1 of the dataflow is malformed: it calls itself 5",
    );
    refused(
        |job| job.nodes[1].inputs = vec![NodeId(1)],
        "node 1 of the dataflow is malformed: its input 1 does not stand before it",
    );
    refused(
        |job| job.nodes[1].inputs = vec![],
        "node 1 of the dataflow is malformed: a filter cannot have 0 inputs",
    );
    refused(
        |job| {
            job.nodes[3].kind = NodeKind::Window(Window::Tumble(Tumble {
                time_column: 9,
                size_ms: 1,
                offset_ms: 0,
            }))
        },
        "node 3 of the dataflow is malformed: there is no column 9 among 2",
    );
    refused(
        |job| {
            job.nodes[3].kind = NodeKind::Window(Window::Tumble(Tumble {
                time_column: 1,
                size_ms: 0,
                offset_ms: 0,
            }))
        },
        "node 3 of the dataflow is malformed: a window cannot last 0 ms",
    );
    refused(
        |job| job.nodes[6].kind = NodeKind::Project(vec![]),
        "node 6 of the dataflow is malformed: it has 1 columns where 0 follow from what it does",
    );
}

#[test]
fn a_node_whose_name_is_not_its_own_is_refused() {
    let mut job = job("price > 3");
    job.nodes[1].kind = NodeKind::Filter(expression("price > 5"));
    assert!(matches!(
        Dataflow::from_json(&job.to_json()),
        Err(Error::Malformed { node: 1, .. })
    ));
}

#[test]
fn text_that_is_no_dataflow_is_an_error() {
    for text in [
        "",
        "{}",
        "[1]",
        r#"{"name":"x","nodes":[{}],"settings":{},"policies":{}}"#,
    ] {
        assert!(
            matches!(Dataflow::from_json(text), Err(Error::Unreadable(_))),
            "{text}"
        );
    }
}

#[test]
fn nested_types_survive_the_text() {
    let item = Field::new(
        "item",
        DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true))),
        true,
    );
    let nested = DataType::Struct(vec![item].into());
    let mut job = Dataflow::new("nested");
    let source = Source {
        table: table("t", vec![physical("row", nested.clone())]),
        columns: vec![0],
    };
    job.add(
        NodeKind::Source(source),
        vec![],
        schema(&[("row", nested)]),
        traits(None),
    );
    assert_eq!(
        Dataflow::from_json(&job.to_json()).expect("our own text is readable"),
        job
    );
}
