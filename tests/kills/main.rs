//! A broker that is killed again and again under real clients, an official one among them, loses
//! nothing it acknowledged, moves nothing, and invents nothing; nor does one that is stopped for
//! seconds, cut off from its clients, or finds its files damaged.
//!
//! `MILLSTREAM_KILLS` says how often it is killed in each mode (25 by default), `MILLSTREAM_SEED`
//! chooses the moments. How it is done and judged is the business of `chaos`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use chaos::{Clients, Flush, Nemesis, Plan, run};

/// One run at a time: the figures they print are of a machine that does nothing else.
static ALONE: Mutex<()> = Mutex::new(());

/// Blows of every other kind.
const BLOWS: u64 = 5;

#[test]
fn no_acknowledged_message_is_lost_moved_or_invented_by_kills_in_async_mode() {
    under_kills(Flush::Async);
}

#[test]
fn no_acknowledged_message_is_lost_moved_or_invented_by_kills_in_sync_mode() {
    under_kills(Flush::Sync);
}

#[test]
fn a_process_that_stops_for_seconds_keeps_its_clients_and_their_messages() {
    under(Nemesis::Stop, Flush::Async, Clients::Both, BLOWS);
}

#[test]
fn connections_that_are_cut_held_up_or_closed_one_way_cost_no_message() {
    under(Nemesis::Cut, Flush::Async, Clients::Both, BLOWS);
}

#[test]
fn damaged_files_are_refused_or_repaired_and_no_wrong_message_is_given_out() {
    under(Nemesis::Damage, Flush::Async, Clients::Rust, BLOWS);
}

fn under_kills(flush: Flush) {
    let kills = number("MILLSTREAM_KILLS").unwrap_or(25);
    under(Nemesis::Kill, flush, Clients::Both, kills);
}

fn under(nemesis: Nemesis, flush: Flush, clients: Clients, blows: u64) {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let seed = number("MILLSTREAM_SEED").unwrap_or_else(any_seed);
    let program = PathBuf::from(env!("CARGO_BIN_EXE_millstream"));
    let mut plan = Plan::kills(program, flush, clients, blows, seed);
    plan.nemeses = vec![nemesis];
    let report = run(&plan).unwrap_or_else(|why| panic!("MILLSTREAM_SEED={seed}: {why:#}"));
    assert!(report.is_clean(), "MILLSTREAM_SEED={seed}: {report}");
    assert_eq!(report.cycles(), blows, "every blow was dealt");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn any_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64 % 1_000_000)
}
