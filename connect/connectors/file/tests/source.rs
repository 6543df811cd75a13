//! Files being read: formats, broken rows, growing, rotated and cut files, and going on.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use connect_sdk::conformance::{
    description_is_consistent, other_side_is_refused, rows_of, source_resumes_anywhere,
    source_survives_cancelled_polls,
};
use connect_sdk::{
    Connector, Context, Error, Options, Positions, Source, SourceBatch, TaskCount, TaskOptions,
};
use connector_file::{FileSink, FileSource};
use runtime::{Clock, Net, RealDisk, Rng, Tasks};
use serde_json::json;

fn context() -> Context {
    Context {
        connector: "test".into(),
        task: 0,
        generation: 1,
        disk: RealDisk::new(),
        clock: Clock::real(),
        net: Net::in_memory(),
        rng: Rng::seeded(1),
        tasks: Tasks::new(Clock::real()),
    }
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), text).expect("the file is written");
        self.path(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(self.path(name))
            .expect("the file is there");
        file.write_all(text.as_bytes())
            .expect("the file is written");
    }
}

fn options(path: &Path, pairs: &[(&str, &str)]) -> Options {
    let mut given: BTreeMap<String, String> = pairs
        .iter()
        .map(|(k, v)| ((*k).into(), (*v).into()))
        .collect();
    given.insert("path".into(), path.display().to_string());
    given.entry("poll.interval".into()).or_insert("1ms".into());
    let (options, findings) = Options::check(FileSource.describe().options, &given);
    assert_eq!(findings, vec![]);
    options
}

async fn open(options: &Options, from: Positions) -> Box<dyn Source> {
    let task = TaskOptions {
        options: options.clone(),
        part: String::new(),
    };
    FileSource
        .source(task, from, context())
        .await
        .expect("the source opens")
}

async fn poll(source: &mut Box<dyn Source>) -> SourceBatch {
    source
        .poll()
        .await
        .expect("the source reads on")
        .expect("the source has not ended")
}

async fn all(options: &Options) -> (Vec<String>, Vec<String>) {
    let mut source = open(options, Positions::new()).await;
    let (mut rows, mut poisoned) = (Vec::new(), Vec::new());
    while let Some(batch) = source.poll().await.expect("the source reads on") {
        rows.extend(rows_of(&batch.records));
        poisoned.extend(batch.poisoned.into_iter().map(|bad| {
            let place = bad.place.rsplit('/').next().unwrap_or_default().to_owned();
            format!(
                "{place}: {} <- {}",
                bad.why,
                String::from_utf8_lossy(&bad.original)
            )
        }));
    }
    (rows, poisoned)
}

const FLIGHTS: &str = "date,delay,origin\n2001-01-01 00:47:00,66,DTW\n2001-01-01 01:10:00,95,\"H,L\"\n2001-01-01 02:00:00,,SFO\n";

#[test]
fn the_descriptions_keep_the_rules() {
    description_is_consistent(&FileSource);
    description_is_consistent(&FileSink);
}

#[tokio::test]
async fn a_source_is_no_sink() {
    let task = TaskOptions {
        options: options(Path::new("x.csv"), &[]),
        part: String::new(),
    };
    other_side_is_refused(&FileSource, task, context()).await;
}

#[tokio::test]
async fn columns_are_found_by_the_header_and_have_the_schemas_types() {
    let place = Place::new();
    let path = place.write("flights.csv", FLIGHTS);
    let options = options(
        &path,
        &[
            ("mode", "bounded"),
            ("schema", "origin STRING, delay INT, date TIMESTAMP(3)"),
        ],
    );
    assert_eq!(
        all(&options).await.0,
        [
            r#"{"origin":"DTW","delay":66,"date":"2001-01-01T00:47:00"}"#,
            r#"{"origin":"H,L","delay":95,"date":"2001-01-01T01:10:00"}"#,
            r#"{"origin":"SFO","date":"2001-01-01T02:00:00"}"#,
        ]
    );
}

