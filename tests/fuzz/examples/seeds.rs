//! Leaves real bytes as inputs of a target: `cargo run -p fuzz --example seeds -- TARGET FOLDER`.
//!
//! Frames come from captured conversations with a real RocketMQ, records from what those
//! carried, filters from the table of its own answers.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use model::record::Records;
use protocol::{Frame, Serialization};
use serde_json::Value;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, folder] = &arguments[..] else {
        panic!("seeds TARGET FOLDER");
    };
    let folder = Path::new(folder);
    fs::create_dir_all(folder).expect("the folder can be made");
    for (number, seed) in seeds(target).iter().enumerate() {
        fs::write(folder.join(format!("seed-{number}")), seed).expect("the folder is writable");
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "frame" => frames()
            .iter()
            .map(|frame| [&[0x53], &frame[..]].concat())
            .collect(),
        "headers" => frames().iter().filter_map(|frame| header(frame)).collect(),
        "body" => bodies().iter().flat_map(as_every_kind).collect(),
        "record" => records().map(|record| record.to_vec()).collect(),
        "properties" => records().filter_map(|record| properties(&record)).collect(),
        "sql-filter" => filters(),
        "import" => imports(),
        "settings" => settings_files(),
        "recovery" => damage(),
        _ => Vec::new(),
    }
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data")
}

/// Every frame of every captured conversation.
fn frames() -> Vec<Vec<u8>> {
    let folder = data().join("rocketmq-5.5.0/frames");
    let files = fs::read_dir(folder).expect("the captures are there");
    let mut frames = Vec::new();
    for file in files {
        let text = fs::read_to_string(file.expect("an entry").path()).expect("a capture");
        for line in text.lines() {
            let described: Value = serde_json::from_str(line).expect("a captured frame");
            frames.extend(described["frame"].as_str().map(from_hex));
        }
    }
    frames
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hexadecimal") as u8;
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn header(frame: &[u8]) -> Option<Vec<u8>> {
    let form = *frame.get(4)?;
    let length = u32::from_be_bytes([0, frame[5], frame[6], frame[7]]) as usize;
    Some([&[form], frame.get(8..8 + length)?].concat())
}

fn decoded() -> impl Iterator<Item = Frame> {
    let frames = frames().into_iter();
    frames.filter_map(|frame| Frame::decode(&mut BytesMut::from(&frame[..])).ok()?)
}

fn bodies() -> Vec<Bytes> {
    let bodies = decoded().map(|frame| frame.body);
    bodies
        .filter(|body| !body.is_empty() && body.len() < 2_000)
        .collect()
}

fn as_every_kind(body: &Bytes) -> Vec<Vec<u8>> {
    let kinds = 0..fuzz::BODY_KINDS as u8;
    kinds.map(|kind| [&[kind], &body[..]].concat()).collect()
}

/// What pull replies carried.
fn records() -> impl Iterator<Item = Bytes> {
    decoded()
        .filter(|frame| frame.serialization == Serialization::Json || !frame.body.is_empty())
        .map(|frame| frame.body)
        .filter(|body| {
            Records::new(body.clone())
                .next()
                .is_some_and(|record| record.is_ok())
        })
}

fn properties(record: &Bytes) -> Option<Vec<u8>> {
    let record = model::record::view(record).ok()?;
    Some([record.properties.as_bytes(), b"\0TAGS\0a\0KEYS\0"].concat())
}

fn filters() -> Vec<Vec<u8>> {
    let table = fs::read_to_string(data().join("sql-filter/rocketmq-5.5.0.tsv"));
    let table = table.expect("the table is there");
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    rows.flat_map(|row| row.split('\t'))
        .map(|cell| cell.as_bytes().to_vec())
        .collect()
}

fn imports() -> Vec<Vec<u8>> {
    [
        r#"{"topicConfigTable":{"orders":{"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"orders","topicSysFlag":0,"writeQueueNums":4,"attributes":{"+message.type":"FIFO"}}}}"#,
        r#"{"subscriptionGroupTable":{"billing":{"groupName":"billing","consumeEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"brokerId":0,"whichBrokerWhenConsumeSlowly":1,"notifyConsumerIdsChangedEnable":true,"groupSysFlag":0}}}"#,
        r#"{"offsetTable":{"orders@billing":{0:17,1:-1,2:"3"},"%RETRY%billing@billing":{0:1}}}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into_iter()
    .fold(vec![Vec::new()], |mut seeds, text| {
        let last = seeds.last().expect("there is one").clone();
        seeds.push(if last.is_empty() { text } else { [&last[..], &[0], &text].concat() });
        seeds
    })
}

/// A `broker.conf` with every kind of line, a name server's file, our own, and each line alone.
fn settings_files() -> Vec<Vec<u8>> {
    let broker = "# a comment\n! another\n\nbrokerClusterName = C\nbrokerName=b\nbrokerId=0\n\
        namesrvAddr=a.example:9876;192.0.2.7:9876\nlistenPort=20911\nbindAddress=0.0.0.0\n\
        brokerIP1=192.0.2.7\nflushDiskType=SYNC_FLUSH\nbrokerRole=ASYNC_MASTER\n\
        mappedFileSizeCommitLog=1048576\nmaxMessageSize: 4194304\ndeleteWhen=04\n\
        fileReservedTime=48\nstorePathRootDir=/s\nstorePathCommitLog=/s/commitlog/\n\
        diskSpaceCleanForciblyRatio=85\ndiskSpaceWarningLevelRatio=90\n\
        autoCreateTopicEnable=true\nautoCreateSubscriptionGroup=false\n\
        messageDelayLevel=1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h\n\
        defaultTopicQueueNums=8\nauthenticationEnabled=true\nrocketmqHome=/x\n\
        sendMessageThreadPoolNums=4\nbrokerNmae=b\nnonsense\n";
    let name_server = "listenPort=19876\nbindAddress=192.0.2.7\nkvConfigPath=/x\n\
        clusterTest=true\nrocketmqHome=/x\n";
    let files = [broker, name_server, settings::DEFAULT];
    let lines = files.iter().flat_map(|file| file.lines());
    let texts = files.iter().copied().chain(lines);
    texts.map(|text| text.as_bytes().to_vec()).collect()
}

/// Each kind of damage, once for each store.
fn damage() -> Vec<Vec<u8>> {
    let stores = 0..5u8;
    stores
        .flat_map(|store| (0..14u8).map(move |kind| vec![store, kind, 1, 2, 3, 4, 5, 6, 7]))
        .collect()
}
