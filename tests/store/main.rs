//! `millstream store` over the directory of a house that has stopped: what a person sees.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../support/addresses.rs"]
mod addresses;
#[path = "../support/up.rs"]
#[allow(dead_code)]
mod up;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use up::Up;

const SETTINGS: &[&str] = &["store.segment-bytes=1MiB"];

fn store(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
    let (verb, rest) = arguments.split_first().expect("a verb");
    command.args(["store", verb]).arg(folder).args(rest);
    command.output().expect("the command runs")
}

/// What a command says, with the folder and every number made equal, and its exit code.
fn said(arguments: &[&str], folder: &Path) -> String {
    let output = store(arguments, folder);
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).replace(&folder.display().to_string(), "DATA");
    let lines: Vec<_> = text.lines().map(without_numbers).collect();
    let code = output.status.code().unwrap_or(-1);
    format!("{}\nexit {code}", lines.join("\n"))
}

/// Numbers differ from run to run, and with them the width of columns.
fn without_numbers(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line.trim_end();
    while let Some(letter) = rest.chars().next() {
        let hexadecimal = rest.starts_with("0x");
        let end = match letter {
            _ if hexadecimal => rest[2..].find(|letter: char| !letter.is_ascii_hexdigit()),
            '0'..='9' => rest.find(|letter: char| !letter.is_ascii_digit()),
            ' ' => rest.find(|letter| letter != ' '),
            _ => Some(letter.len_utf8()),
        };
        let end = end.map_or(rest.len(), |end| end + 2 * usize::from(hexadecimal));
        plain.push_str(match letter {
            '0'..='9' => "N",
            ' ' => &"  "[..end.min(2)],
            _ => &rest[..end],
        });
        rest = &rest[end..];
    }
    plain
}

fn dumped(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = store(
        &[&["dump", "-o", "json", "--body"], arguments].concat(),
        folder,
    );
    let text = String::from_utf8(output.stdout).expect("it is text");
    let lines = text.lines().map(serde_json::from_str);
    lines.map(|line| line.expect("a line is JSON")).collect()
}

/// A house that has stored ten messages and stopped.
fn stopped(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    let house = Up::start(&data, SETTINGS);
    house.ask(&["topic", "create", "orders", "--queues", "1"]);
    let bodies: Vec<_> = (0..10).map(|number| format!("order {number}")).collect();
    let words: Vec<_> = ["produce", "orders", "--key", "k"].into_iter().collect();
    let words: Vec<_> = words
        .into_iter()
        .chain(bodies.iter().map(String::as_str))
        .collect();
    house.ask(&words);
    house.stop();
    data
}

/// Where a message lies in the log.
fn place_of(data: &Path, body: &str) -> u64 {
    let orders = dumped(data, &["--topic", "orders"]);
    let found = orders.iter().find(|record| record["body"] == body);
    found.expect("it is dumped")["at"]
        .as_u64()
        .expect("a number")
}

fn flip(data: &Path, at: u64) {
    let path = data.join("store/commitlog/00000000000000000000");
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path);
    let file = file.expect("the first segment is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("a byte");
    file.write_all_at(&[byte[0] ^ 1], at)
        .expect("it is written");
}

