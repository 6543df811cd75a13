//! The load by RocketMQ's own Java client, `tests/drivers/java-bench/Load.java`: one producer
//! whose threads share a connection, and the push consumer.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use peers::{Jars, javac};
use serde::Deserialize;

use super::plan::Plan;
use super::report::{Consumed, Cost, Latency, LoadReport, Produced};
use super::rpc::Rpc;
use super::run::make_topics;
use super::subscription::Subscription;
use crate::usage::Usage;

const VERSION: &str = "5.5.0";
/// All of it from the start, so that it does not grow while we measure.
const HEAP: [&str; 2] = ["-Xms1g", "-Xmx1g"];
/// More than it can send; it keeps a bit for each.
const MOST: u64 = 1 << 28;

/// The program, which stays for several runs: its compiler learns for longer than one takes.
pub struct JavaClient {
    child: Child,
    runs: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    broker: SocketAddr,
}

impl JavaClient {
    /// Brings the client and compiles the program, so that no measurement has to.
    pub fn bring() -> Result<()> {
        command().map(drop)
    }

    /// Starts it on the cores of this thread, for a broker that the name server knows.
    pub fn start(broker: SocketAddr, name_server: &str) -> Result<JavaClient> {
        let mut child = command()?
            .arg(name_server)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start java")?;
        Ok(JavaClient {
            runs: child.stdin.take().context("its input is piped")?,
            lines: BufReader::new(child.stdout.take().context("its output is piped")?).lines(),
            child,
            broker,
        })
    }

    /// Runs the plan to its end on a topic of its own; fails if anything was lost or came twice.
    pub fn run(&mut self, plan: &Plan) -> Result<LoadReport> {
        let line = line(plan)?;
        make_topics(plan, &mut Rpc::connect(self.broker)?)?;
        writeln!(self.runs, "{line}").context("the Java program has ended")?;
        let mut marks = Marks::default();
        for line in &mut self.lines {
            let line = line?;
            if line.starts_with('{') {
                let found: Found = serde_json::from_str(&line).context("that is no report")?;
                found.verify()?;
                return Ok(found.report(plan, &marks));
            }
            marks.take(&line, plan.process)?;
        }
        bail!("the Java program ended before it told what it found")
    }
}

impl Drop for JavaClient {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn command() -> Result<Command> {
    let jars = Jars::rocketmq(VERSION)?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../drivers/java-bench/Load.java");
    let classes = javac("java-bench", &[source], &jars)?;
    let mut command = Command::new("java");
    command
        .args(HEAP)
        .arg("-cp")
        .arg(format!("{}:{}", classes.display(), jars.class_path()))
        .arg("Load");
    Ok(command)
}

/// One run, as the program reads it.
fn line(plan: &Plan) -> Result<String> {
    ensure!(
        plan.producers == 1 && plan.batch == 1 && plan.topics <= 1,
        "the Java client is one producer of single messages for one topic"
    );
    ensure!(
        !plan.properties && plan.backlog.is_none(),
        "the Java client sends no properties and reads no backlog"
    );
    let mode = match (plan.groups, &plan.drain[..]) {
        (0, []) => "produce",
        (0, [Subscription::All]) => "drain",
        (1, []) => "live",
        _ => bail!("the Java client reads everything, once: meanwhile or afterwards"),
    };
    Ok(format!(
        "{} {} {mode} {} {} {} {} {} {}",
        plan.topic,
        plan.queues,
        plan.depth,
        plan.body,
        plan.seconds,
        plan.warm_up,
        plan.messages.min(MOST),
        plan.rate.unwrap_or(0.0)
    ))
}

/// What the broker had used when the program said that a part begins or ends.
#[derive(Debug, Default)]
struct Marks {
    sending: [Option<Usage>; 2],
    reading: [Option<Usage>; 2],
}

impl Marks {
    fn take(&mut self, line: &str, process: Option<u32>) -> Result<()> {
        let mark = match line {
            "sending" => &mut self.sending[0],
            "sent" => &mut self.sending[1],
            "reading" => &mut self.reading[0],
            "read" => &mut self.reading[1],
            _ => bail!("the Java program said {line:?}"),
        };
        *mark = process.map(Usage::of).transpose()?;
        Ok(())
    }
}

/// The program's last line.
#[derive(Debug, Deserialize)]
struct Found {
    sent: u64,
    acknowledged: u64,
    refused: u64,
    /// Why, the last time.
    refusal: String,
    delivered: u64,
    /// Acknowledged and not delivered; delivered again; delivered and never sent.
    lost: u64,
    twice: u64,
    unsent: u64,
    sending: Part,
    answers: Latency,
    reading: Part,
    arrivals: Latency,
}

/// A measured part.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Part {
    messages: u64,
    seconds: f64,
    cpu_seconds: f64,
}

