//! Commands of `mqadmin` against a real RocketMQ and against Millstream, printed alike.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use peers::{Jars, javac};
use serde::Deserialize;

use crate::masks::{Known, masked, masked_line};
use crate::millstream::Millstream;
use crate::rocketmq::RocketMq;

/// One command's end.
#[derive(Debug, Deserialize)]
struct Ran {
    command: String,
    status: i32,
    printed: String,
}

/// Lines that only one of the two prints, and why.
const KNOWN: &[Known] = &[
    Known {
        command: "consumerProgress -g",
        line: "%RETRY%GID_admin",
        why: "the client commits its empty retry queue some time within half a minute",
    },
    Known {
        command: "topicList",
        line: "RMQ_SYS_ROCKSDB_",
        why: "transactions are never kept in RocksDB here",
    },
    Known {
        command: "brokerStatus",
        line: "brokerVersion",
        why: "the number that RocketMQ's exporter needs and 5.5.0 no longer tells",
    },
    Known {
        command: "brokerStatus",
        line: "millstream_",
        why: "what limits of our own hold in use, and whom they turned away",
    },
];

#[test]
fn the_commands_of_mqadmin_print_what_they_print_with_rocketmq() -> Result<()> {
    let jars = Jars::rocketmq("5.5.0")?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers/java/Admin.java");
    let classes = javac("admin-5.5.0", &[source], &jars)?;
    let data = tempfile::tempdir()?;
    let (there, here) = std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            let folder = data.path().join("rocketmq");
            let rocketmq = RocketMq::start(&jars, &folder)?;
            commands(
                &jars,
                &classes,
                &folder,
                &rocketmq.name_server,
                &rocketmq.broker,
            )
        });
        let here = scope.spawn(|| {
            let folder = data.path().join("millstream");
            let millstream = Millstream::start(&folder)?;
            let (names, broker) = (&millstream.name_server, &millstream.broker);
            commands(&jars, &classes, &folder, names, broker)
        });
        let joined = |handle: std::thread::ScopedJoinHandle<'_, Result<Vec<Ran>>>| {
            handle.join().expect("no panic in a run of commands")
        };
        (joined(there), joined(here))
    });
    let (there, here) = (there?, here?);
    let mut different = Vec::new();
    for (there, here) in there.iter().zip(&here) {
        // Ids in commands are those of messages that each run sends.
        assert_eq!(
            masked_line(&there.command, false),
            masked_line(&here.command, false)
        );
        if there.status != here.status {
            different.push(format!(
                "{}: status {} there, {} here",
                there.command, there.status, here.status
            ));
        }
        let lines = |ran: &Ran| masked(&ran.command, &ran.printed, KNOWN);
        if lines(there) != lines(here) {
            different.push(format!(
                "$ mqadmin {}\n--- RocketMQ\n{}\n--- Millstream\n{}",
                there.command,
                lines(there).join("\n"),
                lines(here).join("\n")
            ));
        }
    }
    assert_eq!(there.len(), here.len());
    assert!(
        different.is_empty(),
        "{} of {} commands differ:\n{}",
        different.len(),
        there.len(),
        different.join("\n\n")
    );
    println!("{} commands compared", there.len());
    Ok(())
}

/// Runs all commands; addresses and folders in what they print have one name for both.
fn commands(
    jars: &Jars,
    classes: &Path,
    data: &Path,
    name_server: &str,
    broker: &str,
) -> Result<Vec<Ran>> {
    let output = Command::new("java")
        .args(["-Xmx256m", "-Djava.security.manager=allow"])
        .arg(format!("-Duser.home={}", data.display()))
        .arg("-cp")
        .arg(format!("{}:{}", classes.display(), jars.class_path()))
        .args(["Admin", name_server, broker])
        .output()
        .context("cannot start java")?;
    let printed = String::from_utf8_lossy(&output.stdout)
        .replace(name_server, "NAMES")
        .replace(broker, "BROKER")
        .replace(&data.display().to_string(), "DATA");
    let mut ran = Vec::new();
    let mut done = false;
    for line in printed.lines().filter(|line| line.starts_with('{')) {
        match line {
            "{\"done\":true}" => done = true,
            command => ran.push(serde_json::from_str(command)?),
        }
    }
    ensure!(
        done,
        "after {} commands on {broker}: {}",
        ran.len(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(ran)
}
