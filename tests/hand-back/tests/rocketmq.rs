//! A store of RocketMQ 5.5.0 is adopted, used, handed back to a real RocketMQ 5.5.0, used there,
//! and adopted again. Nothing is lost, moved or delivered a second time.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hand_back::{ADDRESS, Messages, OurBroker, consumed, run};
use peers::{Jars, RocketMq};
use serde_json::Value;
use store::Settings;

const TOPIC: &str = "HandBack";
const DELAYED: &str = "HandBackDelay";
/// What the driver sends to the topic: plain, large, and a batch.
const SENT: usize = 40 + 12 + 10;
/// How long RocketMQ may take to deliver what waits a minute.
const A_MINUTE: Duration = Duration::from_secs(100);

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../data/rocketmq-5.5.0")
        .join(name)
}

/// The recorded store's own size of a segment, and no record too old to be kept.
fn settings() -> Settings {
    Settings {
        segment_bytes: 262_144,
        retention_hours: 24 * 365 * 1_000,
        refuse_percent: 99,
        clean_percent: 99,
        ..Settings::default()
    }
}

/// Topics of the recorded store that are not RocketMQ's own.
fn recorded_topics() -> Result<BTreeSet<String>> {
    let own = ["RMQ_SYS_", "rmq_sys_", "SCHEDULE_TOPIC_"];
    let mut topics = BTreeSet::new();
    for line in std::fs::read_to_string(data("store-clean.manifest.jsonl"))?.lines() {
        let record: Value = serde_json::from_str(line)?;
        let topic = record["topic"].as_str().unwrap_or_default();
        if !topic.is_empty() && !own.iter().any(|prefix| topic.starts_with(prefix)) {
            topics.insert(topic.to_owned());
        }
    }
    Ok(topics)
}

fn rocketmq(folder: &Path, lines: &[String]) -> Result<RocketMq> {
    std::fs::create_dir_all(folder)?;
    let mut settings: Vec<&str> = lines.iter().map(String::as_str).collect();
    settings.extend(["diskMaxUsedSpaceRatio=99", "timerMaxDelaySec=157680000"]);
    RocketMq::start(&Jars::rocketmq("5.5.0")?, folder, ADDRESS, &settings)
}

fn read<'a>(topics: impl IntoIterator<Item = &'a String>) -> Result<Messages> {
    consumed(topics.into_iter().map(String::as_str))
}

fn all_are_there(before: &Messages, after: &Messages) -> Result<()> {
    for (place, message) in before {
        let now = after
            .get(place)
            .with_context(|| format!("{place:?} is missing"))?;
        ensure!(now == message, "{place:?} was {message}, is {now}");
    }
    Ok(())
}

/// How often each delayed message was delivered.
fn deliveries(messages: &Messages) -> BTreeMap<String, usize> {
    let mut delivered = BTreeMap::new();
    for ((topic, ..), message) in messages {
        if topic == DELAYED {
            let key = message["properties"]["KEYS"].as_str().unwrap_or_default();
            *delivered.entry(key.to_owned()).or_default() += 1;
        }
    }
    delivered
}

fn once(keys: std::ops::Range<usize>) -> BTreeMap<String, usize> {
    keys.map(|number| (format!("delayed-{number}"), 1))
        .collect()
}

#[test]
fn a_store_goes_to_rocketmq_and_comes_home() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ours = folder.path().join("ours");
    let archive = zstd::Decoder::new(File::open(data("store-clean.tar.zst"))?)?;
    tar::Archive::new(archive).unpack(&ours)?;
    let mut topics = recorded_topics()?;
    topics.extend([TOPIC, DELAYED].map(str::to_owned));

    let broker = OurBroker::start(&ours, settings())?;
    run("HandBack", ["fill", &format!("{ADDRESS}:10911")])?;
    let consumed_here = run("HandBack", ["consume", &SENT.to_string()])?;
    ensure!(
        consumed_here.len() == SENT,
        "{} consumed",
        consumed_here.len()
    );
    run("HandBack", ["delay"])?;
    let before = read(&topics)?;
    ensure!(
        deliveries(&before) == once(0..3),
        "{:?}",
        deliveries(&before)
    );
    let state = run("HandBack", ["state"])?;
    broker.stop()?;

    let theirs = folder.path().join("theirs");
    let handed = OurBroker::hand_back(&ours, &settings(), theirs.join("store"))?;
    println!("{handed:?}");
    ensure!(
        handed.exported.segments > 2,
        "the log spans several segments"
    );

    let mut server = rocketmq(&folder.path().join("rocketmq"), &handed.settings)?;
    let there = run("HandBack", ["state"])?;
    ensure!(there == state, "{state:?}\nbecame\n{there:?}");
    let mut after = read(&topics)?;
    all_are_there(&before, &after)?;
    let begun = std::time::Instant::now();
    while deliveries(&after) != once(0..6) {
        ensure!(begun.elapsed() < A_MINUTE, "{:?}", deliveries(&after));
        std::thread::sleep(Duration::from_secs(2));
        after = read(&topics)?;
    }
    let sent = run("HandBack", ["send", "there"])?;
    for line in &sent {
        let queue = line["queue"].as_u64().context("a queue")?;
        let here = before
            .keys()
            .filter(|(topic, number, _)| topic == TOPIC && *number == queue);
        ensure!(
            line["offset"] == here.count(),
            "{line} is not the next offset"
        );
    }
    // What had failed here comes again there, and nothing else does.
    let consumed_there = run("HandBack", ["consume", "5"])?;
    let keys: BTreeSet<_> = consumed_there
        .iter()
        .map(|line| &line["key"])
        .map(Value::to_string)
        .collect();
    let expected: BTreeSet<_> = ["hb-3 all", "there-0", "there-1", "there-2", "there-3"]
        .map(|key| Value::from(key).to_string())
        .into();
    ensure!(
        keys == expected && consumed_there.len() == 5,
        "{consumed_there:?}"
    );
    let after = read(&topics)?;
    // A virtual machine that is told to end says so by its status.
    server.broker.terminate()?;
    drop(server);

    let broker = OurBroker::start(&theirs, settings())?;
    let home = read(&topics)?;
    all_are_there(&after, &home)?;
    ensure!(deliveries(&home) == once(0..6), "{:?}", deliveries(&home));
    let sent = run("HandBack", ["send", "home"])?;
    ensure!(sent.len() == 4, "{sent:?}");
    // Its group goes on as well: nothing but what is new.
    let consumed_home = run("HandBack", ["consume", "4"])?;
    ensure!(consumed_home.len() == 4, "{consumed_home:?}");
    broker.stop()?;
    println!("{} messages there and back", home.len());
    Ok(())
}
