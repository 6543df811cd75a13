//! The main job, end to end: equal to a batch, and exactly once through `kill -9`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../support/addresses.rs"]
mod addresses;
mod postgres;
mod progress;
#[path = "../support/up.rs"]
mod up;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use progress::Progress;
use up::Up;

/// Rows of the batch.
const RESULTS: usize = 17_473;
/// Between two looks at a demo that runs.
const LOOK: Duration = Duration::from_millis(1);

fn demo(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
    command.args(["demo", "--data"]).arg(data);
    command
}

fn check(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{failed}");
    assert!(said.contains("17473 rows, all equal"), "{said}\n{failed}");
}

fn start(mut demo: Command) -> Child {
    demo.stdout(Stdio::null()).spawn().expect("the demo starts")
}

/// SIGKILL to a demo in the middle: it must not have ended by itself.
fn kill(mut demo: Child, moment: &str) {
    let ended = demo.try_wait().expect("it can be asked");
    assert!(
        ended.is_none(),
        "{moment}: ended before the kill, {ended:?}"
    );
    demo.kill().expect("it can be killed");
    demo.wait().expect("it is gone");
}

/// Runs a demo until `there`, asked after every growth of the log since the start, and kills it.
fn kill_when(demo: Command, data: &Path, moment: &str, there: impl Fn(&Progress) -> bool) {
    let mut progress = Progress::of(data);
    progress.look();
    let mut running = start(demo);
    let mut grown = false;
    loop {
        grown |= progress.look();
        let ended = running.try_wait().expect("it can be asked").is_some();
        if ended || grown && there(&progress) {
            break;
        }
        std::thread::sleep(LOOK);
    }
    kill(running, moment);
    let (flights, results) = (progress.flights, progress.results);
    println!("killed with {moment}: {flights} flights, {results} results");
}

/// Each result, once however often it stands there, and how often that is in all.
fn distinct(mut lines: Vec<String>) -> (usize, usize) {
    let all = lines.len();
    lines.sort();
    lines.dedup();
    (lines.len(), all)
}

fn in_files(data: &Path) -> (usize, usize) {
    let files = Progress::of(data).files();
    let texts = files
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("a file is readable"));
    distinct(
        texts
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect(),
    )
}

/// What a consumer gets, from a house over the demo's data.
fn in_topic(data: &Path) -> (usize, usize) {
    let house = Up::start(data, &["store.segment-bytes=64MiB"]);
    let messages = house.ask(&["consume", "airport_delays", "--drain"]);
    house.stop();
    distinct(messages.lines().map(str::to_owned).collect())
}

#[test]
fn the_demo_ends_with_the_batchs_rows_in_topic_and_files() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let output = demo(data.path()).output().expect("the demo starts");
    check(&output);
    let said = String::from_utf8_lossy(&output.stdout);
    for stage in ["source connector", "SQL job", "sink connector"] {
        let line = said.lines().find(|line| line.starts_with(stage));
        let line = line.unwrap_or_else(|| panic!("nothing is said of the {stage}: {said}"));
        assert!(line.ends_with(" rows/s"), "{line}");
    }
    let latency = said.lines().find(|line| line.starts_with("latency"));
    let latency = latency.unwrap_or_else(|| panic!("nothing is said of the latency: {said}"));
    assert!(
        latency.contains("p50 ") && latency.contains("p99 "),
        "{latency}"
    );
    // Between two empty lines: the headings and the ten worst hours.
    let table = said.split("\n\n").nth(1).unwrap_or_default();
    assert_eq!(table.lines().count(), 11, "{table}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "complaints");
    assert_eq!(in_files(data.path()), (RESULTS, RESULTS));
    assert_eq!(in_topic(data.path()), (RESULTS, RESULTS));
}

#[test]
fn killed_at_every_stage_in_the_middle_each_result_is_there_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path();
    kill_when(demo(data), data, "the source at work", |progress| {
        progress.flights > 0
    });
    kill_when(demo(data), data, "the job at work", |progress| {
        progress.results > 0
    });
    kill_when(demo(data), data, "the sink at work", |progress| {
        !progress.files().is_empty()
    });
    kill_when(demo(data), data, "the job drained", |progress| {
        progress.results >= RESULTS as u64
    });
    check(&demo(data).output().expect("the demo starts"));
    assert_eq!(in_files(data), (RESULTS, RESULTS));
    assert_eq!(in_topic(data), (RESULTS, RESULTS));
}
