//! Builds small dataflows from SQL fragments, runs them epoch by epoch, and asks the batch
//! engine for the expected rows.

use arrow::{
    array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    util::display::{ArrayFormatter, FormatOptions},
};
use bytes::Bytes;
use dataflow::{
    Aggregate, AggregateCall, Changelog, Dataflow, Delta, Emit, Expression, NodeId, NodeKind, Sink,
    Source, StateBound, TableSpec, Traits, Tumble, Window,
};
use datafusion::{
    common::DFSchema,
    datasource::MemTable,
    logical_expr::{Expr, ExprSchemable, simplify::SimplifyContext},
    optimizer::simplify_expressions::ExprSimplifier,
    prelude::SessionContext,
};
use datafusion_proto::bytes::Serializeable;
use operators::{
    Environment, Error, EventTimes, Functions, Graph, Lookup, Lookups, Omitted, SourceRows,
    Stepped, Watermark,
};
use state::{Commit, Durability, MemoryDisk, MemoryStore, Progress, Settings, State, Store};
use std::{collections::BTreeMap, sync::Arc};

pub const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// Rows that every test's source has.
pub fn input_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("v", DataType::Int64, true),
        Field::new("f", DataType::Float64, true),
        Field::new("d", DataType::Decimal128(10, 2), true),
        Field::new("ts", TIME, true),
    ]))
}

/// A dataflow under construction; every step reads the last one.
pub struct Plan {
    pub dataflow: Dataflow,
    pub last: NodeId,
    append_only: bool,
}

impl Plan {
    pub fn source(append_only: bool) -> Self {
        let schema = input_schema();
        let mut plan = Self {
            dataflow: Dataflow::new("test"),
            last: NodeId(0),
            append_only,
        };
        let source = Source {
            table: table("input", &schema),
            columns: (0..schema.fields().len()).collect(),
        };
        plan.last = plan
            .dataflow
            .add(NodeKind::Source(source), Vec::new(), schema, plan.traits());
        plan
    }

    /// From here on rows are withdrawn too.
    pub fn updating(mut self) -> Self {
        self.append_only = false;
        self.dataflow.nodes[self.last.0].traits.append_only = false;
        self
    }

    fn traits(&self) -> Traits {
        let append_only = self.append_only;
        Traits {
            append_only,
            unique_key: None,
            event_time: None,
            state_bound: StateBound::Stateless,
        }
    }

    pub fn schema(&self) -> SchemaRef {
        self.dataflow.node(self.last).schema.clone()
    }

    pub fn add(mut self, kind: NodeKind, schema: SchemaRef) -> Self {
        self.last = self
            .dataflow
            .add(kind, vec![self.last], schema, self.traits());
        self
    }

    pub fn project(self, columns: &[(&str, &str)]) -> Self {
        let input = self.schema();
        let compiled = columns.iter().map(|(sql, name)| {
            let (expression, data_type) = expression(sql, &input);
            (expression, Field::new(*name, data_type, true))
        });
        let (expressions, fields): (Vec<_>, Vec<_>) = compiled.unzip();
        self.add(
            NodeKind::Project(expressions),
            Arc::new(Schema::new(fields)),
        )
    }

    pub fn filter(self, condition: &str) -> Self {
        let schema = self.schema();
        let (condition, _) = expression(condition, &schema);
        self.add(NodeKind::Filter(condition), schema)
    }

    /// Declares `ts` as event time.
    pub fn watermark(self, sql: &str) -> Self {
        let schema = self.schema();
        let column = schema.index_of("ts").expect("a column ts");
        let (expression, _) = expression(sql, &schema);
        self.add(
            NodeKind::Watermark(dataflow::Watermark { column, expression }),
            schema,
        )
    }

    pub fn tumble(self, size_ms: i64) -> Self {
        let input = self.schema();
        let time_column = input.index_of("ts").expect("a column ts");
        let mut fields: Vec<Field> = input
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        fields.extend(
            ["window_start", "window_end", "window_time"].map(|name| Field::new(name, TIME, false)),
        );
        let tumble = Window::Tumble(Tumble {
            time_column,
            size_ms,
            offset_ms: 0,
        });
        self.add(NodeKind::Window(tumble), Arc::new(Schema::new(fields)))
    }