#[test]
fn a_sound_store_is_called_sound_and_a_running_one_left_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = stopped(folder.path());
    insta::assert_snapshot!(said(&["check"], &data), @r#"
    segments  N
    records  N
    queues  N
    bytes  N
    closed  in order
    sound  yes
    exit 0
    "#);
    insta::assert_snapshot!(said(&["repair"], &data), @r#"
    there is nothing to repair
    exit 0
    "#);
    insta::assert_snapshot!(said(&["check"], folder.path()), @r#"
    error: DATA is not the directory of a store  [store.not-found]
      why: it has no commitlog in it, and no store with one
      fix: name the data folder of a house, or the folder that has commitlog in it
    exit 2
    "#);

    let house = Up::start(&data, SETTINGS);
    insta::assert_snapshot!(said(&["check"], &data), @r#"
    error: the store in DATA/store is in use  [store.in-use]
      why: a broker has it open: what is read beside it may be half written
      fix: stop the broker first
    exit 4
    "#);
    assert_eq!(store(&["repair", "--yes"], &data).status.code(), Some(4));
    house.stop();
}

#[test]
fn an_export_tells_what_it_wrote_and_replaces_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = stopped(folder.path());
    let to = data.join("for-rocketmq");
    let to = to.to_str().expect("the folder's name is text");
    insta::assert_snapshot!(said(&["export", "--to", to], &data), @r#"
    written  DATA/for-rocketmq
    segments  N
    records  N
    queues  N
    topics  N
    groups  N
    offsets  N
    lost places  N

    for broker.conf, beside the name and the address that this broker had:
    storePathRootDir=DATA/for-rocketmq
    storePathCommitLog=DATA/for-rocketmq/commitlog
    mappedFileSizeCommitLog=N
    enablePropertyFilter=true
    exit 0
    "#);
    insta::assert_snapshot!(said(&["export", "--to", to], &data), @r#"
    error: DATA/for-rocketmq is there already  [export.taken]
      why: an export replaces nothing
      fix: name another directory, or remove DATA/for-rocketmq
    exit 4
    "#);
    let bodies = |records: Vec<Value>| -> Vec<Value> {
        let orders = records.into_iter();
        orders.map(|mut record| record["body"].take()).collect()
    };
    let ours = bodies(dumped(&data, &["--topic", "orders"]));
    let theirs = bodies(dumped(Path::new(to), &["--topic", "orders"]));
    assert_eq!((theirs.len(), &theirs), (10, &ours));

    let other = folder.path().join("other");
    let report = store(
        &[
            "export",
            "--format",
            "rocketmq",
            "-o",
            "json",
            "--to",
            other.to_str().expect("text"),
        ],
        &data,
    );
    let report: Value = serde_json::from_slice(&report.stdout).expect("it is JSON");
    assert_eq!(
        (&report["records"], &report["lost_places"]),
        (&10.into(), &0.into())
    );
}

#[test]
fn a_damaged_message_is_found_taken_out_and_missed_by_nobody_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = stopped(folder.path());
    flip(&data, place_of(&data, "order 4") + 90);
    // Without a checkpoint a start reads all of the log.
    std::fs::remove_dir_all(data.join("store/millstream/heads")).expect("it is removed");

    insta::assert_snapshot!(said(&["check"], &data), @r#"
    FILE  POSITION  WHAT  REPAIR
    commitlog/N  N  N bytes are damaged: the record has checksum N, N was stored  they go to lost+found, a filler takes their place

    segments  N
    records  N
    queues  N
    bytes  N
    closed  in order
    sound  no
    error: the store in DATA/store has N fault  [store.damaged]
      why: N bytes are damaged: the record has checksum N, N was stored
      fix: millstream store repair DATA/store
      where: commitlog/N at N
    exit 5
    "#);
    let refused = Command::new(env!("CARGO_BIN_EXE_millstream"))
        .arg("up")
        .arg("--data")
        .arg(&data)
        .args(["--set", "broker.listen=127.0.0.1:0"])
        .output()
        .expect("the command runs");
    let refused = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.contains("[store.refused]"), "{refused}");
    let command = format!("millstream store repair {}", data.join("store").display());
    assert!(refused.contains(&command), "{refused}");

    insta::assert_snapshot!(said(&["repair", "--dry-run"], &data), @r#"
    append a record that names the N offsets that are lost
    drop checkpoints, queue index and files of keys: the next start builds them from the log
    move the N bytes of the log from N on to lost+found, and put a filler there
    exit 0
    "#);
    insta::assert_snapshot!(said(&["repair"], &data), @r#"
    append a record that names the N offsets that are lost
    drop checkpoints, queue index and files of keys: the next start builds them from the log
    move the N bytes of the log from N on to lost+found, and put a filler there
    error: nothing has been changed  [confirm]
      why: a repair moves parts of the store, and has to be wanted
      fix: if that is the plan:  millstream store repair DATA/store --yes
    exit 1
    "#);
    insta::assert_snapshot!(said(&["repair", "--yes"], &data), @r#"
    append a record that names the N offsets that are lost
      done
    drop checkpoints, queue index and files of keys: the next start builds them from the log
      done
    move the N bytes of the log from N on to lost+found, and put a filler there
      done
    the store in DATA/store is sound: N records in N segment
    exit 0
    "#);
    let kept = std::fs::read_dir(data.join("store/lost+found")).expect("it is there");
    assert_eq!(kept.count(), 1);
    insta::assert_snapshot!(said(&["check"], &data), @r#"
    segments  N
    records  N
    queues  N
    bytes  N
    closed  in order
    sound  yes
    exit 0
    "#);

    let house = Up::start(&data, SETTINGS);
    let read = house.ask(&["consume", "orders", "--drain"]);
    let expected = [0, 1, 2, 3, 5, 6, 7, 8, 9].map(|number| format!("order {number}\n"));
    assert_eq!(read, expected.concat());
    house.ask(&["produce", "orders", "order 10"]);
    house.stop();
    let orders = dumped(&data, &["--topic", "orders", "--queue", "0", "--from", "9"]);
    let offsets: Vec<_> = orders
        .iter()
        .map(|record| record["offset"].as_u64())
        .collect();
    assert_eq!(offsets, [Some(9), Some(10)]);
}

#[test]
fn a_dump_can_be_read_by_people_programs_and_head() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = stopped(folder.path());
    let some = [
        "dump", "--topic", "orders", "--queue", "0", "--from", "3", "--to", "6", "--body",
    ];
    let output = store(&some, &data);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{text}"
    );
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].trim_start().starts_with("AT"), "{text}");
    for (line, body) in lines[1..].iter().zip(["order 3", "order 4", "order 5"]) {
        assert!(line.ends_with(body), "{line}");
    }
    let orders = dumped(&data, &["--topic", "orders", "--limit", "2"]);
    assert_eq!(orders.len(), 2);
    assert_eq!(orders[0]["properties"]["KEYS"], "k");
    let at = orders[1]["at"].as_u64().expect("a number");
    let from = dumped(&data, &["--from", &at.to_string(), "--limit", "1"]);
    assert_eq!(from, orders[1..]);

    let mut child = Command::new(env!("CARGO_BIN_EXE_millstream"))
        .args(["store", "dump"])
        .arg(&data)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut line = String::new();
    let out = child.stdout.take().expect("its output is piped");
    BufReader::new(out).read_line(&mut line).expect("a line");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty());
}
