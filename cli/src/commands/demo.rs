//! `millstream demo`: the main job on real flights, proven equal to a batch query.
//!
//! ```text
//! flights-20k.csv ─ file connector ─► flights ─ SQL job ─► airport_delays ─ connector ─► files | PostgreSQL
//!        └────────────── the same query as one batch ──────────────┴── equal?
//! ```
//! Everything runs in this process over memory: no port is opened, and nothing has to be there.

mod input;
mod proof;
mod report;
mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use connect_runtime::{ConnectorFile, Flat, State};
use engine::JobState;
use runtime::Net;
use settings::Layers;

use crate::arguments::Demo;
use crate::commands::up;
use crate::failure::{Exit, Failure};
use crate::house::{House, Inner, Machine, Roles};
use crate::progress::Progress;
use crate::stop_signal::told_to_stop;

const JOB: &str = "airport-delays";
const SOURCE: &str = "flights";
const SINK: &str = "airport-delays";
/// Another name, so that one data folder can feed files and a table.
const POSTGRES_SINK: &str = "airport-delays-postgres";
const INPUT_TOPIC: &str = "flights";
const OUTPUT_TOPIC: &str = "airport_delays";
/// How often the job is asked how far it is.
const LOOK: Duration = Duration::from_millis(20);
/// Longest the whole run may take, what it waits for PostgreSQL aside, before something is
/// taken for stuck.
const PATIENCE: Duration = Duration::from_secs(300);

pub fn run(demo: &Demo) -> Result<()> {
    let temporary = std::env::temp_dir().join(format!("millstream-demo-{}", std::process::id()));
    let data = demo.data.clone().unwrap_or_else(|| temporary.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let patience = PATIENCE.saturating_add(demo.retry);
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = whole(demo, &data) => outcome,
            () = tokio::time::sleep(patience) => {
                Err(anyhow!("nothing ended within {} s", patience.as_secs()))
            }
            stopped = told_to_stop() => stopped.and_then(|()| bail!("the demo was interrupted")),
        }
    });
    if demo.data.is_none() {
        std::fs::remove_dir_all(&temporary).ok();
    }
    outcome
}

async fn whole(demo: &Demo, data: &Path) -> Result<()> {
    let input = match &demo.input {
        Some(folder) => input::Input::at(folder)?,
        None => input::Input::unpack(&data.join("input"))?,
    };
    let started = Instant::now();
    let house = start(data).await?;
    let inner = house.inner.clone().context("streams and connect run")?;
    report::stage(
        "house",
        &format!(
            "broker, streams and connectors in one process, ready in {} ms",
            started.elapsed().as_millis()
        ),
    );

    let table = demo.postgres.as_deref().map(table::Table::at);
    let sink_name = if table.is_some() { POSTGRES_SINK } else { SINK };
    if let Some(table) = &table
        && !inner
            .connectors
            .names()
            .iter()
            .any(|name| name == sink_name)
    {
        table.must_be_new().await?;
    }
    let job = start_job(&inner, &input).await?;
    let source_started = Instant::now();
    connect(&inner, SOURCE, source(&input)?).await?;
    connect(&inner, sink_name, sink(demo, &input, data)?).await?;
    finish_source(&inner).await?;
    let flights = proof::count(&inner.client, INPUT_TOPIC).await?;
    report::rate(
        "source connector",
        "flights-20k.csv -> topic flights",
        flights,
        source_started.elapsed(),
    );

    finish_job(&inner, &job, flights).await?;
    let detail = inner.jobs.describe(&job)?;
    let results = proof::count(&inner.client, OUTPUT_TOPIC).await?;
    report::rate(
        "SQL job",
        &format!("{} flights -> {results} airport-hours", detail.info.rows_in),
        detail.info.rows_in,
        source_started.elapsed(),
    );
    let latency = proof::latency(&inner.client, INPUT_TOPIC, OUTPUT_TOPIC).await?;
    report::latency(&latency);

    drain_sink(&inner, sink_name, results).await?;
    report::rate(
        "sink connector",
        match &table {
            None => "topic airport_delays -> files",
            Some(_) => "topic airport_delays -> PostgreSQL",
        },
        results,
        source_started.elapsed(),
    );

    let streamed = proof::streamed(&inner.client, &input).await?;
    report::worst(&streamed)?;
    let batch_started = Instant::now();
    let batch = proof::batch(&input).await?;
    let equal = proof::compare("topic", &streamed, &batch)?;
    report::stage(
        "proof",
        &format!(
            "the same query as one DataFusion batch ({} ms): {equal} rows, all equal",
            batch_started.elapsed().as_millis()
        ),
    );
    if let Some(table) = &table {
        let written = proof::rows(&input, &table.rows(demo.retry).await?)?;
        let equal = proof::compare("table", &written, &batch)?;
        report::stage(
            "proof",
            &format!("table {OUTPUT_TOPIC} read back from PostgreSQL: {equal} rows, all equal"),
        );
    }
    house.stop().await
}

async fn start(data: &Path) -> Result<House> {
    let flags = [
        "topics.auto-create=true",
        "groups.auto-create=true",
        "store.segment-bytes=64MiB",
    ]
    .map(str::to_owned)
    .to_vec();
    let settings = up::settings(&Layers {
        flags,
        ..Layers::default()
    })?;
    std::fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
    let machine = Machine {
        net: Net::in_memory(),
        ..Machine::real()
    };
    House::start(machine, &settings, data, Roles::ALL).await
}

