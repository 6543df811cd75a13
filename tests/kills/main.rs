//! A broker that is killed again and again under real clients, an official one among them, loses
//! nothing it acknowledged, moves nothing, and invents nothing.
//!
//! `MILLSTREAM_KILLS` says how often in each mode (25 by default), `MILLSTREAM_SEED` chooses the
//! moments. How it is done and judged is the business of `chaos`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use chaos::{Clients, Flush, Plan, run};

/// One run at a time: the figures they print are of a machine that does nothing else.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn no_acknowledged_message_is_lost_moved_or_invented_by_kills_in_async_mode() {
    under_kills(Flush::Async);
}

#[test]
fn no_acknowledged_message_is_lost_moved_or_invented_by_kills_in_sync_mode() {
    under_kills(Flush::Sync);
}

fn under_kills(flush: Flush) {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let kills = number("MILLSTREAM_KILLS").unwrap_or(25);
    let seed = number("MILLSTREAM_SEED").unwrap_or_else(any_seed);
    let program = PathBuf::from(env!("CARGO_BIN_EXE_millstream"));
    let plan = Plan::kills(program, flush, Clients::Both, kills, seed);
    let report = run(&plan).unwrap_or_else(|why| panic!("MILLSTREAM_SEED={seed}: {why:#}"));
    assert!(report.is_clean(), "MILLSTREAM_SEED={seed}: {report}");
    assert_eq!(report.cycles(), kills, "every kill was made");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn any_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64 % 1_000_000)
}
