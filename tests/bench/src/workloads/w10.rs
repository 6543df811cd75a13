//! W10: how soon a broker serves again, after `kill -9` and after a clean stop.

use anyhow::Result;

use crate::contender::{Contender, Flush, Kind, Place};
use crate::load::{Plan, serving};
use crate::results::Measurement;
use crate::suite::{Cell, Options, Stand, Work};

pub const CELL: &str = "a full log";
pub const SEND: &str = "after kill -9: first accepted send, s";
const DELIVERY: &str = "after kill -9: first delivery, s";
const CLEAN_SEND: &str = "after a clean stop: first accepted send, s";
const CLEAN_DELIVERY: &str = "after a clean stop: first delivery, s";
const TOPIC: &str = "log";
const BODY: usize = 4 << 10;
/// Longest time for filling the log, in seconds.
const FILLING: f64 = 900.0;

pub fn cells(_: &Options) -> Vec<Cell> {
    vec![Cell {
        name: CELL.into(),
        flush: Flush::Async,
        work: Work::Whole(Box::new(measure)),
    }]
}

/// One log for both ends of the broker: it takes longer to fill it than all else.
fn measure(stand: &Stand, kind: &Kind, place: &Place) -> Result<Measurement> {
    let mut server = Contender::start(kind, place)?;
    let log = stand.options.store_gib * f64::from(1 << 30);
    let plan = Plan {
        topic: TOPIC.into(),
        body: BODY,
        producers: 16,
        depth: 16,
        seconds: FILLING,
        messages: (log / BODY as f64) as u64,
        ..Plan::default()
    };
    let filled = stand.load(&server, &plan)?;
    let mut measurement = Measurement::default();
    let bytes = filled.produced.acknowledged as f64 * BODY as f64;
    measurement.set("log, GB", bytes / 1e9);

    server.broker.kill()?;
    let (send, delivery) = serve_again(&mut server)?;
    measurement.set(SEND, send);
    measurement.set(DELIVERY, delivery);

    server.broker.terminate()?;
    let (send, delivery) = serve_again(&mut server)?;
    measurement.set(CLEAN_SEND, send);
    measurement.set(CLEAN_DELIVERY, delivery);
    Ok(measurement)
}

/// Seconds from the start to the first accepted send and to the first delivery.
fn serve_again(server: &mut Contender) -> Result<(f64, f64)> {
    let watch = serving::Watch::begin();
    server.start_again()?;
    watch.until_served(&server.place.broker(), TOPIC)
}
