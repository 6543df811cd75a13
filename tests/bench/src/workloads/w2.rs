//! W2: sends in batches.

use super::figures;
use crate::contender::Flush;
use crate::load::{Plan, Subscription};
use crate::suite::{Cell, Options, Work};

/// Messages under way at once, about.
const UNDER_WAY: u32 = 4_096;
const PRODUCERS: u32 = 4;
/// A topic whose batches are stored as one record: RocketMQ's best.
const BATCH_QUEUES: &str = "+queue.type=BatchCQ";

pub fn cells(options: &Options) -> Vec<Cell> {
    let mut all = Vec::new();
    for (name, body) in [("100 B", 100), ("1 KiB", 1 << 10)] {
        for batch in [16, 32, 64, 256] {
            let headline = (body == 100 && batch != 256) || batch == 64;
            if options.all || headline {
                all.push(cell(
                    format!("{batch} × {name}"),
                    batch,
                    body,
                    None,
                    options,
                ));
            }
        }
    }
    let name = "64 × 100 B, the peer with BatchCQ".to_owned();
    all.push(cell(name, 64, 100, Some(BATCH_QUEUES), options));
    all
}

fn cell(
    name: String,
    batch: u32,
    body: usize,
    attributes: Option<&str>,
    options: &Options,
) -> Cell {
    let plan = Plan {
        body,
        batch,
        producers: PRODUCERS,
        depth: (UNDER_WAY / PRODUCERS / batch).max(1),
        attributes: attributes.map(str::to_owned),
        seconds: options.seconds,
        drain: vec![Subscription::All],
        ..Plan::default()
    };
    Cell {
        name,
        flush: Flush::Async,
        work: Work::Load(Box::new(plan), figures::produce),
    }
}
