//! Whatever stops a job, and wherever, every result is published exactly once.
//!
//! A seed decides how rows arrive, where power is cut, which commits tear, and which answers of
//! the broker are lost. What stands in the output afterwards is compared with a plain count.

use arrow::{
    array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray},
    datatypes::{
        DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use dataflow::{
    Aggregate, AggregateCall, Changelog, Column, ColumnKind, Dataflow, Delta, Emit, Expression,
    NodeKind, RowPolicy, Sink, Source, StateBound, TableSpec, Traits, Tumble, Watermark, Window,
};
use datafusion::{
    functions_aggregate::expr_fn::{count, sum},
    logical_expr::{Expr, col, lit},
};
use datafusion_proto::bytes::Serializeable;
use engine::{
    BadRecord, BoxError, Error, Job, Outbox, OutputRecord, Parts, PollLimits, Polled, PolledQueue,
    PublishError, Publisher, Settings, SinkEncoder, Sinks, SourceReader, Sources, Sync,
};
use operators::{Functions, Lookup, Lookups};
use runtime::{Clock, Rng, Tasks};
use state::{MemoryDisk, MemoryStore};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

const KEYS: [&str; 3] = ["a", "b", "c"];
const WINDOW_MS: i64 = 1000;
const QUEUES: usize = 3;
const BAD: &[u8] = b"not a row";

/// A row of a queue, `None` for a record that does not decode.
type Cell = Option<(&'static str, i64, i64)>;

/// What outlives the job: the broker's topics, what was published, and what will go wrong next.
#[derive(Default)]
struct World {
    /// Per queue: key, value, time; `None` cannot be decoded.
    queues: Vec<Vec<Cell>>,
    epoch: u64,
    output: Vec<OutputRecord>,
    positions: BTreeMap<String, u64>,
    fault: Option<Fault>,
}

/// What happens to the next epoch that is published.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// The broker never hears of it, and the job dies.
    LostRequest,
    /// The broker has it, but the job dies before it hears so.
    LostAnswer,
    /// The broker asks to come again.
    Busy,
    /// The broker has it, the answer is lost, the job asks again.
    LostAnswerThenRetry,
}

#[derive(Clone)]
struct Broker(Arc<Mutex<World>>, Rng);

impl Broker {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("no test panicked")
    }
}

#[async_trait]
impl Publisher for Broker {
    async fn publish(&mut self, outbox: &Outbox) -> Result<(), PublishError> {
        let mut world = self.world();
        let fault = world.fault.take();
        if fault == Some(Fault::LostRequest) {
            return Err(PublishError::Refused("the job died".into()));
        }
        if fault == Some(Fault::Busy) {
            return Err(PublishError::Retry("busy".into()));
        }
        if outbox.epoch.0 > world.epoch {
            world.epoch = outbox.epoch.0;
            world.output.extend(outbox.records.iter().cloned());
            for (name, position) in &outbox.positions {
                let position =
                    u64::from_be_bytes(position.as_slice().try_into().expect("a position of ours"));
                let before = world.positions.insert(name.queue.clone(), position);
                assert!(before <= Some(position), "positions never go back");
            }
        }
        match fault {
            Some(Fault::LostAnswer) => Err(PublishError::Refused("the job died".into())),
            Some(Fault::LostAnswerThenRetry) => Err(PublishError::Retry("no answer".into())),
            _ => Ok(()),
        }
    }
}

struct Reader {
    broker: Broker,
    at: Vec<usize>,
}

#[async_trait]
impl Sources for Broker {
    async fn open(
        &mut self,
        _: &Source,
        positions: BTreeMap<String, Vec<u8>>,
    ) -> Result<Box<dyn SourceReader>, BoxError> {
        let mut at = vec![0; QUEUES];
        for (queue, position) in positions {
            at[queue.parse::<usize>()?] =
                u64::from_be_bytes(position.as_slice().try_into()?) as usize;
        }
        Ok(Box::new(Reader {
            broker: self.clone(),
            at,
        }))
    }
}

