//! Bad input at every door: what a user sees, that nothing is lost by it, and that the process
//! lives. `table.md` is what these tests show to a reader; a change of it is a change of words.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../support/addresses.rs"]
mod addresses;
mod cli;
mod functions;
mod remoting;
mod table;
#[path = "../support/up.rs"]
mod up;

use table::Table;
use up::Up;

/// Sent before everything else, and looked for after each door.
const KEPT: &str = "here before the bad input";

fn is_kept(house: &Up) {
    assert_eq!(
        house.ask(&["consume", "kept", "--count", "1"]),
        format!("{KEPT}\n")
    );
}

#[test]
fn bad_input_is_answered_in_words_and_harms_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let house = Up::start(&folder.path().join("data"), &[]);
    house.ask(&["produce", "kept", KEPT]);
    let mut table = Table::new(folder.path());
    for door in [
        remoting::frames,
        remoting::headers,
        remoting::records,
        cli::sql,
        cli::modules,
        functions::at_work,
        cli::connectors,
        cli::rows,
        cli::settings,
        cli::arguments,
        cli::broker_conf,
    ] {
        door(&house, &mut table);
        is_kept(&house);
    }
    // The same process until the end, and a clean one.
    house.stop();
    table.compare();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let house = Up::start(&folder.path().join("data"), &[]);
    // More than a pipe holds, so that the writer meets its end.
    let large = "x".repeat(32 << 10);
    house.ask(&["topic", "create", "seen", "--queues", "1"]);
    for _ in 0..8 {
        house.ask(&["produce", "seen", &large]);
    }
    cli::closed_pipe(&house, &["consume", "seen"]);
    cli::closed_pipe(&house, &["consume", "seen", "-o", "json"]);
    cli::closed_pipe(&house, &["consume", "seen", "--group", "readers"]);
    house.stop();
}