/// Submits the job, or finds the one that an earlier run of the demo left in the same folder.
async fn start_job(inner: &Inner, input: &input::Input) -> Result<String> {
    let jobs = inner.jobs.list();
    if let Some(job) = jobs.into_iter().find(|job| job.name == JOB) {
        if matches!(job.state, JobState::Stopped | JobState::Failed) {
            inner.jobs.resume(JOB).await?;
        }
        return Ok(job.name);
    }
    let submitted = inner
        .jobs
        .submit(JOB, &input.script, input.folder.clone())
        .await;
    let info = submitted
        .map_err(|why| Failure::new(Exit::Usage, "demo.job", "the job cannot start").why(why))?;
    Ok(info.name)
}

async fn connect(inner: &Inner, name: &str, config: Flat) -> Result<()> {
    inner
        .connectors
        .put(name, config, false, None)
        .await
        .map_err(|why| {
            Failure::new(
                Exit::Usage,
                "demo.connector",
                format!("connector {name} cannot start"),
            )
            .why(why)
        })?;
    Ok(())
}

fn source(input: &input::Input) -> Result<Flat> {
    let mut config = file(&input.source)?;
    config.insert(
        "path".to_owned(),
        input.folder.join("flights-20k.csv").display().to_string(),
    );
    Ok(config)
}

fn sink(demo: &Demo, input: &input::Input, data: &Path) -> Result<Flat> {
    let mut config = file(&input.sink)?;
    let Some(url) = &demo.postgres else {
        config.insert(
            "path".to_owned(),
            data.join("airport-delays").display().to_string(),
        );
        return Ok(config);
    };
    for key in ["path", "file.format"] {
        config.remove(key);
    }
    let retry = demo.retry.as_millis().to_string();
    // Inserted, not upserted: a row that came twice would stand there twice, and be seen.
    let options = [
        ("name", POSTGRES_SINK),
        ("connector.class", "postgres-sink"),
        ("url", url),
        ("table", OUTPUT_TOPIC),
        ("offsets.table", table::OFFSETS),
        ("mode", "insert"),
        ("table.create", "true"),
        ("flush.rows", "2000"),
        ("flush.interval", "200ms"),
        ("errors.retry.timeout", &retry),
        ("errors.retry.delay.max.ms", "1000"),
    ];
    config.extend(options.map(|(key, value)| (key.to_owned(), value.to_owned())));
    Ok(config)
}

fn file(text: &str) -> Result<Flat> {
    let parsed = ConnectorFile::parse(text).map_err(|findings| {
        anyhow!(
            "{}",
            findings
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        )
    })?;
    Ok(parsed.flat)
}

fn check_connector(inner: &Inner, name: &str) -> Result<()> {
    let status = inner
        .connectors
        .status(name)
        .map_err(|why| anyhow!("connector {name}: {why}"))?;
    let traces = status
        .tasks
        .iter()
        .filter(|task| task.state == State::Failed)
        .filter_map(|task| task.trace.clone())
        .chain(status.trace.clone());
    match traces.collect::<Vec<_>>() {
        none if none.is_empty() && status.state != State::Failed => Ok(()),
        why => bail!(
            Failure::new(
                Exit::Partial,
                "demo.connector",
                format!("connector {name} failed")
            )
            .why(why.join("\n"))
            .fix("go on where it was once the cause is gone, with  --data DIR")
        ),
    }
}

/// Waits until the source has read its file to the end.
async fn finish_source(inner: &Inner) -> Result<()> {
    let progress = Progress::of("source connector", None);
    let finished = inner.connectors.finished(SOURCE);
    tokio::pin!(finished);
    loop {
        tokio::select! {
            _ = &mut finished => return check_connector(inner, SOURCE),
            () = tokio::time::sleep(LOOK) => {
                progress.at(proof::count(&inner.client, INPUT_TOPIC).await?);
            }
        }
    }
}

/// Waits until the job has read every flight, then lets the open windows leave.
async fn finish_job(inner: &Inner, job: &str, flights: u64) -> Result<()> {
    let progress = Progress::of("SQL job", Some(flights));
    loop {
        let info = inner.jobs.describe(job)?.info;
        if let Some(why) = info.failure {
            bail!(Failure::new(Exit::Partial, "demo.job", "the job failed").why(why));
        }
        // An earlier run of the demo may have come so far already.
        if info.state == JobState::Drained {
            return Ok(());
        }
        if info.rows_in >= flights {
            break;
        }
        progress.at(info.rows_in);
        tokio::time::sleep(LOOK).await;
    }
    match inner.jobs.stop(job, true).await?.state {
        JobState::Drained => Ok(()),
        state => bail!(
            Failure::new(Exit::Partial, "demo.job", "the job could not be drained")
                .why(format!("it is {state:?}"))
                .fix("go on where it was, with  --data DIR")
        ),
    }
}

/// Waits until the sink's group has committed all results.
async fn drain_sink(inner: &Inner, name: &str, results: u64) -> Result<()> {
    let progress = Progress::of("sink connector", Some(results));
    loop {
        check_connector(inner, name)?;
        let committed = proof::committed(&inner.connectors, name).await?;
        if committed >= results {
            return Ok(());
        }
        progress.at(committed);
        tokio::time::sleep(LOOK).await;
    }
}