#[async_trait]
impl SourceReader for Reader {
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, BoxError> {
        let world = self.broker.world();
        let mut rows = Vec::new();
        let (mut originals, mut offsets, mut queues, mut undecodable) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (number, queue) in world.queues.iter().enumerate() {
            let at = &mut self.at[number];
            let from = *at;
            let want = self.broker.1.range(0..(limits.rows as u64).min(12)) as usize;
            let before = rows.len();
            while *at < queue.len().min(from + want) {
                match &queue[*at] {
                    Some(row) => {
                        rows.push(*row);
                        originals.push(Bytes::from(format!("{row:?}")));
                        offsets.push(*at as i64);
                    }
                    None => undecodable.push(BadRecord {
                        queue: number,
                        offset: *at as i64,
                        bytes: Bytes::from_static(BAD),
                        why: "it is bad".to_owned(),
                    }),
                }
                *at += 1;
            }
            queues.push(PolledQueue {
                name: number.to_string().into(),
                rows: rows.len() - before,
                position: (*at as u64).to_be_bytes().to_vec(),
                at_end: *at == queue.len(),
            });
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|(k, ..)| Some(*k)).collect::<StringArray>()),
            Arc::new(
                rows.iter()
                    .map(|(_, v, _)| Some(*v))
                    .collect::<Int64Array>(),
            ),
            Arc::new(
                rows.iter()
                    .map(|(.., ts)| Some(*ts))
                    .collect::<TimestampMillisecondArray>(),
            ),
        ];
        let rows = RecordBatch::try_new(input_schema(), columns)?;
        Ok(Polled {
            rows,
            originals,
            offsets,
            queues,
            undecodable,
        })
    }
}

struct Lines;

impl Sinks for Lines {
    fn open(&mut self, _: &Sink) -> Result<Box<dyn SinkEncoder>, BoxError> {
        Ok(Box::new(Lines))
    }
}

impl SinkEncoder for Lines {
    fn encode(&mut self, delta: &Delta) -> Result<Vec<OutputRecord>, BoxError> {
        assert!(delta.weights().is_none(), "closed windows are inserts");
        let batch = delta.batch();
        let (ends, keys) = (
            batch.column(0).as_primitive::<TimestampMillisecondType>(),
            batch.column(1).as_string::<i32>(),
        );
        let numbers = [2, 3].map(|column| batch.column(column).as_primitive::<Int64Type>());
        let line = |row| {
            format!(
                "{} {} {} {}",
                ends.value(row),
                keys.value(row),
                numbers[0].value(row),
                numbers[1].value(row)
            )
        };
        let record = |row| OutputRecord {
            destination: "output".to_owned(),
            body: Some(line(row).into()),
            ..OutputRecord::default()
        };
        Ok((0..batch.num_rows()).map(record).collect())
    }
}

struct NoLookups;

impl Lookups for NoLookups {
    fn open(&self, _: &TableSpec, _: &[usize]) -> Result<Box<dyn Lookup>, BoxError> {
        Err("there is no outside table".into())
    }
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, None)
}

