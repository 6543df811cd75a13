//! W11: what a server holds and uses, idle and under load.

use std::time::Duration;

use anyhow::Result;

use super::figures;
use crate::contender::{Contender, Flush, Kind, Place};
use crate::load::{Plan, serving};
use crate::results::Measurement;
use crate::suite::{Cell, Options, Stand, Work};
use crate::usage::Usage;

pub const START: &str = "start to first accepted send, s";
pub const IDLE: &str = "resident when idle, MB";
/// What is set up behind open doors has settled by then.
const SETTLING: Duration = Duration::from_secs(5);
const IDLING: Duration = Duration::from_secs(10);

pub fn cells(_: &Options) -> Vec<Cell> {
    vec![Cell {
        name: "idle, then 1 KiB pipelined".into(),
        flush: Flush::Async,
        work: Work::Whole(Box::new(measure)),
    }]
}

fn measure(stand: &Stand, kind: &Kind, place: &Place) -> Result<Measurement> {
    let mut measurement = Measurement::default();
    measurement.set("program, MB", kind.program_bytes()? as f64 / 1e6);

    let watch = serving::Watch::begin();
    let server = Contender::start(kind, place)?;
    let (send, _) = watch.until_served(&place.broker(), "first")?;
    measurement.set(START, send);

    std::thread::sleep(SETTLING);
    let before = Usage::of(server.broker.id())?;
    std::thread::sleep(IDLING);
    let after = Usage::of(server.broker.id())?;
    let busy = after.since(&before).cpu_seconds / IDLING.as_secs_f64();
    measurement.set("CPU when idle, % of a core", busy * 100.0);
    measurement.set(IDLE, after.resident_bytes as f64 / 1e6);
    measurement.set(
        "idle without pages of files, MB",
        after.own_bytes as f64 / 1e6,
    );

    let plan = Plan {
        topic: "steady".into(),
        producers: 16,
        depth: 64,
        seconds: stand.options.seconds,
        messages: (stand.options.store_gib * 1e6 / 1.3) as u64,
        ..Plan::default()
    };
    let report = stand.load(&server, &plan)?;
    if let Some(broker) = &report.produced.cost.broker {
        measurement.set(figures::RESIDENT, broker.resident_bytes as f64 / 1e6);
        let own = "under load without pages of files, MB";
        measurement.set(own, broker.own_bytes as f64 / 1e6);
    }
    Ok(measurement)
}
