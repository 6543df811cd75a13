//! Broker CPU for one message of 1 KiB, beside RocketMQ's in the same run.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use peers::{Jars, cache, run, say};

use super::contender::{Contender, build_millstream};
use super::median;

const ROUNDS: usize = 5;
const WARM_UP: u64 = 200_000;
const MESSAGES: u64 = 300_000;
const BODY: &str = "1024";
const THREADS: &str = "64";
const QUEUES: u32 = 8;
const TOPIC: &str = "Budget";
/// Most that our broker may cost, as a share of RocketMQ's.
const GOAL: f64 = 0.2;

/// What one round cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    messages_a_second: f64,
    /// Microseconds of the broker's CPU for one message.
    cpu: f64,
}

/// RocketMQ's own producer benchmark against both brokers in turn; fails above the goal.
pub fn produce() -> Result<()> {
    let jars = Jars::rocketmq("5.5.0")?;
    let binary = build_millstream()?;
    let folder = cache("bench")?.join(format!("produce-{}", std::process::id()));
    let outcome = compare(&jars, &binary, &folder);
    std::fs::remove_dir_all(&folder).ok();
    let ratio = outcome?;
    ensure!(
        ratio <= GOAL,
        "our broker costs {ratio:.3} of RocketMQ's CPU for a message, the goal is {GOAL}"
    );
    Ok(())
}

fn compare(jars: &Jars, binary: &std::path::Path, folder: &std::path::Path) -> Result<f64> {
    for name in ["millstream", "rocketmq"] {
        std::fs::create_dir_all(folder.join(name))?;
    }
    let contenders = [
        Contender::millstream(binary, &folder.join("millstream"))?,
        Contender::rocketmq(jars, &folder.join("rocketmq"))?,
    ];
    for contender in &contenders {
        contender.create_topic(jars, TOPIC, QUEUES)?;
        say(&format!("warming {} up", contender.name));
        load(jars, contender, WARM_UP)?;
    }
    println!("round  broker      messages/s  CPU µs/message");
    let mut rounds = Vec::new();
    for round in 1..=ROUNDS {
        let mut costs = [Cost {
            messages_a_second: 0.0,
            cpu: 0.0,
        }; 2];
        for (cost, contender) in costs.iter_mut().zip(&contenders) {
            *cost = load(jars, contender, MESSAGES)?;
            println!(
                "{round:>5}  {:<10}  {:>10.0}  {:>14.2}",
                contender.name, cost.messages_a_second, cost.cpu
            );
        }
        rounds.push(costs);
    }
    let ratio = median(rounds.iter().map(|[ours, theirs]| ours.cpu / theirs.cpu));
    for (index, contender) in contenders.iter().enumerate() {
        println!(
            "{}: median {:.0} messages/s, {:.2} µs CPU a message, {:.0} MB resident at the end",
            contender.name,
            median(rounds.iter().map(|costs| costs[index].messages_a_second)),
            median(rounds.iter().map(|costs| costs[index].cpu)),
            contender.broker().memory()?.0 as f64 / 1e6,
        );
    }
    println!(
        "CPU of a message, ours by RocketMQ's, median of {ROUNDS} paired rounds: {ratio:.3} (goal {GOAL})"
    );
    Ok(ratio)
}

/// One run of the benchmark; the client's own start is outside its rate.
fn load(jars: &Jars, contender: &Contender, messages: u64) -> Result<Cost> {
    let before = contender.broker().cpu()?;
    let said = run(Command::new("java")
        .args([
            "-Xmx1g",
            "-Dorg.apache.rocketmq.client.sendSmartMsg=true",
            "-cp",
            &jars.class_path(),
            "org.apache.rocketmq.example.benchmark.Producer",
        ])
        .args(["-n", &contender.name_server, "-t", TOPIC])
        .args(["-w", THREADS, "-s", BODY, "-q", &messages.to_string()]))?;
    let cpu = contender.broker().cpu()? - before;
    let sum = said.lines().rfind(|line| line.starts_with("[Complete]"));
    let sum = sum.with_context(|| format!("the benchmark did not end but said {said}"))?;
    let field = |name: &str| -> Result<f64> {
        let value = sum
            .split('|')
            .find_map(|field| field.trim().strip_prefix(name));
        let value = value.with_context(|| format!("{sum:?} has no {name}"))?;
        Ok(value.trim().parse()?)
    };
    let refused = field("Send Failed:")? + field("Response Failed:")?;
    if refused > 0.0 {
        println!("       {} refused {refused} of {messages}", contender.name);
    }
    ensure!(
        refused == 0.0 || contender.may_refuse,
        "{} refused messages: {sum}",
        contender.name
    );
    Ok(Cost {
        messages_a_second: field("Send TPS:")?,
        cpu: cpu * 1e6 / (messages as f64 - refused),
    })
}
