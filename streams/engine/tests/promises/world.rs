//! A world for a job: a broker in memory that can fail, and everything that outlives the job.

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray},
    compute::cast,
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    util::display::array_value_to_string,
};
use async_trait::async_trait;
use bytes::Bytes;
use dataflow::{Dataflow, Delta, Sink, Source, TableSpec};
use engine::{
    BadRecord, BoxError, Error, Job, Outbox, OutputRecord, Parts, PollLimits, Polled, PolledQueue,
    PublishError, PublishLimits, Publisher, Settings, SinkEncoder, Sinks, SourceReader, Sources,
    Sync,
};
use operators::{Functions, Lookup, Lookups};
use planner::EpochTime;
use runtime::{Rng, SimClock, Tasks};
use state::{MemoryDisk, MemoryStore};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

pub const QUEUES: usize = 3;
/// The table that a script reads.
const INPUT: &str = "
CREATE TABLE input (k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
  WITH ('connector' = 'rocketmq', 'topic' = 'input', 'format' = 'json');
";
const BAD: &[u8] = b"not a row";

/// A row of a queue, `None` for a record that does not decode.
pub type Cell = Option<(&'static str, i64, i64)>;

/// What outlives the job: the broker's topics, what was published, and what will go wrong next.
#[derive(Default)]
pub struct World {
    /// Per queue: key, value, time; `None` cannot be decoded.
    pub queues: Vec<Vec<Cell>>,
    pub epoch: u64,
    pub output: Vec<OutputRecord>,
    pub positions: BTreeMap<String, u64>,
    pub fault: Option<Fault>,
    /// The broker does not answer.
    pub away: bool,
    /// What it takes at once.
    pub limits: PublishLimits,
    /// Records of each epoch that it took.
    pub sizes: Vec<usize>,
}

/// What happens to the next epoch that is published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
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
pub struct Broker(Arc<Mutex<World>>, Rng);

impl Broker {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("no test panicked")
    }
}

#[async_trait]
impl Publisher for Broker {
    async fn publish(&mut self, outbox: &Outbox) -> Result<(), PublishError> {
        let mut world = self.world();
        if world.away {
            return Err(PublishError::Retry("nobody is there".into()));
        }
        let fault = world.fault.take();
        if fault == Some(Fault::LostRequest) {
            return Err(PublishError::Refused("the job died".into()));
        }
        if fault == Some(Fault::Busy) {
            return Err(PublishError::Retry("busy".into()));
        }
        if outbox.epoch.0 > world.epoch {
            world.epoch = outbox.epoch.0;
            world.sizes.push(outbox.records.len());
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

    fn limits(&self) -> PublishLimits {
        self.world().limits
    }
}

struct Reader {
    broker: Broker,
    columns: Vec<usize>,
    at: Vec<usize>,
    before: Vec<usize>,
}

#[async_trait]
impl Sources for Broker {
    async fn open(
        &mut self,
        source: &Source,
        positions: BTreeMap<String, Vec<u8>>,
    ) -> Result<Box<dyn SourceReader>, BoxError> {
        let mut at = vec![0; QUEUES];
        for (queue, position) in positions {
            at[queue.parse::<usize>()?] =
                u64::from_be_bytes(position.as_slice().try_into()?) as usize;
        }
        Ok(Box::new(Reader {
            broker: self.clone(),
            columns: source.columns.clone(),
            before: at.clone(),
            at,
        }))
    }
}

#[async_trait]
impl SourceReader for Reader {
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, BoxError> {
        self.before.clone_from(&self.at);
        let world = self.broker.world();
        let mut rows = Vec::new();
        let (mut originals, mut offsets, mut queues, mut undecodable) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (number, queue) in world.queues.iter().enumerate() {
            let at = &mut self.at[number];
            let from = *at;
            let want = self.broker.1.range(0..(limits.rows as u64 + 1).min(12)) as usize;
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
        let rows = RecordBatch::try_new(input_schema(), columns)?.project(&self.columns)?;
        Ok(Polled {
            rows,
            originals,
            offsets,
            queues,
            undecodable,
        })
    }

    fn unread(&mut self) {
        self.at.clone_from(&self.before);
    }
}

/// Writes a row as its values with spaces between, times as milliseconds, behind a minus if it is
/// withdrawn.
struct Lines;

impl Sinks for Lines {
    fn open(&mut self, _: &Sink) -> Result<Box<dyn SinkEncoder>, BoxError> {
        Ok(Box::new(Lines))
    }
}

impl SinkEncoder for Lines {
    fn encode(&mut self, delta: &Delta) -> Result<Vec<OutputRecord>, BoxError> {
        let plain = |column: &ArrayRef| match column.data_type() {
            DataType::Timestamp(..) => cast(column, &DataType::Int64),
            _ => Ok(Arc::clone(column)),
        };
        let columns = delta.batch().columns().iter().map(plain);
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let mut records = Vec::new();
        for row in 0..delta.rows() {
            let values = columns
                .iter()
                .map(|column| array_value_to_string(column, row));
            let line = values.collect::<Result<Vec<_>, _>>()?.join(" ");
            let sign = if delta.weight(row) < 0 { "-" } else { "" };
            records.push(OutputRecord {
                destination: "output".to_owned(),
                body: Some(format!("{sign}{line}").into()),
                ..OutputRecord::default()
            });
        }
        Ok(records)
    }
}

struct NoLookups;

impl Lookups for NoLookups {
    fn open(&self, _: &TableSpec, _: &[usize]) -> Result<Box<dyn Lookup>, BoxError> {
        Err("there is no outside table".into())
    }
}

pub fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, None)
}

pub fn input_schema() -> SchemaRef {
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

/// Bodies that went there, sorted.
pub fn to(world: &World, destination: &str) -> Vec<String> {
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

/// A job with what outlives its runs.
pub struct Run {
    pub broker: Broker,
    pub disk: MemoryDisk,
    pub dataflow: Arc<Dataflow>,
    pub functions: Functions,
    pub time: EpochTime,
    pub clock: SimClock,
    pub settings: Settings,
}

impl Run {
    pub fn new(dataflow: Dataflow, world: World, rng: &Rng, sync: Sync) -> Self {
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
            functions: Functions::built_in(),
            time: EpochTime::default(),
            clock: SimClock::new(0),
            settings,
        }
    }

    /// The job of a script over the table `input`, which it writes to `output`.
    pub fn of_script(
        script: &str,
        functions: Option<Arc<dyn planner::FunctionLoader>>,
        world: World,
    ) -> Self {
        let mut environment = planner::Environment::new("job");
        if let Some(functions) = functions {
            environment = environment.with_functions(functions);
        }
        let script = format!("{INPUT}{script}");
        let plan = planner::plan(&script, &environment).unwrap_or_else(|why| panic!("{why}"));
        let mut run = Self::new(plan.dataflow, world, &Rng::seeded(1), Sync::EveryEpoch);
        run.functions = plan.functions.task_context().into();
        run.time = plan.functions.time().clone();
        run
    }

    /// Epochs until everything is read.
    pub async fn read(&self, job: &mut Job) -> Result<(), Error> {
        while !self.read_to_the_end() {
            job.epoch().await?;
        }
        Ok(())
    }

    pub async fn open(&self) -> Result<Job, Error> {
        let clock = self.clock.clock();
        Job::open(Parts {
            dataflow: Arc::clone(&self.dataflow),
            functions: self.functions.clone(),
            time: self.time.clone(),
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

    pub fn read_to_the_end(&self) -> bool {
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
