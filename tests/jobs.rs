//! A job's life through the commands: stopped, resumed, drained, remembered, deleted.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "support/addresses.rs"]
mod addresses;
#[path = "support/up.rs"]
mod up;

use up::Up;

const JOB: &str = "airport-delays";

fn ask(house: &Up, arguments: &[&str]) -> String {
    house.ask(&[&["--output", "json"], arguments].concat())
}

#[track_caller]
fn refused(house: &Up, arguments: &[&str], code: &str) {
    let output = house.command(arguments).output().expect("it runs");
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} is done");
    assert!(why.contains(code), "{why}");
}

/// All flights are read; once drained, all results are written.
#[track_caller]
fn check(job: &str, state: &str) {
    assert!(job.contains(&format!("\"state\": \"{state}\"")), "{job}");
    assert!(job.contains("\"rows_in\": 20000"), "{job}");
    if state == "drained" {
        assert!(job.contains("\"rows_out\": 17473"), "{job}");
    }
}

fn run_and_read_all(house: &Up, script: &str) {
    house.ask(&["run", script]);
    while !ask(house, &["job", "list"]).contains("\"rows_in\": 20000") {
        std::thread::yield_now();
    }
}

#[test]
fn a_job_pauses_and_goes_on_until_it_is_drained_for_good() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let flights = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/flights");
    let script = format!("{flights}/airport-delays.sql");
    let house = Up::start(data.path(), &[]);
    house.ask(&[
        "connector",
        "apply",
        &format!("{flights}/flights-source.toml"),
    ]);
    run_and_read_all(&house, &script);
    check(&ask(&house, &["job", "stop", JOB]), "stopped");
    refused(&house, &["job", "stop", JOB, "--drain"], "job.stopped");
    check(&ask(&house, &["job", "resume", JOB]), "running");
    check(&ask(&house, &["job", "stop", JOB, "--drain"]), "drained");
    refused(&house, &["job", "resume", JOB], "job.drained");
    house.stop();

    let house = Up::start(data.path(), &[]);
    check(&ask(&house, &["job", "list"]), "drained");
    refused(&house, &["job", "resume", JOB], "job.drained");
    house.ask(&["job", "delete", JOB, "--yes"]);
    run_and_read_all(&house, &script);
    check(&ask(&house, &["job", "stop", JOB]), "stopped");
    house.stop();
}
