//! A job of a script over the house's topics.

use std::sync::Arc;
use std::time::Duration;

use client::Client;
use engine::{FileLookups, Job, Parts, Settings, TopicPublisher, TopicSinks, TopicSources};
use model::QueueOffset;
use planner::{Environment, Plan};
use runtime::{Rng, SimDisk};
use state::{MemoryDisk, MemoryStore};

use crate::house::{House, group, queue, topic};

/// How long rows may take to be read.
const PATIENCE: Duration = Duration::from_secs(120);

/// A table whose rows are in the topic of its name.
pub fn table(name: &str, columns: &str, options: &str) -> String {
    format!(
        "CREATE TABLE {name} ({columns})
           WITH ('connector' = 'rocketmq', 'topic' = '{name}', {options});"
    )
}

pub fn plan(script: &str) -> Plan {
    planner::plan(script, &Environment::new("job")).unwrap_or_else(|why| panic!("{why}"))
}

/// Opens the job of a script behind what this disk holds.
pub async fn open(house: &House, client: &Client, script: &str, disk: &MemoryDisk) -> Job {
    let plan = plan(script);
    let nowhere = SimDisk::new(Rng::seeded(1)).mount();
    let lookups = FileLookups::new(nowhere, "/".into());
    let (mut sources, mut sinks) = (TopicSources::new(client.clone()), TopicSinks);
    let dataflow = Arc::new(plan.dataflow);
    let publisher = house.run(TopicPublisher::open(client.clone(), &dataflow));
    let publisher = publisher.await.expect("the job is taken over");
    let job = Job::open(Parts {
        dataflow,
        functions: plan.functions.task_context().into(),
        time: plan.functions.time().clone(),
        lookups: &lookups,
        sources: &mut sources,
        sinks: &mut sinks,
        publisher: Box::new(publisher),
        store: Arc::new(MemoryStore::open(disk)),
        tasks: house.tasks.clone(),
        clock: house.clock.clock(),
        settings: Settings::default(),
    });
    house.run(job).await.expect("the job opens")
}

/// Epochs until the job has read so many rows in all.
pub async fn read(house: &House, job: &mut Job, rows: u64) {
    let status = job.status();
    let read = || {
        status
            .borrow()
            .counters
            .get("rows in")
            .copied()
            .unwrap_or(0)
    };
    let began = house.clock.now();
    while read() < rows && house.clock.now() - began < PATIENCE {
        house.run(job.epoch()).await.expect("an epoch");
    }
    assert_eq!(read(), rows);
}

/// What a group has committed for the first queue of a topic.
pub async fn committed(house: &House, client: &Client, name: &str, of: &str) -> Option<u64> {
    let consumer = client.pull_consumer(group(name));
    let first = queue(&topic(of), 0);
    let committed = house.run(consumer.committed(&first)).await;
    committed.expect("an answer").map(|QueueOffset(next)| next)
}