#[tokio::test]
async fn without_a_schema_every_column_is_text() {
    let place = Place::new();
    let path = place.write("flights.csv", FLIGHTS);
    let (rows, _) = all(&options(&path, &[("mode", "bounded")])).await;
    assert_eq!(rows[2], r#"{"date":"2001-01-01 02:00:00","origin":"SFO"}"#);
}

#[tokio::test]
async fn a_header_without_the_column_says_which_is_near() {
    let place = Place::new();
    let path = place.write("flights.csv", FLIGHTS);
    let options = options(&path, &[("mode", "bounded"), ("schema", "orign STRING")]);
    let mut source = open(&options, Positions::new()).await;
    let error = source.poll().await.expect_err("there is no such column");
    assert!(
        error.to_string().ends_with(
            "flights.csv: the header has no column \"orign\" (the header has \"origin\")"
        ),
        "{error}"
    );
    assert_eq!(error.hint(), Some("its columns are date, delay, origin"));
}

#[tokio::test]
async fn a_broken_row_comes_with_its_bytes_and_its_line() {
    let place = Place::new();
    let path = place.write("f.csv", "a,b\n1,x\ntwo,y\n3\n\n\"4\n4\",z\n5,v");
    let (rows, poisoned) = all(&options(
        &path,
        &[("mode", "bounded"), ("schema", "a INT, b STRING")],
    ))
    .await;
    assert_eq!(rows, [r#"{"a":1,"b":"x"}"#, r#"{"a":5,"b":"v"}"#]);
    assert_eq!(
        poisoned,
        [
            "f.csv line 3: field \"a\": \"two\" is not an INT <- two,y",
            "f.csv line 4: 1 fields, the table has 2 columns <- 3",
            "f.csv line 6: field \"a\": \"4\n4\" is not an INT <- \"4\n4\",z",
        ]
    );
}

#[tokio::test]
async fn json_lines_pass_as_they_are_or_become_columns() {
    let place = Place::new();
    let path = place.write("f.jsonl", "{\"a\": 1}\n\n{\"a\":}\r\n{\"a\":\"x\"}");
    let (rows, poisoned) = all(&options(&path, &[("mode", "bounded")])).await;
    assert_eq!(rows, ["{\"a\": 1}", "{\"a\":\"x\"}"]);
    assert_eq!(
        poisoned,
        ["f.jsonl line 3: expected value at line 1 column 6 <- {\"a\":}"]
    );
    let (rows, poisoned) = all(&options(&path, &[("mode", "bounded"), ("schema", "a INT")])).await;
    assert_eq!(rows, ["{\"a\":1}"]);
    assert_eq!(poisoned.len(), 2);
}

#[tokio::test]
async fn lines_pass_as_they_stand_even_empty_ones() {
    let place = Place::new();
    let path = place.write("f.csv", "one\n{no\n\n two \r\n\r\nlast");
    let options = options(&path, &[("mode", "bounded"), ("file.format", "lines")]);
    let found = source_resumes_anywhere(async |from| open(&options, from).await).await;
    assert_eq!(found, ["one", "{no", "", " two ", "", "last"]);
    source_survives_cancelled_polls(async |from| open(&options, from).await).await;
}

fn position(path: &Path, offset: serde_json::Value) -> Positions {
    let entry = json!([{ "partition": { "filename": path }, "offset": offset }]);
    serde_json::from_value(entry).expect("these are positions")
}

#[tokio::test]
async fn a_position_without_a_file_is_in_whatever_file_has_the_name() {
    let place = Place::new();
    let path = place.write("f.csv", "n\n1\n2\nx\n4\n");
    let options = options(&path, &[("mode", "bounded"), ("schema", "n INT")]);
    let rest = async |offset| {
        let mut source = open(&options, position(&path, offset)).await;
        poll(&mut source).await
    };
    let batch = rest(json!({ "position": 4 })).await;
    assert_eq!(rows_of(&batch.records), [r#"{"n":2}"#, r#"{"n":4}"#]);
    let broken = &batch.poisoned[0].place;
    assert!(broken.ends_with("f.csv line 4"), "{broken}");
    let batch = rest(json!({ "position": 0 })).await;
    assert_eq!(batch.records.len(), 3, "the header is no row");
}

#[tokio::test]
async fn the_positions_a_source_writes_may_be_set_by_hand() {
    let place = Place::new();
    let path = place.write("f.csv", FLIGHTS);
    let options = options(&path, &[("mode", "bounded")]);
    let batch = poll(&mut open(&options, Positions::new()).await).await;
    for (partition, offset) in batch.positions.iter() {
        let check = |offset| FileSource.check_position(&options, partition, offset);
        assert_eq!(check(Some(offset)), Ok(()));
        assert_eq!(check(None), Ok(()));
        let mut wrong = offset.clone();
        wrong.insert("position".into(), json!("far"));
        assert!(check(Some(&wrong)).is_err());
    }
}

#[tokio::test]
async fn a_restart_at_any_position_brings_exactly_the_rest() {
    let place = Place::new();
    let mut text = String::from("n,text\n");
    for n in 0..50 {
        text.push_str(&format!("{n},\"line {n}\nof two\"\n"));
    }
    let path = place.write("f.csv", text);
    for rows in ["1", "3", "7", "1000"] {
        let options = options(
            &path,
            &[
                ("mode", "bounded"),
                ("schema", "n INT, text STRING"),
                ("batch.rows", rows),
            ],
        );
        let found = source_resumes_anywhere(async |from| open(&options, from).await).await;
        assert_eq!(found.len(), 50);
        source_survives_cancelled_polls(async |from| open(&options, from).await).await;
    }
}

#[tokio::test]
async fn a_followed_file_brings_lines_when_they_are_whole() {
    let place = Place::new();
    let path = place.write("f.jsonl", "1\n2");
    let mut source = open(&options(&path, &[]), Positions::new()).await;
    assert_eq!(rows_of(&poll(&mut source).await.records), ["1"]);
    place.append("f.jsonl", "2\n3\n4");
    assert_eq!(rows_of(&poll(&mut source).await.records), ["22", "3"]);
}

#[tokio::test]
async fn a_followed_file_may_come_later() {
    let place = Place::new();
    let options = options(&place.path("f.csv"), &[]);
    let mut source = open(&options, Positions::new()).await;
    let tasks = Tasks::new(Clock::real());
    let polled = tasks.spawn("poll", async move { poll(&mut source).await });
    place.write("f.csv", "a\n1\n");
    assert_eq!(
        rows_of(&polled.await.expect("the task ends").records),
        [r#"{"a":"1"}"#]
    );
}

#[tokio::test]
async fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    let place = Place::new();
    let path = place.write("f.jsonl", "1\n2\n");
    let options = options(&path, &[("batch.rows", "1")]);
    let mut source = open(&options, Positions::new()).await;
    assert_eq!(rows_of(&poll(&mut source).await.records), ["1"]);
    place.append("f.jsonl", "3");
    std::fs::rename(&path, place.path("f.jsonl.1")).expect("it is renamed");
    place.write("f.jsonl", "4\n");
    for expected in ["2", "3", "4"] {
        assert_eq!(rows_of(&poll(&mut source).await.records), [expected]);
    }
}

#[tokio::test]
async fn a_file_renamed_while_nobody_looked_is_found_again() {
    let place = Place::new();
    let path = place.write("f.jsonl", "1\n2\n");
    let options = options(&path, &[("batch.rows", "1")]);
    let position = poll(&mut open(&options, Positions::new()).await)
        .await
        .positions;
    std::fs::rename(&path, place.path("old")).expect("it is renamed");
    place.write("f.jsonl", "3\n");
    let mut source = open(&options, position).await;
    for expected in ["2", "3"] {
        assert_eq!(rows_of(&poll(&mut source).await.records), [expected]);
    }
}

#[tokio::test]
async fn a_file_that_was_cut_is_read_from_its_start() {
    let place = Place::new();
    let path = place.write("f.csv", "a\n1\n2\n3\n");
    let mut source = open(&options(&path, &[]), Positions::new()).await;
    assert_eq!(poll(&mut source).await.records.len(), 3);
    std::fs::write(&path, "a\n7\n").expect("it is cut");
    assert_eq!(rows_of(&poll(&mut source).await.records), [r#"{"a":"7"}"#]);
}

#[tokio::test]
async fn a_record_without_end_is_set_aside_and_reading_goes_on() {
    let place = Place::new();
    let path = place.write(
        "f.csv",
        format!("a,b\n1,\"never closed\n2,x\n{}3,y\n", "4,z\n".repeat(40)),
    );
    let options = options(&path, &[("mode", "bounded"), ("record.max", "64")]);
    let (rows, poisoned) = all(&options).await;
    assert_eq!(
        poisoned,
        ["f.csv line 2: no record ends within 64 bytes <- 1,\"never closed\n"]
    );
    assert_eq!(rows.len(), 42);
}

#[tokio::test]
async fn no_part_of_a_line_that_is_too_long_is_read_as_a_record() {
    let place = Place::new();
    const MAX: usize = 1 << 20;
    let long = "x".repeat(2 * MAX + 22);
    let path = place.path("f.txt");
    for (format, more) in [("lines", "two"), ("jsonl", "[2]")] {
        let text = format!("{more}\n{long}\n{more}\n{long}");
        std::fs::write(&path, text).expect("the file is written");
        let options = options(
            &path,
            &[
                ("mode", "bounded"),
                ("record.max", "1MiB"),
                ("file.format", format),
            ],
        );
        let (rows, poisoned) = all(&options).await;
        assert_eq!(rows, [more, more]);
        let parts = poisoned.iter().map(|bad| {
            let (why, part) = bad.split_once(" <- ").expect("a reason and the bytes");
            (why.split(": ").next().unwrap_or_default(), part.len())
        });
        let line = |number| format!("f.txt line {number}");
        let (second, last) = (line(2), line(4));
        assert_eq!(
            parts.collect::<Vec<_>>(),
            [
                (&*second, MAX),
                (&*second, MAX),
                (&*second, 23),
                (&*last, MAX),
                (&*last, MAX),
                (&*last, 22)
            ]
        );
        // Gone on with in the middle of the long line, it is still none.
        let found = source_resumes_anywhere(async |from| open(&options, from).await).await;
        assert_eq!(found, [more, more]);
    }
}

#[tokio::test]
async fn several_files_are_divided_among_tasks_and_all_are_read() {
    let place = Place::new();
    let paths: Vec<String> = (0..3)
        .map(|n| {
            place
                .write(&format!("{n}.jsonl"), format!("{n}\n"))
                .display()
                .to_string()
        })
        .collect();
    let options = options(Path::new(&paths.join(",")), &[("mode", "bounded")]);
    let parts = FileSource
        .divide(&options, TaskCount::new(2), &context())
        .await
        .expect("they divide");
    assert_eq!(
        parts
            .iter()
            .map(|part| part.part.clone())
            .collect::<Vec<_>>(),
        [format!("{},{}", paths[0], paths[2]), paths[1].clone()]
    );
    let (mut rows, _) = all(&parts[0].options).await;
    rows.sort();
    assert_eq!(rows, ["0", "2"]);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_an_error_only_if_it_should_be_whole() {
    let place = Place::new();
    let bounded = options(&place.path("none.csv"), &[("mode", "bounded")]);
    let findings = FileSource.probe(&bounded, &context()).await;
    assert!(
        findings[0].is_error() && findings[0].message.contains("none.csv cannot be opened"),
        "{}",
        findings[0]
    );
    let error = open(&bounded, Positions::new())
        .await
        .poll()
        .await
        .expect_err("it is not there");
    assert!(matches!(error, Error::Config { .. }), "{error}");
    let findings = FileSource
        .probe(&options(&place.path("none.csv"), &[]), &context())
        .await;
    assert!(!findings[0].is_error(), "{}", findings[0]);
}

#[test]
fn options_that_do_not_fit_are_found_before_anything_runs() {
    let (options, _) = Options::check(
        FileSource.describe().options,
        &BTreeMap::from([
            ("path".into(), "a.txt,b.csv".into()),
            ("csv.delimiter".into(), "::".into()),
        ]),
    );
    let findings: Vec<String> = FileSource
        .check(&options)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        findings,
        [
            "file.format: the name of a.txt does not tell its format (set file.format to csv, jsonl or lines)",
            "csv.delimiter: option csv.delimiter is \"::\" (it must be one ASCII character, or \\t)",
        ]
    );
}

#[test]
fn lines_have_no_columns() {
    let text = [("file.format", "lines"), ("schema", "n INT")];
    let findings = FileSource.check(&options(Path::new("f.txt"), &text));
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].path, "schema");
}

#[tokio::test]
async fn arbitrary_bytes_end_in_rows_and_refusals() {
    let place = Place::new();
    let rng = Rng::seeded(7);
    for name in ["f.csv", "f.jsonl"] {
        for _ in 0..50 {
            let mut bytes = vec![0; 300];
            rng.fill(&mut bytes);
            let path = place.write(name, &bytes);
            let options = options(
                &path,
                &[
                    ("mode", "bounded"),
                    ("csv.header", "false"),
                    ("schema", "a STRING, b INT"),
                ],
            );
            all(&options).await;
        }
    }
}
