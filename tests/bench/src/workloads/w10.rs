//! W10: how soon a broker serves again, after `kill -9` and after a clean stop.

use anyhow::Result;

use crate::contender::{Contender, Flush, Kind, Place};
use crate::load::{Plan, serving};
use crate::results::Measurement;
use crate::suite::{Cell, Options, Stand, Work};

pub const SEND: &str = "first accepted send, s";
pub const DELIVERY: &str = "first delivery, s";
const BODY: usize = 4 << 10;
/// Longest time for filling the log, in seconds.
const FILLING: f64 = 900.0;

pub fn cells(_: &Options) -> Vec<Cell> {
    let cell = |name: &str, end: fn(&mut Contender) -> Result<()>| Cell {
        name: name.into(),
        flush: Flush::Async,
        work: Work::Whole(Box::new(move |stand, kind, place| {
            restart(stand, kind, place, end)
        })),
    };
    vec![
        cell("after kill -9", |server| server.broker.kill()),
        cell("after a clean stop", |server| {
            server.broker.terminate().map(drop)
        }),
    ]
}

fn restart(
    stand: &Stand,
    kind: &Kind,
    place: &Place,
    end: fn(&mut Contender) -> Result<()>,
) -> Result<Measurement> {
    let mut server = Contender::start(kind, place)?;
    let log = stand.options.store_gib * f64::from(1 << 30);
    let plan = Plan {
        topic: "log".into(),
        body: BODY,
        producers: 16,
        depth: 16,
        seconds: FILLING,
        messages: (log / BODY as f64) as u64,
        ..Plan::default()
    };
    let filled = stand.load(&server, &plan)?;
    end(&mut server)?;
    let watch = serving::Watch::begin();
    server.start_again()?;
    let (send, delivery) = watch.until_served(&place.broker(), "log")?;
    let mut measurement = Measurement::default();
    measurement.set(SEND, send);
    measurement.set(DELIVERY, delivery);
    let bytes = filled.produced.acknowledged as f64 * BODY as f64;
    measurement.set("log, GB", bytes / 1e9);
    Ok(measurement)
}
