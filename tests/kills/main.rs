//! A broker that is killed again and again under an official producer loses nothing it
//! acknowledged, moves nothing, and invents nothing.
//!
//! `MILLSTREAM_KILLS` says how often (5 by default), `MILLSTREAM_SEED` chooses the moments.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../support/addresses.rs"]
mod addresses;
mod broker;
mod driver;
mod ledger;

use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use broker::Broker;
use driver::Driver;
use runtime::Rng;

/// One run at a time: the figures they print are of a machine that does nothing else.
static ALONE: Mutex<()> = Mutex::new(());

/// Messages after which a Java program has found its speed.
const WARM_UP: usize = 2_000;
/// Milliseconds between two kills.
const LIFE: Range<u64> = 50..1_500;
/// Milliseconds from a start to the kill that may meet it.
const STARTING: Range<u64> = 0..250;

#[test]
fn no_acknowledged_message_is_lost_moved_or_invented_by_kills_in_async_mode() {
    run("async");
}

#[test]
fn no_acknowledged_message_is_lost_moved_or_invented_by_kills_in_sync_mode() {
    run("sync");
}

fn run(flush: &str) {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let kills = number("MILLSTREAM_KILLS").unwrap_or(5);
    let seed = number("MILLSTREAM_SEED").unwrap_or_else(|| milliseconds() as u64);
    println!("{flush}: {kills} kills, MILLSTREAM_SEED={seed}");
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let path = data.path().to_owned();
    if let Err(why) = under_kills(flush, kills, &Rng::seeded(seed), &path) {
        let _kept = data.keep();
        panic!(
            "{flush}, MILLSTREAM_SEED={seed}, data in {}: {why:#}",
            path.display()
        );
    }
}

fn under_kills(flush: &str, kills: u64, rng: &Rng, data: &Path) -> Result<()> {
    let mut broker = Broker::start(data, flush)?;
    let mut driver = Driver::start(&broker.name_server)?;
    driver.acknowledgements(WARM_UP)?;
    let mut waits = Vec::new();
    let mut life = rng.range(LIFE);
    for kill in 1..=kills {
        std::thread::sleep(Duration::from_millis(life));
        broker.kill()?;
        let started = milliseconds();
        broker.start_again()?;
        if kill < kills && rng.chance(0.2) {
            // Recovery itself may be killed.
            life = rng.range(STARTING);
            println!("{flush}: kill {kill}: killed again {life} ms after the restart");
            continue;
        }
        let ready = broker.ready()? - started;
        let wait = driver.first_acknowledgement(started)? - started;
        println!(
            "{flush}: kill {kill}: ready after {ready} ms, first acknowledgement after {wait} ms"
        );
        waits.push(wait);
        life = rng.range(LIFE);
    }
    let tally = driver.finish()?.verify()?;
    broker.stop()?;
    waits.sort_unstable();
    if let (Some(median), Some(worst)) = (waits.get(waits.len() / 2), waits.last()) {
        println!(
            "{flush}: first acknowledgement after a restart: median {median} ms, worst {worst} ms"
        );
    }
    println!("{flush}: {tally}; {} segments", segments(data)?);
    Ok(())
}

/// Files of the log: kills meet the change from one to the next only if there are many.
fn segments(data: &Path) -> Result<usize> {
    Ok(std::fs::read_dir(data.join("store/commitlog"))?.count())
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Milliseconds since 1970, as the driver counts.
pub fn milliseconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