impl Part {
    fn cost(&self, [before, after]: [Option<Usage>; 2]) -> Cost {
        Cost {
            seconds: self.seconds,
            own_cpu_seconds: self.cpu_seconds,
            broker: after
                .zip(before)
                .map(|(after, before)| after.since(&before)),
        }
    }
}

impl Found {
    fn verify(&self) -> Result<()> {
        let Found {
            lost,
            twice,
            unsent,
            ..
        } = self;
        ensure!(
            lost + twice + unsent == 0,
            "{lost} acknowledged messages were not delivered, {twice} came twice, and {unsent} came \
             that nobody sent"
        );
        ensure!(
            self.sending.messages > 0,
            "of {} messages none was acknowledged in the measured part; the last refusal: {:?}",
            self.sent,
            self.refusal
        );
        Ok(())
    }

    fn report(self, plan: &Plan, marks: &Marks) -> LoadReport {
        let cost = self.sending.cost(marks.sending);
        let consumed = Consumed {
            group: format!("{}-consumers", plan.topic),
            filter: Subscription::All.expression().1,
            delivered: self.delivered,
            scanned: self.delivered,
            latency: self.arrivals,
            ..Consumed::default()
        };
        let drained = Consumed {
            measured: self.reading.messages,
            cost: Some(self.reading.cost(marks.reading)),
            ..consumed.clone()
        };
        LoadReport {
            produced: Produced {
                sent: self.sent,
                acknowledged: self.acknowledged,
                refused: self.refused,
                measured: self.sending.messages,
                messages_a_second: self.sending.messages as f64 / self.sending.seconds,
                broker_micros: cost.broker_micros(self.sending.messages),
                cost,
                latency: self.answers,
                ..Produced::default()
            },
            live: vec![consumed; plan.groups as usize],
            drained: vec![drained; plan.drain.len()],
            ..LoadReport::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lost: u64, twice: u64, unsent: u64) -> Found {
        let line = format!(
            r#"{{"sent":9,"acknowledged":8,"refused":1,"refusal":"TIMEOUT","delivered":8,"lost":{lost},
            "twice":{twice},"unsent":{unsent},"sending":{{"messages":4,"seconds":2.0,"cpu_seconds":1.0}},
            "answers":{{"count":4,"mean":5.0,"p50":4.0,"p90":5.0,"p99":6.0,"p999":7.0,"p9999":8.0,"max":8.0,
            "buckets":[[4000,3],[8000,1]]}},
            "reading":{{"messages":3,"seconds":1.0,"cpu_seconds":0.5}},
            "arrivals":{{"count":0,"mean":0.0,"p50":0.0,"p90":0.0,"p99":0.0,"p999":0.0,"p9999":0.0,"max":0.0,
            "buckets":[]}}}}"#
        );
        serde_json::from_str(&line).expect("it is a report")
    }

    #[test]
    fn the_programs_report_is_read() {
        let plan = Plan {
            drain: vec![Subscription::All],
            ..Plan::default()
        };
        let usage = |cpu_seconds| {
            Some(Usage {
                cpu_seconds,
                ..Usage::default()
            })
        };
        let marks = Marks {
            sending: [usage(1.0), usage(1.5)],
            reading: [None, None],
        };
        let report = found(0, 0, 0).report(&plan, &marks);
        assert_eq!(report.produced.messages_a_second, 2.0);
        assert_eq!(report.produced.broker_micros, Some(125_000.0));
        assert_eq!(report.produced.latency.p99, 6.0);
        assert!(report.live.is_empty());
        assert_eq!(
            (report.drained[0].delivered, report.drained[0].measured),
            (8, 3)
        );
    }

    #[test]
    fn what_java_cannot_do_is_refused() {
        let plan = Plan {
            depth: 64,
            messages: 1_000,
            drain: vec![Subscription::All],
            ..Plan::default()
        };
        let said = line(&plan).expect("it can");
        assert_eq!(said, "mill-bench 8 drain 64 1024 10 0 1000 0");
        line(&Plan {
            producers: 2,
            ..plan.clone()
        })
        .expect_err("it has one connection");
        line(&Plan { groups: 1, ..plan }).expect_err("it reads once");
    }

    #[test]
    fn a_wrong_delivery_is_no_result() {
        found(0, 0, 0).verify().expect("nothing is wrong");
        for wrong in [found(1, 0, 0), found(0, 1, 0), found(0, 0, 1)] {
            wrong.verify().expect_err("one is wrong");
        }
    }
}
