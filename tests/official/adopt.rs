//! Store directories of a real RocketMQ 5.5.0, opened in place.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use peers::{Jars, javac};
use protocol::headers::{OffsetReply, QueryConsumerOffset};
use protocol::{ExtFields, Frame, ReadFields, RequestCode};
use serde_json::Value;

use crate::millstream::Millstream;
use crate::remoting::{Remote, route};

/// Answers of the real broker that are not repeated, and why.
const KNOWN: &[(&str, &str, &str)] = &[
    ("GoldenDelay", "maxOffset", MEANWHILE),
    ("GoldenDelay", "\"offset\"", MEANWHILE),
    ("a > '3'", "", FILTERS),
];
const MEANWHILE: &str = "delayed messages have become due since the recording";
const FILTERS: &str = "a filter that cannot be read is refused, not taken for everything";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/rocketmq-5.5.0")
        .join(name)
}

fn lines(name: &str) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(data(name))?;
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

/// A copy of a store, and a broker that has opened it where it lies.
struct Adopted {
    store: PathBuf,
    millstream: Millstream,
    _folder: tempfile::TempDir,
}

fn adopted(name: &str) -> Result<Adopted> {
    let folder = tempfile::tempdir()?;
    let archive = zstd::Decoder::new(File::open(data(&format!("{name}.tar.zst")))?)?;
    tar::Archive::new(archive).unpack(folder.path())?;
    let store = folder.path().join("store");
    let millstream = Millstream::with(
        &folder.path().join("millstream"),
        &[
            format!("store.path={}", store.display()),
            // The store may be years old by now.
            "store.retention=8760000h".to_owned(),
        ],
    )?;
    Ok(Adopted {
        store,
        millstream,
        _folder: folder,
    })
}

/// What RocketMQ uses for itself; these messages wait for machines that are not built yet.
fn is_ordinary(topic: &str) -> bool {
    let own = ["RMQ_SYS_", "rmq_sys_", "SCHEDULE_TOPIC_"];
    !own.iter().any(|prefix| topic.starts_with(prefix))
}

fn text<'a>(line: &'a Value, member: &str) -> &'a str {
    line[member].as_str().unwrap_or_default()
}

type Place = (String, u64, u64);

fn place(line: &Value) -> Place {
    let number = |member: &str| line[member].as_u64().unwrap_or(u64::MAX);
    (
        text(line, "topic").to_owned(),
        number("queueId"),
        number("queueOffset"),
    )
}

/// Reads every queue of the topics with the Java client.
fn consumed(name_server: &str, topics: &BTreeSet<String>) -> Result<HashMap<Place, Value>> {
    let jars = Jars::rocketmq("5.5.0")?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers/java/Adopted.java");
    let classes = javac("adopted-5.5.0", &[source], &jars)?;
    let home = tempfile::tempdir()?;
    let output = Command::new("java")
        .args(["-Xmx256m", "-Drocketmq.client.logLevel=OFF"])
        .arg(format!("-Duser.home={}", home.path().display()))
        .arg("-cp")
        .arg(format!("{}:{}", classes.display(), jars.class_path()))
        .args(["Adopted", name_server])
        .args(topics)
        .output()
        .context("cannot start java")?;
    let printed = String::from_utf8(output.stdout)?;
    let mut messages = HashMap::new();
    let mut done = false;
    for line in printed.lines().filter(|line| line.starts_with('{')) {
        let line: Value = serde_json::from_str(line)?;
        if line["done"] == true {
            done = true;
            continue;
        }
        let again = messages.insert(place(&line), line);
        ensure!(again.is_none(), "one place was read twice: {again:?}");
    }
    ensure!(done, "{}", String::from_utf8_lossy(&output.stderr));
    Ok(messages)
}