    /// Groups by these columns; `window_end` among them is the end of a window.
    pub fn aggregate(self, keys: &[&str], calls: &[&str], on_close: bool) -> Self {
        let input = self.schema();
        let columns: Vec<usize> = keys
            .iter()
            .map(|key| input.index_of(key).expect("a key column"))
            .collect();
        let mut fields: Vec<Field> = columns
            .iter()
            .map(|column| input.field(*column).clone())
            .collect();
        let aggregates: Vec<AggregateCall> = calls.iter().map(|sql| call(sql, &input)).collect();
        fields.extend(aggregates.iter().map(|call| call.output.clone()));
        let window_end_key = keys.iter().position(|key| *key == "window_end");
        let emit = match window_end_key {
            Some(window_end_key) if on_close => Emit::OnWindowClose { window_end_key },
            window_end_key => Emit::Changes { window_end_key },
        };
        let kind = NodeKind::Aggregate(Aggregate {
            keys: columns,
            aggregates,
            emit,
        });
        self.add(kind, Arc::new(Schema::new(fields)))
    }

    pub fn sink(self) -> Dataflow {
        let schema = self.schema();
        let table = table("output", &schema);
        self.add(
            NodeKind::Sink(Sink {
                table,
                changelog: Changelog::Retract,
            }),
            schema,
        )
        .dataflow
    }
}

