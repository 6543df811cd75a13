//! Every official client produces and consumes, in every way it knows.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use peers::{Jars, go_build, javac, python};

use crate::lines::Lines;
use crate::millstream::Millstream;
use crate::remoting::make_topics;

/// Queues of every topic.
const QUEUES: i32 = 4;
const SCENARIOS: [&str; 7] = ["plain", "order", "broadcast", "tag", "sql", "lite", "retry"];

/// A broker with the topics of every scenario.
fn broker(data: &Path, prefix: &str) -> Result<Millstream> {
    let millstream = Millstream::start(data)?;
    let mut topics = Vec::new();
    for scenario in SCENARIOS {
        topics.push((format!("{prefix}-{scenario}"), QUEUES));
        // Known beforehand, a client need not wait for its next look at the routes.
        topics.push((format!("%RETRY%{prefix}-{scenario}"), 1));
    }
    make_topics(&millstream.broker, &millstream.name_server, &topics)?;
    Ok(millstream)
}

fn driver(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/drivers")
        .join(path)
}

/// Messages with the tags `red` and `blue`: two of three.
fn tagged(number: &usize) -> bool {
    number % 3 != 1
}

/// What every client can.
#[track_caller]
fn check_common(lines: &Lines, plain: usize) {
    lines.check_got("plain", "one", 0..plain);
    lines.check_got("order", "one", 0..120);
    lines.check_order("order", "one");
    lines.check_got("broadcast", "one", 0..40);
    lines.check_got("broadcast", "two", 0..40);
    lines.check_got("tag", "one", (0..60).filter(tagged));
    lines.check_receipts();
}

#[track_caller]
fn check_sql_and_retries(lines: &Lines) {
    lines.check_got("sql", "one", (11..60).filter(tagged));
    lines.check_retries("retry", 3);
}

fn java(version: &str, prefix: &str, options: &[&str]) -> Result<()> {
    let jars = Jars::rocketmq(version)?;
    let classes = javac(
        &format!("official-{version}"),
        &[driver("java/Official.java")],
        &jars,
    )?;
    let data = tempfile::tempdir()?;
    let millstream = broker(&data.path().join("millstream"), prefix)?;
    let lines = Lines::of(
        Command::new("java")
            .arg(format!("-Duser.home={}", data.path().display()))
            .args(options)
            .args(["-Xmx256m", "-Drocketmq.client.logLevel=OFF", "-cp"])
            .arg(format!("{}:{}", classes.display(), jars.class_path()))
            .args(["Official", &millstream.name_server, prefix]),
    )?;
    check_common(&lines, 320);
    check_sql_and_retries(&lines);
    lines.check_got("lite", "one", 0..60);
    let committed: i64 = lines.committed.iter().map(|queue| queue.offset).sum();
    assert_eq!(committed, 60, "{:?}", lines.committed);
    millstream.stop()
}

#[test]
fn the_java_client_5_5_0_produces_and_consumes_in_every_way() -> Result<()> {
    java("5.5.0", "java550", &[])
}

#[test]
fn the_java_client_4_9_3_produces_and_consumes_in_every_way_and_sends_to_the_second_door()
-> Result<()> {
    let vip_channel = ["-Dcom.rocketmq.sendMessageWithVIPChannel=true"];
    java("4.9.3", "java493", &vip_channel)
}

#[test]
fn the_go_client_produces_and_consumes_in_every_way() -> Result<()> {
    let program = go_build("official", &driver("go"))?;
    let data = tempfile::tempdir()?;
    let millstream = broker(&data.path().join("millstream"), "go")?;
    let lines = Lines::of(
        Command::new(program)
            .env("HOME", data.path())
            .args([millstream.name_server.as_str(), "go"]),
    )?;
    check_common(&lines, 320);
    check_sql_and_retries(&lines);
    millstream.stop()
}

#[test]
fn the_cpp_client_produces_and_consumes_in_every_way() -> Result<()> {
    let python = python("rocketmq-0.4.4", &["rocketmq==0.4.4"])?;
    let data = tempfile::tempdir()?;
    let millstream = broker(&data.path().join("millstream"), "cpp")?;
    let lines = Lines::of(
        Command::new(python)
            .arg(driver("python/official.py"))
            .env("HOME", data.path())
            .args([millstream.name_server.as_str(), "cpp"]),
    )?;
    check_common(&lines, 250);
    millstream.stop()
}
