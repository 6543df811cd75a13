//! Kafka, one process as broker and controller, under its own producer: another protocol, so
//! another client. Its figures stand beside ours for orientation.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use peers::{Jars, Process, run};

use super::{Contender, Flush, Place};
use crate::clock::now;
use crate::cores::on;
use crate::load::{Client, Cost, Latency, LoadReport, Plan, Produced};
use crate::usage::Usage;

pub const VERSION: &str = "3.9.1";
/// Any will do; the data are new each time.
const CLUSTER: &str = "5xhyAbHvS2OkSfPJhqS5fQ";
/// Its producer ends by count, not by time: so many records for each second asked for.
const RECORDS_A_SECOND: f64 = 50_000.0;

pub fn broker(place: &Place) -> Result<Process> {
    let settings = settings(place)?;
    let mut format = java("-Xmx256m", "kafka.tools.StorageTool")?;
    format
        .args(["format", "--ignore-formatted", "-t", CLUSTER, "-c"])
        .arg(&settings);
    run(&mut format)?;
    let mut command = java("-Xmx2g", "kafka.Kafka")?;
    let broker = Process::start("Kafka", command.arg(settings))?;
    broker.answers(&place.broker())?;
    Ok(broker)
}

pub fn configuration(flush: Flush) -> String {
    let flush = match flush {
        Flush::Async => "`acks=all`, no flush",
        Flush::Sync => "`acks=all`, `log.flush.interval.messages=1`",
    };
    format!("heap 2 GB, one node; {flush}; **under its own ProducerPerformance, another client**")
}

pub fn bytes() -> Result<u64> {
    jars()?.bytes()
}

fn settings(place: &Place) -> Result<PathBuf> {
    let (broker, controller) = (place.broker(), place.name_server());
    let mut lines = vec![
        "process.roles=broker,controller".to_owned(),
        "node.id=1".to_owned(),
        format!("controller.quorum.voters=1@{controller}"),
        format!("listeners=PLAINTEXT://{broker},CONTROLLER://{controller}"),
        "controller.listener.names=CONTROLLER".to_owned(),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        format!("log.dirs={}", place.folder.join("log").display()),
        "num.partitions=8".to_owned(),
        "offsets.topic.replication.factor=1".to_owned(),
    ];
    if place.flush == Flush::Sync {
        lines.push("log.flush.interval.messages=1".to_owned());
    }
    let path = place.folder.join("broker.properties");
    std::fs::write(&path, lines.join("\n"))?;
    Ok(path)
}

/// Runs its producer for plain sends at full speed; fails for whatever it cannot do.
pub fn load(server: &Contender, plan: &Plan) -> Result<LoadReport> {
    let plain = plan.rate.is_none() && plan.groups == 0 && !plan.properties && plan.batch == 1;
    ensure!(
        plain && plan.backlog.is_none() && plan.client == Client::Own,
        "Kafka is measured by its own producer, which cannot do this"
    );
    let records = plan.messages.min((plan.seconds * RECORDS_A_SECOND) as u64);
    let mut command = java("-Xmx1g", "org.apache.kafka.tools.ProducerPerformance")?;
    command
        .args(["--topic", &plan.topic, "--throughput", "-1"])
        .args(["--num-records", &records.to_string()])
        .args(["--record-size", &plan.body.to_string()])
        .args(["--producer-props", "acks=all"])
        .arg(format!("bootstrap.servers={}", server.place.broker()));
    let process = server.broker.id();
    let (before, begun) = (Usage::of(process)?, now());
    let said = on(plan.core, || run(&mut command))?;
    let broker = Usage::of(process)?.since(&before);
    let last = said.lines().rfind(|line| line.contains("records sent"));
    let last = last.with_context(|| format!("its producer did not end but said {said}"))?;
    let (sent, messages_a_second, latency) =
        summary(last).with_context(|| format!("its producer said {last:?}"))?;
    ensure!(sent == records, "of {records} records {sent} were sent");
    let cost = Cost {
        seconds: (now() - begun) as f64 / 1e9,
        own_cpu_seconds: 0.0,
        broker: Some(broker),
    };
    Ok(LoadReport {
        produced: Produced {
            sent,
            acknowledged: sent,
            measured: sent,
            messages_a_second,
            broker_micros: cost.broker_micros(sent),
            cost,
            latency,
            ..Produced::default()
        },
        ..LoadReport::default()
    })
}

/// Records, their rate and their latency of the producer's last line.
fn summary(line: &str) -> Option<(u64, f64, Latency)> {
    let number = |before: &str| -> Option<f64> {
        let (head, _) = line.split_once(before)?;
        head.trim_end()
            .rsplit([' ', ','])
            .next()?
            .trim_start_matches('(')
            .parse()
            .ok()
    };
    let micros = |before: &str| Some(number(before)? * 1e3);
    let sent = number("records sent")?;
    let latency = Latency {
        count: sent as u64,
        mean: micros("ms avg latency")?,
        p50: micros("ms 50th")?,
        p99: micros("ms 99th")?,
        p999: micros("ms 99.9th")?,
        max: micros("ms max latency")?,
        ..Latency::default()
    };
    Some((sent as u64, number("records/sec")?, latency))
}

fn jars() -> Result<Jars> {
    let mut coordinates: Vec<_> = ["kafka_2.13", "kafka-tools"]
        .iter()
        .map(|name| format!("org.apache.kafka:{name}:{VERSION}"))
        .collect();
    coordinates.push("org.slf4j:slf4j-simple:1.7.36".to_owned());
    Jars::fetch(&format!("kafka-bench-{VERSION}"), &coordinates)
}

pub fn bring() -> Result<()> {
    jars().map(drop)
}

fn java(heap: &str, class: &str) -> Result<Command> {
    let mut command = Command::new("java");
    command
        .arg(heap)
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .args(["-cp", &jars()?.class_path()])
        .arg(class);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_producers_last_line_is_read() {
        let line = "100000 records sent, 48899.755501 records/sec (47.75 MB/sec), 350.62 ms avg \
                    latency, 602.00 ms max latency, 361 ms 50th, 560 ms 95th, 590 ms 99th, 600 ms 99.9th.";
        let (sent, rate, latency) = summary(line).expect("it is whole");
        assert_eq!((sent, rate), (100_000, 48_899.755501));
        assert_eq!((latency.mean, latency.max), (350_620.0, 602_000.0));
        assert_eq!(
            (latency.p50, latency.p99, latency.p999),
            (361e3, 590e3, 600e3)
        );
        assert!(summary("0 records").is_none());
    }
}
