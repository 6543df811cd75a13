//! A connector's life through the commands: tried out, applied, looked at, held, let go on,
//! deleted, and applied again.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "support/addresses.rs"]
mod addresses;
#[path = "support/up.rs"]
mod up;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use up::Up;

/// How long a state may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A house, and a folder with a connector file that follows `lines.jsonl`.
struct Place {
    folder: tempfile::TempDir,
    house: Up,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let house = Up::start(&folder.path().join("data"), &[]);
        let place = Place { folder, house };
        place.write(
            "lines.toml",
            "name = \"lines\"\nconnector.class = \"file-source\"\ntopics = \"lines\"\n\
             path = \"lines.jsonl\"\npoll.interval = \"50ms\"\n",
        );
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(name))
            .expect("the file opens");
        file.write_all(text.as_bytes()).expect("it takes the text");
    }

    /// A command that ended well, told by its words without `connector`.
    fn run(&self, words: &[&str]) -> Output {
        let mut command = self.house.command(&[&["connector"], words].concat());
        let output = command
            .current_dir(Path::new("/"))
            .output()
            .expect("the command runs");
        assert!(output.status.success(), "{words:?}: {output:?}");
        output
    }

    fn json(&self, words: &[&str]) -> serde_json::Value {
        let output = self.run(&[words, &["-o", "json"]].concat());
        serde_json::from_slice(&output.stdout).expect("JSON and nothing else")
    }

    /// Everything the topic holds, sorted, for queues keep no order among each other.
    fn records(&self) -> String {
        let lines = self.house.ask(&["consume", "lines", "--drain"]);
        let mut lines: Vec<_> = lines.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    #[track_caller]
    fn wait_until(&self, what: &str, holds: impl Fn(&Place) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "it never happened that {what}");
        }
    }

    #[track_caller]
    fn wait_for_state(&self, state: &str) {
        self.wait_until(state, |place| {
            let status = &place.json(&["describe", "lines"])["status"];
            status["connector"]["state"] == state && status["tasks"][0]["state"] == state
        });
    }
}

/// What a command said, which prints no data.
#[track_caller]
fn said(output: Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn a_dry_run_tells_what_it_thinks_and_changes_nothing() {
    let place = Place::new();
    let file = place.path("lines.toml").display().to_string();
    let told = said(place.run(&["apply", &file, "--dry-run"]));
    assert!(told.contains("warning: path: "), "{told}");
    assert!(told.contains("it is read as soon as it is there"), "{told}");
    assert!(
        told.contains("connector lines is valid; nothing was changed"),
        "{told}"
    );
    assert_eq!(place.json(&["list"]), serde_json::json!([]));
    place.house.stop();
}

#[test]
fn a_connector_is_held_goes_on_and_is_deleted_without_losing_its_place() {
    let place = Place::new();
    let file = place.path("lines.toml").display().to_string();
    place.write("lines.jsonl", "{\"id\":1}\n");
    let told = said(place.run(&["apply", &file]));
    assert!(told.starts_with("connector lines is applied"), "{told}");
    place.wait_for_state("RUNNING");
    place.wait_until("the first record arrives", |place| {
        place.records() == "{\"id\":1}"
    });

    let table = String::from_utf8(place.run(&["list"]).stdout).expect("text");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|row| row.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows,
        [
            vec!["CONNECTOR", "TYPE", "STATE", "TASKS", "WHY"],
            vec!["lines", "source", "RUNNING", "RUNNING"],
        ]
    );
    let listed = place.json(&["list"]);
    assert_eq!(listed[0]["name"], "lines");
    assert_eq!(listed[0]["connector"]["state"], "RUNNING");
    let described = place.json(&["describe", "lines"]);
    assert_eq!(described["config"]["topics"], "lines");
    let at = place.path("lines.jsonl").display().to_string();
    assert_eq!(described["config"]["path"], at.as_str());
    assert_eq!(
        described["offsets"][0]["partition"]["filename"],
        at.as_str()
    );
    let lines = String::from_utf8(place.run(&["describe", "lines"]).stdout).expect("text");
    for (name, value) in [
        ("state", "RUNNING"),
        ("task 0", "RUNNING"),
        ("path", at.as_str()),
    ] {
        let line = lines.lines().find(|line| line.starts_with(name));
        assert!(line.is_some_and(|line| line.ends_with(value)), "{lines}");
    }

    assert_eq!(
        said(place.run(&["pause", "lines"])),
        "connector lines pauses\n"
    );
    place.wait_for_state("PAUSED");
    place.write("lines.jsonl", "{\"id\":2}\n");
    assert_eq!(place.records(), "{\"id\":1}");
    assert_eq!(
        said(place.run(&["resume", "lines"])),
        "connector lines goes on\n"
    );
    place.wait_for_state("RUNNING");
    place.wait_until("the second record arrives", |place| {
        place.records() == "{\"id\":1}\n{\"id\":2}"
    });

    let told = said(place.run(&["delete", "lines", "--yes"]));
    assert!(told.starts_with("connector lines is deleted"), "{told}");
    assert_eq!(place.json(&["list"]), serde_json::json!([]));
    place.write("lines.jsonl", "{\"id\":3}\n");
    place.run(&["apply", &file]);
    place.wait_until("only what is new arrives", |place| {
        place.records() == "{\"id\":1}\n{\"id\":2}\n{\"id\":3}"
    });
    place.house.stop();
}