fn input_schema() -> SchemaRef {
    let fields = [
        ("k", DataType::Utf8),
        ("v", DataType::Int64),
        ("ts", time()),
    ];
    Arc::new(Schema::new(
        fields
            .map(|(name, data_type)| Field::new(name, data_type, true))
            .to_vec(),
    ))
}

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
fn windowed_counts() -> Dataflow {
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
fn arrivals(rng: &Rng, rows: u64, faulty: bool) -> World {
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
fn expected(world: &World) -> Vec<String> {
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

fn to(world: &World, destination: &str) -> Vec<String> {
    let records = world
        .output
        .iter()
        .filter(|record| record.destination == destination);
    let body = |record: &OutputRecord| {
        String::from_utf8_lossy(record.body.as_deref().unwrap_or_default()).into_owned()
    };
    let mut lines: Vec<String> = records.map(body).collect();
    lines.sort();
    lines
}

struct Run {
    broker: Broker,
    disk: MemoryDisk,
    dataflow: Arc<Dataflow>,
    settings: Settings,
}

impl Run {
    fn new(dataflow: Dataflow, world: World, rng: &Rng, sync: Sync) -> Self {
        let tight = state::Settings {
            cache_bytes: 500,
            warm_bytes: 100,
        };
        let settings = Settings {
            idle_timeout: None,
            sync,
            state: tight,
            publish_retry: Duration::ZERO,
            epoch_rows: 20,
            ..Settings::default()
        };
        let broker = Broker(Arc::new(Mutex::new(world)), rng.split("polls"));
        Self {
            broker,
            disk: MemoryDisk::new(),
            dataflow: Arc::new(dataflow),
            settings,
        }
    }

    async fn open(&self) -> Result<Job, Error> {
        let clock = Clock::real();
        Job::open(Parts {
            dataflow: Arc::clone(&self.dataflow),
            functions: Functions::built_in(),
            lookups: &NoLookups,
            sources: &mut self.broker.clone(),
            sinks: &mut Lines,
            publisher: Box::new(self.broker.clone()),
            store: Arc::new(MemoryStore::open(&self.disk)),
            tasks: Tasks::new(clock.clone()),
            clock,
            settings: self.settings.clone(),
        })
        .await
    }

    fn read_to_the_end(&self) -> bool {
        let world = self.broker.world();
        let read = |(number, queue): (usize, &Vec<_>)| {
            world
                .positions
                .get(&number.to_string())
                .copied()
                .unwrap_or(0)
                == queue.len() as u64
        };
        world.queues.iter().enumerate().all(read)
    }
}

/// One run of the job, until something stops it or everything is read.
async fn live(run: &Run, rng: &Rng) -> Result<(), Error> {
    let mut job = run.open().await?;
    for _ in 0..rng.range(1..12) {
        match rng.range(0..12) {
            0 => run.disk.tear_next_commit(true),
            1 => run.disk.tear_next_commit(false),
            2 => run.broker.world().fault = Some(Fault::LostRequest),
            3 => run.broker.world().fault = Some(Fault::LostAnswer),
            4 => run.broker.world().fault = Some(Fault::Busy),
            5 => run.broker.world().fault = Some(Fault::LostAnswerThenRetry),
            _ => {}
        }
        job.epoch().await?;
    }
    Ok(())
}

async fn crash_until_done(seed: u64) {
    let rng = Rng::seeded(seed);
    let faulty = rng.chance(0.5);
    let sync = if rng.chance(0.5) {
        Sync::EveryEpoch
    } else {
        Sync::Every(Duration::from_nanos(rng.range(1..3_000_000)))
    };
    let mut dataflow = windowed_counts();
    dataflow.policies.undecodable = RowPolicy::DeadLetter("bad".to_owned());
    dataflow.policies.function = RowPolicy::DeadLetter("bad".to_owned());
    let run = Run::new(dataflow, arrivals(&rng, 120, faulty), &rng, sync);
    while !run.read_to_the_end() {
        // However it ends, the power goes too.
        let _ = live(&run, &rng).await;
        let survivors = rng.range(0..run.disk.unsynced() as u64 + 1);
        run.disk.crash(survivors as usize);
    }
    run.broker.world().fault = None;
    let mut job = run.open().await.expect("nothing goes wrong any more");
    job.drain().await.expect("nothing goes wrong any more");
    let world = run.broker.world();
    assert_eq!(to(&world, "output"), expected(&world), "seed {seed}");
    let bad = world
        .queues
        .iter()
        .flatten()
        .filter(|row| row.is_none_or(|(_, v, _)| v == 0));
    assert_eq!(to(&world, "bad").len(), bad.count(), "seed {seed}");
}

#[tokio::test]
async fn every_result_is_published_once_wherever_the_job_is_stopped() {
    for seed in 0..60 {
        crash_until_done(seed).await;
    }
}

#[tokio::test]
async fn an_unusable_record_becomes_a_dead_letter_with_its_bytes_and_origin() {
    let mut dataflow = windowed_counts();
    dataflow.policies.undecodable = RowPolicy::DeadLetter("undecodable".to_owned());
    dataflow.policies.function = RowPolicy::DeadLetter("failed".to_owned());
    let queue = vec![
        Some(("a", 5, 10)),
        None,
        Some(("b", 0, 20)),
        Some(("a", 10, 30)),
    ];
    let world = World {
        queues: vec![queue, Vec::new(), Vec::new()],
        ..World::default()
    };
    let run = Run::new(dataflow, world, &Rng::seeded(1), Sync::EveryEpoch);
    let mut job = run.open().await.expect("the job opens");
    let status = job.status();
    while !run.read_to_the_end() {
        job.epoch().await.expect("bad rows stop nothing");
    }
    job.drain().await.expect("the job drains");
    let world = run.broker.world();
    assert_eq!(to(&world, "output"), ["1000 a 2 30"]);
    assert_eq!(to(&world, "undecodable"), ["not a row"]);
    assert_eq!(to(&world, "failed"), [r#"("b", 0, 20)"#]);
    let failed = world
        .output
        .iter()
        .find(|record| record.destination == "failed")
        .expect("a dead letter");
    let property = |name: &str| {
        &failed
            .properties
            .iter()
            .find(|(found, _)| found == name)
            .expect("a property")
            .1
    };
    assert_eq!(property("MILLSTREAM_ORIGIN_QUEUE"), "0");
    assert_eq!(property("MILLSTREAM_ORIGIN_OFFSET"), "2");
    assert!(property("MILLSTREAM_ERROR_WHY").contains("Divide by zero"));
    let counters = status.borrow().counters.clone();
    let counted = [
        "rows in",
        "rows out",
        "undecodable",
        "failed",
        "dead letters",
    ]
    .map(|name| counters[name]);
    assert_eq!(counted, [3, 1, 1, 1, 2]);
}

#[tokio::test]
async fn a_job_that_may_not_skip_stops_before_the_bad_row_is_committed() {
    for (bad, named) in [
        (None, "record 1 of 0"),
        (Some(("b", 0, 20)), "record 1 of 0"),
    ] {
        let queue = vec![Some(("a", 5, 10)), bad];
        let world = World {
            queues: vec![queue, Vec::new(), Vec::new()],
            ..World::default()
        };
        let run = Run::new(windowed_counts(), world, &Rng::seeded(1), Sync::EveryEpoch);
        let mut job = run.open().await.expect("the job opens");
        let error = loop {
            if let Err(error) = job.epoch().await {
                break error.to_string();
            }
        };
        assert!(error.contains(named), "{error}");
        assert!(
            matches!(job.epoch().await, Err(Error::State(state::Error::Closed))),
            "it stays stopped"
        );
        assert!(run.broker.world().positions.get("0").copied().unwrap_or(0) <= 1);
    }
}

#[tokio::test]
async fn an_epoch_without_news_is_not_committed() {
    let world = World {
        queues: vec![Vec::new(); QUEUES],
        ..World::default()
    };
    let run = Run::new(windowed_counts(), world, &Rng::seeded(1), Sync::EveryEpoch);
    let mut job = run.open().await.expect("the job opens");
    assert!(
        job.epoch().await.expect("it steps"),
        "the first one says where reading starts"
    );
    for _ in 0..3 {
        assert!(!job.epoch().await.expect("it steps"));
    }
    assert_eq!(run.broker.world().epoch, 1);
}
