//! W1: single sends by size, producers, mode and flush.

use super::figures;
use crate::contender::Flush;
use crate::load::{Client, Plan, Subscription};
use crate::suite::{Cell, Options, Work};

/// Most requests under way at once, over all producers, when they are pipelined.
const UNDER_WAY: u32 = 1_024;

const SIZES: [(&str, usize); 3] = [("100 B", 100), ("1 KiB", 1 << 10), ("64 KiB", 64 << 10)];
const PRODUCERS: [u32; 3] = [1, 16, 64];

/// Threads of the Java client that share its connection.
const THREADS: u32 = 64;
/// Seconds at the start of its run that are not measured: connections, and what a pause has cooled.
const SETTLING: f64 = 2.0;

/// Size, producers, whether they are pipelined, and flush.
type Parameters = ((&'static str, usize), u32, bool, Flush);

pub fn cells(options: &Options) -> Vec<Cell> {
    let all = if options.all { every() } else { headlines() };
    let own = all.into_iter().map(|parameters| cell(parameters, options));
    let java = [Flush::Async, Flush::Sync].map(|flush| java_cell(flush, options));
    own.chain(java).collect()
}

fn headlines() -> Vec<Parameters> {
    let [small, middle, large] = SIZES;
    vec![
        (middle, 16, true, Flush::Async),
        (middle, 64, false, Flush::Async),
        (middle, 1, false, Flush::Async),
        (small, 16, true, Flush::Async),
        (large, 16, true, Flush::Async),
        (middle, 1, false, Flush::Sync),
        (middle, 64, false, Flush::Sync),
        (middle, 16, true, Flush::Sync),
    ]
}

fn every() -> Vec<Parameters> {
    let mut all = Vec::new();
    for flush in [Flush::Async, Flush::Sync] {
        for size in SIZES {
            for producers in PRODUCERS {
                all.extend([false, true].map(|pipelined| (size, producers, pipelined, flush)));
            }
        }
    }
    all
}

fn cell((size, producers, pipelined, flush): Parameters, options: &Options) -> Cell {
    let mode = if pipelined { "pipelined" } else { "sync call" };
    let how = how(flush);
    let depth = if pipelined { UNDER_WAY / producers } else { 1 };
    let plan = Plan {
        body: size.1,
        producers,
        // 64 KiB each, 1,024 of them: that is the broker's memory, and not what is asked here.
        depth: if size.1 > 32 << 10 {
            depth.min(4)
        } else {
            depth
        },
        seconds: options.seconds,
        drain: vec![Subscription::All],
        ..Plan::default()
    };
    Cell {
        name: format!("{}, {producers} × {mode}, {how}", size.0),
        flush,
        work: Work::Load(Box::new(plan), figures::produce),
    }
}

/// RocketMQ's own client at both ends: its producer, and its push consumer after that.
fn java_cell(flush: Flush, options: &Options) -> Cell {
    let plan = Plan {
        client: Client::Java,
        producers: 1,
        depth: THREADS,
        seconds: options.seconds + SETTLING,
        warm_up: SETTLING,
        drain: vec![Subscription::All],
        ..Plan::default()
    };
    Cell {
        name: format!(
            "1 KiB, {THREADS} threads of the Java client, {}",
            how(flush)
        ),
        flush,
        work: Work::Load(Box::new(plan), figures::produce),
    }
}

fn how(flush: Flush) -> &'static str {
    match flush {
        Flush::Async => "async",
        Flush::Sync => "sync",
    }
}