pub fn table(name: &str, schema: &Schema) -> TableSpec {
    let column = |field: &Arc<Field>| dataflow::Column {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        nullable: field.is_nullable(),
        kind: dataflow::ColumnKind::Physical,
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

fn parse(sql: &str, input: &Schema) -> (Expr, DataType) {
    let columns = DFSchema::try_from(input.clone()).expect("unique names");
    let parsed = SessionContext::new()
        .parse_sql_expr(sql, &columns)
        .expect("the test's expression parses");
    let simplifier = ExprSimplifier::new(
        SimplifyContext::builder()
            .with_schema(Arc::new(columns.clone()))
            .build(),
    );
    let coerced = simplifier
        .coerce(parsed, &columns)
        .expect("the test's expression has a type");
    let data_type = coerced
        .get_type(&columns)
        .expect("the test's expression has a type");
    (coerced, data_type)
}

pub fn expression(sql: &str, input: &Schema) -> (Expression, DataType) {
    let (parsed, data_type) = parse(sql, input);
    (
        Expression {
            sql: sql.to_owned(),
            encoded: parsed.to_bytes().expect("it encodes").to_vec(),
        },
        data_type,
    )
}

fn call(sql: &str, input: &Schema) -> AggregateCall {
    let (parsed, data_type) = parse(sql, input);
    let encode = |part: &Expr| Expression {
        sql: part.to_string(),
        encoded: part.to_bytes().expect("it encodes").to_vec(),
    };
    let Expr::AggregateFunction(function) = &parsed else {
        panic!("{sql} is no aggregate")
    };
    AggregateCall {
        function: function.func.name().to_owned(),
        distinct: function.params.distinct,
        arguments: function.params.args.iter().map(encode).collect(),
        filter: function.params.filter.as_deref().map(encode),
        expression: Expression {
            sql: sql.to_owned(),
            ..encode(&parsed)
        },
        output: Field::new(sql, data_type, true),
        state_fields: Vec::new(),
    }
}

/// One queue: the watermark is the greatest value called for.
#[derive(Default)]
pub struct OneQueue(Option<i64>);

impl EventTimes for OneQueue {
    fn observe(&mut self, _: NodeId, _: &SourceRows, watermarks: &Int64Array) -> Watermark {
        self.0 = self.0.max(watermarks.iter().flatten().max());
        Watermark {
            at: self.0,
            idle: false,
        }
    }
}

/// All rows have come.
pub struct Drained;

impl EventTimes for Drained {
    fn observe(&mut self, _: NodeId, _: &SourceRows, _: &Int64Array) -> Watermark {
        Watermark::END
    }
}

pub struct NoLookups;

impl Lookups for NoLookups {
    fn open(
        &self,
        _: &TableSpec,
        _: &[usize],
    ) -> Result<Box<dyn Lookup>, Box<dyn std::error::Error + Send + Sync>> {
        Err("this test has no outside table".into())
    }
}

/// A dataflow that runs over a store, and what its sink got from committed epochs.
pub struct Run<'a> {
    dataflow: &'a Dataflow,
    lookups: &'a dyn Lookups,
    pub disk: MemoryDisk,
    pub state: State,
    progress: Progress,
    graph: Graph,
    times: OneQueue,
    pub outputs: Vec<Delta>,
    /// Event time and watermark of every late row.
    pub late: Vec<(Option<i64>, Option<i64>)>,
}

/// So little memory that rows are read back from the store.
const TIGHT: Settings = Settings {
    cache_bytes: 400,
    warm_bytes: 100,
};

impl<'a> Run<'a> {
    pub fn new(dataflow: &'a Dataflow) -> Self {
        Self::with_lookups(dataflow, &NoLookups)
    }

    pub fn with_lookups(dataflow: &'a Dataflow, lookups: &'a dyn Lookups) -> Self {
        let disk = MemoryDisk::new();
        let (state, progress, graph) = open(dataflow, lookups, Arc::new(MemoryStore::open(&disk)));
        let times = OneQueue::default();
        Self {
            dataflow,
            lookups,
            disk,
            state,
            progress,
            graph,
            times,
            outputs: Vec::new(),
            late: Vec::new(),
        }
    }

    /// Forgets everything but the committed state.
    pub fn restart(&mut self) {
        let (state, progress, graph) = open(
            self.dataflow,
            self.lookups,
            Arc::new(MemoryStore::open(&self.disk)),
        );
        (self.state, self.progress, self.graph) = (state, progress, graph);
        self.times = OneQueue::default();
    }

    pub fn step(&mut self, input: Delta) -> Result<Stepped, Error> {
        self.graph.step(
            &BTreeMap::from([(NodeId(0), input)]),
            &Omitted::default(),
            &mut self.state,
            &mut self.times,
        )
    }

    pub fn commit(&mut self, stepped: Stepped) {
        self.progress.epoch.0 += 1;
        self.progress.watermarks = self.graph.watermarks();
        let commit = Commit {
            progress: self.progress.clone(),
            outbox: Bytes::new(),
        };
        self.state
            .commit(commit, Durability::Synced)
            .expect("the commit succeeds");
        self.outputs
            .extend(stepped.sinks.into_iter().map(|(_, delta)| delta));
        for late in stepped.late {
            let times = late.times.expect("event time was declared before");
            assert_eq!(times.len(), late.rows.num_rows());
            let row = |event| (event, late.watermark);
            self.late.extend(times.into_iter().map(row));
        }
    }

    pub fn epoch(&mut self, input: Delta) {
        let stepped = self.step(input).expect("the epoch steps");
        self.commit(stepped);
    }

    pub fn drain(&mut self) {
        let stepped = self
            .graph
            .step(
                &BTreeMap::new(),
                &Omitted::default(),
                &mut self.state,
                &mut Drained,
            )
            .expect("the epoch steps");
        self.commit(stepped);
    }

    /// The table that the sink's changes add up to: rows as text, sorted.
    pub fn integral(&self) -> Vec<String> {
        let Some(schema) = self.outputs.first().map(Delta::schema) else {
            return Vec::new();
        };
        let whole = Delta::concat(&schema, &self.outputs)
            .and_then(|all| all.consolidate())
            .expect("they add up");
        let mut rows = Vec::new();
        for (row, text) in texts(whole.batch()).into_iter().enumerate() {
            let weight = whole.weight(row);
            assert!(
                weight > 0,
                "{text} was withdrawn {} times more than inserted",
                -weight
            );
            rows.extend(std::iter::repeat_n(text, weight as usize));
        }
        rows.sort();
        rows
    }
}

fn open(
    dataflow: &Dataflow,
    lookups: &dyn Lookups,
    store: Arc<dyn Store>,
) -> (State, Progress, Graph) {
    let opened = State::open(store, TIGHT).expect("the state opens");
    let mut state = opened.state;
    let mut environment = Environment {
        functions: Functions::built_in(),
        lookups,
        state: &mut state,
    };
    let graph = Graph::build(dataflow, &opened.progress.watermarks, &mut environment)
        .expect("the graph builds");
    (state, opened.progress, graph)
}

/// Each row as text.
pub fn texts(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let format = |column: &ArrayRef| {
        ArrayFormatter::try_new(column.as_ref(), &options)
            .map(|_| ())
            .is_ok()
    };
    assert!(batch.columns().iter().all(format));
    let formatters: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).expect("a printable type"))
        .collect();
    let row = |row| {
        formatters
            .iter()
            .map(|column| column.value(row).to_string())
            .collect::<Vec<_>>()
            .join("|")
    };
    (0..batch.num_rows()).map(row).collect()
}

/// What the batch engine says about these rows of `input`: rows as text, sorted.
pub fn batch(sql: &str, input: RecordBatch) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let context = SessionContext::new();
        let table = MemTable::try_new(input.schema(), vec![vec![input]]).expect("a table");
        context
            .register_table("input", Arc::new(table))
            .expect("a new name");
        let frame = context.sql(sql).await.expect("the oracle's query is valid");
        let mut rows: Vec<String> = frame
            .collect()
            .await
            .expect("the oracle answers")
            .iter()
            .flat_map(texts)
            .collect();
        rows.sort();
        rows
    })
}

/// A batch with these columns, whatever their nullability.
pub fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>) -> RecordBatch {
    let options =
        RecordBatchOptions::new().with_row_count(columns.first().map(|column| column.len()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .expect("columns of the schema")
}
