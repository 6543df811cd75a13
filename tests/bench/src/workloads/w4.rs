//! W4: a backlog that is not in memory is read while messages come and go at a fixed rate.

use std::fs::File;
use std::path::Path;

use anyhow::Result;
use rustix::fs::{Advice, fadvise};

use super::figures::SHARE;
use crate::clock::now;
use crate::contender::{Contender, Flush, Kind, Place};
use crate::limits::standstill;
use crate::load::{CaughtUp, Plan};
use crate::results::Measurement;
use crate::suite::{Cell, Options, Stand, Work};

pub const OF_COLD: &str = "backlog, share of the cold-read limit";
pub const OF_BASELINE: &str = "acknowledged: p99, during by before";
/// Of a program that does nothing but keep all cores full while the disk is read.
const STOOD_STILL: &str = "probe: all cores stood still, full and beside a cold read, %";
const STANDSTILL: &str = "probe: the longest standstill, ms";
const BODY: usize = 4 << 10;
const RATE: f64 = 10_000.0;
/// Longest time for filling and for reading, in seconds.
const PATIENCE: f64 = 900.0;

pub fn cells(_: &Options) -> Vec<Cell> {
    vec![Cell {
        name: "a cold backlog beside 10000 messages/s".into(),
        flush: Flush::Async,
        work: Work::Whole(Box::new(measure)),
    }]
}

fn measure(stand: &Stand, kind: &Kind, place: &Place) -> Result<Measurement> {
    let server = Contender::start(kind, place)?;
    let bytes = stand.options.store_gib * f64::from(1 << 30);
    let fill = Plan {
        topic: "backlog".into(),
        body: BODY,
        producers: 16,
        depth: 8,
        seconds: PATIENCE,
        messages: (bytes / BODY as f64) as u64,
        ..Plan::default()
    };
    let messages = stand.load(&server, &fill)?.produced.acknowledged;
    rustix::fs::sync();
    forget(&place.folder)?;
    let probe = stand.folder.join("probe");
    let cold = cold_read(&probe)?;
    let (_, standstill) = standstill::beside(|| cold_read(&probe))?;
    let steady = Plan {
        topic: "steady".into(),
        producers: 4,
        depth: 4_096,
        rate: Some(RATE),
        groups: 1,
        warm_up: 2.0,
        seconds: PATIENCE,
        backlog: Some("backlog".into()),
        backlog_messages: Some(messages),
        backlog_after: stand.options.seconds,
        ..Plan::default()
    };
    let report = stand.load(&server, &steady)?;
    let mut measurement = Measurement::default();
    if let Some(caught_up) = &report.caught_up {
        figures(&mut measurement, caught_up, cold);
    }
    measurement.set(STOOD_STILL, standstill.share * 100.0);
    measurement.set(STANDSTILL, standstill.longest);
    let share = report.produced.cost.own_share() * 100.0;
    measurement.set(SHARE, share);
    measurement.raw = Some(report);
    Ok(measurement)
}

fn figures(measurement: &mut Measurement, caught_up: &CaughtUp, cold: f64) {
    let seconds = caught_up.seconds.max(f64::MIN_POSITIVE);
    let rate = caught_up.backlog.received_bytes as f64 / 1e6 / seconds;
    measurement.set("backlog, MB/s", rate);
    measurement.set("cold-read limit, MB/s", cold);
    measurement.set(OF_COLD, rate / cold);
    let (before, during) = (&caught_up.produced_before, &caught_up.produced_during);
    measurement.set("acknowledged: p99 before, µs", before.p99);
    measurement.set("acknowledged: p99 during, µs", during.p99);
    measurement.set(OF_BASELINE, during.p99 / before.p99.max(f64::MIN_POSITIVE));
    let (before, during) = (&caught_up.received_before, &caught_up.received_during);
    measurement.set("end to end: p99 before, µs", before.p99);
    measurement.set("end to end: p99 during, µs", during.p99);
}

/// Lets the kernel drop the pages of every file below `folder`.
fn forget(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
        } else if path.is_file() {
            fadvise(File::open(&path)?, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// MB/s of reading a file that is not in memory, in order.
fn cold_read(path: &Path) -> Result<f64> {
    use std::io::Read;

    let mut file = File::open(path)?;
    fadvise(&file, 0, None, Advice::DontNeed)?;
    let mut chunk = vec![0; 1 << 20];
    let (begun, mut bytes) = (now(), 0);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(bytes as f64 * 1e3 / (now() - begun) as f64),
            count => bytes += count,
        }
    }
}