/// A record as the consumer must see it: the manifest's members under the consumer's names.
fn check_message(record: &Value, message: &Value) -> Result<()> {
    for member in [
        "physicalOffset",
        "offsetMsgId",
        "bornTimestamp",
        "storeTimestamp",
        "reconsumeTimes",
        "flag",
    ] {
        ensure!(
            record[member] == message[member],
            "{member} was {}, is {}: {message}",
            record[member],
            message[member]
        );
    }
    let body = match text(record, "plainSha256") {
        "" => text(record, "bodySha256"),
        plain => plain,
    };
    ensure!(body == text(message, "body"), "another body: {message}");
    for (name, value) in record["properties"].as_object().into_iter().flatten() {
        ensure!(
            message["properties"][name] == *value,
            "property {name} was {value}: {message}"
        );
    }
    Ok(())
}

fn every_message_is_served(store: &str) -> Result<usize> {
    let records = lines(&format!("{store}.manifest.jsonl"))?;
    let records: Vec<_> = records
        .iter()
        .filter(|record| record["topic"].is_string() && is_ordinary(text(record, "topic")))
        .collect();
    let topics: BTreeSet<_> = records
        .iter()
        .map(|record| text(record, "topic").to_owned())
        .collect();
    let adopted = adopted(store)?;
    for topic in &topics {
        route(&adopted.millstream.name_server, topic)?;
    }
    let messages = consumed(&adopted.millstream.name_server, &topics)?;
    let mut checked = 0;
    for record in records {
        // The client opens a record that holds several messages.
        let inner = text(&record["properties"], "INNER_NUM")
            .parse()
            .unwrap_or(0);
        let (topic, queue, offset) = place(record);
        for number in 0..inner {
            let place = (topic.clone(), queue, offset + number);
            ensure!(messages.contains_key(&place), "{place:?} is missing");
            checked += 1;
        }
        if inner == 0 {
            let place = (topic, queue, offset);
            let message = messages
                .get(&place)
                .with_context(|| format!("{place:?} is missing"))?;
            check_message(record, message)?;
            checked += 1;
        }
    }
    check_offsets(&adopted)?;
    adopted.millstream.stop()?;
    Ok(checked)
}

/// Every position in RocketMQ's own files is what the broker answers.
fn check_offsets(adopted: &Adopted) -> Result<()> {
    let file = |name: &str| std::fs::read(adopted.store.join("config").join(name));
    let file = file("lmqConsumerOffset.json").or_else(|_| file("consumerOffset.json"))?;
    let file: Value = protocol::body::decode(&file)?;
    let mut remote = Remote::connect(&adopted.millstream.broker)?;
    let mut checked = 0;
    for (names, queues) in file["offsetTable"].as_object().into_iter().flatten() {
        let (topic, group) = names.split_once('@').context("a key is topic@group")?;
        for (queue, offset) in queues.as_object().into_iter().flatten() {
            // Kept for a queue that was assigned and never read.
            let Some(offset) = offset.as_i64().filter(|offset| *offset >= 0) else {
                continue;
            };
            let header = QueryConsumerOffset {
                group,
                topic,
                queue: queue.parse()?,
                zero_if_not_found: Some(false),
                broker: None,
            };
            let answer = remote.ask(
                RequestCode::QUERY_CONSUMER_OFFSET,
                ExtFields::of(&header),
                Bytes::new(),
            )?;
            ensure!(
                answer.header.code == 0,
                "{names}, queue {queue}: {}",
                answer.header.remark()
            );
            let kept = OffsetReply::read_fields(&answer.header.ext)?.offset;
            ensure!(
                kept == offset,
                "{names}, queue {queue}: {offset} became {kept}"
            );
            checked += 1;
        }
    }
    ensure!(checked > 10, "only {checked} offsets were compared");
    Ok(())
}

#[test]
fn a_store_that_was_closed_is_served_in_place() -> Result<()> {
    let served = every_message_is_served("store-clean")?;
    println!("{served} messages");
    Ok(())
}

