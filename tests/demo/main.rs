//! The main job, end to end: equal to a batch, and exactly once through `kill -9`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

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

/// Rows in the files that the sink wrote, and how many of them are different.
fn rows(folder: &Path) -> (usize, usize) {
    let mut lines = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the sink's folder is there") {
            let path = entry.expect("an entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "jsonl") {
                let text = std::fs::read_to_string(path).expect("a file is readable");
                lines.extend(text.lines().map(str::to_owned));
            }
        }
    }
    let all = lines.len();
    lines.sort();
    lines.dedup();
    (all, lines.len())
}

#[test]
fn the_demo_ends_with_the_batchs_rows_in_topic_and_files() {
    let data = tempfile::tempdir().expect("a temporary folder");
    check(&demo(data.path()).output().expect("the demo starts"));
    assert_eq!(rows(&data.path().join("airport-delays")), (17_473, 17_473));
}

#[test]
fn killed_three_times_in_the_middle_each_result_is_there_once() {
    let data = tempfile::tempdir().expect("a temporary folder");
    // Early enough to meet source, job and sink at work, whatever the machine's speed.
    for milliseconds in [400, 700, 1_000] {
        let started = demo(data.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut killed = started.expect("the demo starts");
        std::thread::sleep(Duration::from_millis(milliseconds));
        killed.kill().expect("it can be killed");
        killed.wait().expect("it is gone");
    }
    check(&demo(data.path()).output().expect("the demo starts"));
    assert_eq!(rows(&data.path().join("airport-delays")), (17_473, 17_473));
}
