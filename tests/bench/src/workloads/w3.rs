//! W3: an open loop at a fixed rate, read by long polls of one or four groups.

use super::figures;
use crate::contender::Flush;
use crate::load::{Client, Plan};
use crate::suite::{Cell, Options, Work};

const RATES: [u32; 4] = [1_000, 10_000, 50_000, 100_000];
const PRODUCERS: u32 = 4;
/// More than any healthy broker needs: what waits behind it keeps its intended time.
const DEPTH: u32 = 4_096;
/// What the Java client keeps up with on one core, and its threads.
const JAVA_RATE: u32 = 5_000;
const THREADS: u32 = 64;
/// Seconds at the start that are not measured.
const SETTLING: f64 = 2.0;

pub fn cells(options: &Options) -> Vec<Cell> {
    let mut all = Vec::new();
    for groups in [1, 4] {
        for rate in RATES {
            let headline = rate <= 50_000 && (groups == 1 || rate == 10_000);
            if options.all || headline {
                all.push(cell(rate, groups, options));
            }
        }
    }
    all.push(java_cell(options));
    all
}

fn cell(rate: u32, groups: u32, options: &Options) -> Cell {
    let plan = Plan {
        rate: Some(f64::from(rate)),
        producers: PRODUCERS,
        depth: DEPTH,
        groups,
        warm_up: SETTLING.min(options.seconds / 4.0),
        seconds: options.seconds,
        ..Plan::default()
    };
    Cell {
        name: format!("{rate} messages/s of 1 KiB, 1:{groups}, pulled"),
        flush: Flush::Async,
        work: Work::Load(Box::new(plan), figures::end_to_end),
    }
}

/// RocketMQ's own producer, and its push consumer beside it in the same process.
fn java_cell(options: &Options) -> Cell {
    let plan = Plan {
        client: Client::Java,
        rate: Some(f64::from(JAVA_RATE)),
        producers: 1,
        depth: THREADS,
        groups: 1,
        warm_up: SETTLING,
        seconds: options.seconds + SETTLING,
        ..Plan::default()
    };
    Cell {
        name: format!("{JAVA_RATE} messages/s of 1 KiB, 1:1, the Java client's push consumer"),
        flush: Flush::Async,
        work: Work::Load(Box::new(plan), figures::end_to_end),
    }
}