#[test]
fn a_store_that_was_killed_is_served_in_place() -> Result<()> {
    let served = every_message_is_served("store-killed")?;
    println!("{served} messages");
    Ok(())
}

#[test]
fn the_store_of_every_client_is_served_in_place() -> Result<()> {
    let served = every_message_is_served("store-clients")?;
    println!("{served} messages");
    Ok(())
}

/// Recorded requests with the answers of the real broker, by connection and number.
fn exchanges(name: &str) -> Result<Vec<(Frame, Frame)>> {
    let mut asked = BTreeMap::new();
    let mut exchanges = Vec::new();
    for line in lines(&format!("frames/{name}.jsonl"))? {
        let Some(hex) = line["frame"].as_str() else {
            continue;
        };
        let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16);
        let bytes: Result<Vec<u8>, _> = (0..hex.len()).step_by(2).map(digits).collect();
        let frame = Frame::decode(&mut BytesMut::from(&bytes?[..]))?.context("a whole frame")?;
        let key = (line["conn"].as_u64(), frame.header.opaque);
        if text(&line, "dir") == "c2s" {
            asked.insert(key, frame);
        } else if let Some(request) = asked.remove(&key) {
            exchanges.push((request, frame));
        }
    }
    Ok(exchanges)
}

#[test]
fn reads_of_an_adopted_store_are_answered_byte_for_byte() -> Result<()> {
    let adopted = adopted("store-clean")?;
    let mut remote = Remote::connect(&adopted.millstream.broker)?;
    let mut different = Vec::new();
    let mut compared = 0;
    for name in ["store-clean-queues", "store-clean-queries"] {
        for (request, there) in exchanges(name)? {
            let here = remote.send(&request)?;
            compared += 1;
            let code = request.header.code;
            let asked: Vec<_> = request.header.ext.iter().collect();
            let asked = format!("{asked:?}");
            for difference in differences(&there, &here) {
                let known = KNOWN
                    .iter()
                    .find(|known| asked.contains(known.0) && difference.contains(known.1));
                match known {
                    Some((_, _, why)) => println!("{name}, code {code}: {why}"),
                    None => different.push(format!("{name}, code {code} {asked}: {difference}")),
                }
            }
        }
    }
    assert!(
        different.is_empty(),
        "{} differences in {compared} answers:\n{}",
        different.len(),
        different.join("\n")
    );
    println!("{compared} answers compared");
    adopted.millstream.stop()
}

fn differences(there: &Frame, here: &Frame) -> Vec<String> {
    let mut found = Vec::new();
    if there.header.code != here.header.code {
        found.push(format!(
            "code {} there, {} here ({})",
            there.header.code,
            here.header.code,
            here.header.remark()
        ));
    }
    let fields = |frame: &Frame| -> BTreeMap<String, String> {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let lasting = |(name, _): &(&str, &str)| !name.starts_with("indexLastUpdate");
        frame.header.ext.iter().filter(lasting).map(own).collect()
    };
    if fields(there) != fields(here) {
        found.push(format!(
            "{:?} there, {:?} here",
            fields(there),
            fields(here)
        ));
    }
    if there.body != here.body && pieces(there) != pieces(here) {
        let show = |body: &[u8]| String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned();
        found.push(format!(
            "{} bytes there, {} here: {} there, {} here",
            there.body.len(),
            here.body.len(),
            show(&there.body),
            show(&here.body)
        ));
    }
    found
}

/// A table of queues in an order of its own: RocketMQ writes the order of a hash map.
fn pieces(frame: &Frame) -> Vec<String> {
    let text = String::from_utf8_lossy(&frame.body).into_owned();
    let piece = |piece: &str| {
        let from = piece.find("\"brokerName\"").unwrap_or(0);
        piece[from..].trim_matches(['{', '}']).to_owned()
    };
    let mut pieces: Vec<_> = text.split("},").map(piece).collect();
    pieces.sort();
    pieces
}
