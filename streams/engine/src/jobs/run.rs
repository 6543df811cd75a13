//! Opens one job over a broker: its state, sources, sinks and lookups.

use std::sync::Arc;
use std::time::Duration;

use operators::Functions;
use planner::Plan;
use state::{FjallSettings, FjallStore, State, Store};

use super::{Definition, JobError, Surroundings, failure};
use crate::topic::{TopicPublisher, TopicSinks, TopicSources};
use crate::{FileLookups, Job, Parts, Settings, Status, Sync};

/// Opens the job behind its last committed epoch. From here on an earlier run of it is fenced.
pub(super) async fn open(
    around: &Surroundings,
    definition: &Definition,
    plan: Plan,
) -> Result<Job, JobError> {
    let failed = |why: String| JobError::Open {
        name: definition.name.clone(),
        why,
    };
    let store = open_store(around, definition).await?;
    let settings = settings(&around.settings, &plan);
    let dataflow = Arc::new(plan.dataflow);
    let publisher = TopicPublisher::open(around.client.clone(), &dataflow)
        .await
        .map_err(|why| failed(failure::chain(&*why)))?;
    let lookups = FileLookups::new(around.disk.clone(), definition.base.clone());
    let mut sources = TopicSources::new(around.client.clone());
    let parts = Parts {
        dataflow,
        functions: Functions::from(plan.functions.task_context()),
        time: plan.functions.time().clone(),
        lookups: &lookups,
        sources: &mut sources,
        sinks: &mut TopicSinks,
        publisher: Box::new(publisher),
        store,
        clock: around.tasks.clock().clone(),
        tasks: around.tasks.clone(),
        settings,
    };
    Job::open(parts)
        .await
        .map_err(|why| failed(failure::chain(&why)))
}

/// How a job that is not running did until it ended.
pub(super) async fn last_status(
    around: &Surroundings,
    definition: &Definition,
) -> Result<Status, JobError> {
    let store = open_store(around, definition).await?;
    let settings = around.settings.state;
    let read = around
        .tasks
        .blocking("read a job's state", move || State::open(store, settings));
    let opened = read.await?.map_err(|why| JobError::Open {
        name: definition.name.clone(),
        why: failure::chain(&why),
    })?;
    Ok(Status::of(&opened.progress))
}

async fn open_store(
    around: &Surroundings,
    definition: &Definition,
) -> Result<Arc<dyn Store>, JobError> {
    let folder = around.folder.join(&definition.name).join("state");
    let opened = around.tasks.blocking("open a job's state", move || {
        FjallStore::open(&folder, FjallSettings::default())
    });
    let opened = opened.await?.map_err(|why| JobError::Open {
        name: definition.name.clone(),
        why: failure::chain(&why),
    })?;
    Ok(Arc::new(opened))
}

/// The house's settings, where the script says nothing else.
fn settings(house: &Settings, plan: &Plan) -> Settings {
    let millis = |key: &str| {
        plan.dataflow
            .settings
            .get(key)
            .and_then(|text| text.parse().ok())
            .map(Duration::from_millis)
    };
    let mut settings = house.clone();
    if let Some(idle) = millis("table.exec.source.idle-timeout") {
        settings.idle_timeout = (!idle.is_zero()).then_some(idle);
    }
    if let Some(interval) = millis("execution.checkpointing.interval") {
        settings.sync = if interval.is_zero() {
            Sync::EveryEpoch
        } else {
            Sync::Every(interval)
        };
    }
    settings
}
