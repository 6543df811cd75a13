//! W5: the same load over one queue and over up to a million.

use anyhow::{Result, ensure};

use crate::contender::{Contender, Flush, Kind, Place};
use crate::load::{LoadReport, Plan, Spread, serving};
use crate::results::Measurement;
use crate::suite::{Cell, Options, Stand, Work};
use crate::usage::Usage;

pub const KEPT: &str = "throughput kept, % of one queue's";
pub const BYTES: &str = "memory for a queue, bytes";
pub const RESTART: &str = "first accepted send after kill -9, s";
/// Below so many queues, what else grows outweighs them.
const TOLD_FROM: u32 = 10_000;
/// Queues of one topic, at most.
const QUEUES: u32 = 1_000;

pub fn cells(options: &Options) -> Vec<Cell> {
    let mut all = Vec::new();
    for spread in [Spread::Even, Spread::Zipf] {
        for queues in [100, 10_000, 100_000, 1_000_000] {
            let headline = queues <= 100_000 && spread == Spread::Even;
            if options.all || headline {
                all.push(cell(queues, spread));
            }
        }
    }
    all
}

fn cell(queues: u32, spread: Spread) -> Cell {
    let how = match spread {
        Spread::Even => "evenly",
        Spread::Zipf => "by Zipf",
    };
    Cell {
        name: format!("{queues} queues, {how}"),
        flush: Flush::Async,
        work: Work::Whole(Box::new(move |stand, kind, place| {
            measure(stand, kind, place, queues, spread)
        })),
    }
}

fn measure(
    stand: &Stand,
    kind: &Kind,
    place: &Place,
    queues: u32,
    spread: Spread,
) -> Result<Measurement> {
    let mut server = Contender::start(kind, place)?;
    let plan = Plan {
        producers: 16,
        depth: 64,
        seconds: stand.options.seconds,
        messages: (stand.options.store_gib * 4e5) as u64,
        ..Plan::default()
    };
    let one = Plan {
        topic: "one".into(),
        queues: 1,
        ..plan.clone()
    };
    let one = rate(&stand.load(&server, &one)?);
    let before = Usage::of(server.broker.id())?;
    let many = Plan {
        topic: "many".into(),
        topics: queues.div_ceil(QUEUES),
        queues: queues.min(QUEUES),
        spread,
        // At least one message for each queue, or they are not there.
        messages: plan.messages.max(u64::from(queues)),
        ..plan
    };
    let report = stand.load(&server, &many)?;
    let after = Usage::of(server.broker.id())?;
    ensure!(one > 0.0, "nothing was accepted for one queue");
    let mut measurement = Measurement::default();
    measurement.set("messages/s", rate(&report));
    measurement.set(KEPT, rate(&report) * 100.0 / one);
    let grown = after.own_bytes as f64 - before.own_bytes as f64;
    if queues >= TOLD_FROM {
        measurement.set(BYTES, grown.max(0.0) / f64::from(queues));
    }
    measurement.set("open files", after.open_files as f64);
    measurement.raw = Some(report);

    server.broker.kill()?;
    let watch = serving::Watch::begin();
    server.start_again()?;
    let (send, _) = watch.until_served(&place.broker(), "one")?;
    measurement.set(RESTART, send);
    Ok(measurement)
}

fn rate(report: &LoadReport) -> f64 {
    report.produced.messages_a_second
}
