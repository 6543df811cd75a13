//! Reads the stores of a real RocketMQ 5.5.0 and compares them with what its own tools say of
//! them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use model::record::{self, Frame, RecordView, Version};
use model::{Checksum, LogOffset, Topic, TransactionState, index_keys, properties, tags_code};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const DATA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/data/rocketmq-5.5.0"
);
const STORES: [&str; 3] = ["clean", "killed", "clients"];

/// Segments of one store's commit log by their first offset.
fn segments(store: &str) -> BTreeMap<u64, Bytes> {
    let archive = File::open(format!("{DATA}/store-{store}.tar.zst")).expect("the archive opens");
    let archive = zstd::Decoder::new(archive).expect("the archive is zstd");
    let mut archive = tar::Archive::new(archive);
    let mut segments = BTreeMap::new();
    for entry in archive.entries().expect("the archive is a tar") {
        let mut entry = entry.expect("a whole entry");
        let path = entry.path().expect("a path").to_string_lossy().into_owned();
        let Some(start) = path
            .strip_prefix("store/commitlog/")
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let mut segment = Vec::new();
        entry.read_to_end(&mut segment).expect("a whole segment");
        segments.insert(start, Bytes::from(segment));
    }
    segments
}

fn lines(store: &str, kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(format!("{DATA}/store-{store}.{kind}.jsonl")).expect("a list");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

/// Every record of a store: where it is, and its bytes.
fn records(store: &str) -> Vec<(LogOffset, Bytes)> {
    let mut found = Vec::new();
    for (start, segment) in segments(store) {
        let mut at = 0;
        while let Frame::Record { size, .. } = Frame::peek(&segment[at..]).expect("a sane frame") {
            let end = at + size as usize;
            found.push((LogOffset(start + at as u64), segment.slice(at..end)));
            at = end;
        }
    }
    found
}

/// What the manifest says about the frame at this place, as far as this crate knows it.
fn describe(file: u64, at: usize, segment: &Bytes) -> Option<Value> {
    let place = json!({ "file": format!("{file:020}"), "physicalOffset": file + at as u64 });
    let facts = match Frame::peek(&segment[at..]).expect("a sane frame") {
        Frame::End => return None,
        Frame::Blank { size } => json!({ "size": size, "kind": "blank" }),
        Frame::Record { .. } => describe_record(&segment.slice(at..)),
    };
    let mut line = place;
    let members = facts.as_object().expect("facts are an object").clone();
    line.as_object_mut()
        .expect("a place is an object")
        .extend(members);
    Some(line)
}

fn describe_record(bytes: &Bytes) -> Value {
    let stored = record::decode(bytes).expect("a record");
    let message = &stored.message;
    let properties: HashMap<&str, &str> = message.properties.iter().collect();
    json!({
        "size": stored.size,
        "kind": match stored.version { Version::V1 => "v1", Version::V2 => "v2" },
        "topic": message.topic.as_str(),
        "queueId": message.queue,
        "queueOffset": stored.queue_offset.0,
        "sysFlag": message.sys_flag.0,
        "flag": message.flag,
        "bornTimestamp": message.born.0,
        "storeTimestamp": stored.stored.0,
        "bornHost": written_by_java(message.born_host),
        "storeHost": written_by_java(stored.store_host),
        "reconsumeTimes": message.reconsume_times,
        "preparedTransactionOffset": message.prepared_transaction_offset,
        "bodyCRC": stored.body_crc,
        "bodyLength": message.body.len(),
        "bodySha256": hex(&Sha256::digest(&message.body)),
        "offsetMsgId": stored.message_id().to_string(),
        "properties": properties,
    })
}

/// Java writes every group of an IPv6 address.
fn written_by_java(host: SocketAddr) -> String {
    let IpAddr::V6(ip) = host.ip() else {
        return host.to_string();
    };
    let groups = ip.segments().map(|group| format!("{group:x}"));
    format!("[{}]:{}", groups.join(":"), host.port())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_record_reads_as_rocketmq_reads_it() {
    for store in STORES {
        let mut expected = lines(store, "manifest");
        for line in &mut expected {
            let line = line.as_object_mut().expect("a line is an object");
            for of_the_plain_body in ["compression", "plainLength", "plainSha256"] {
                line.remove(of_the_plain_body);
            }
        }
        let mut expected = expected.into_iter();
        for (file, segment) in segments(store) {
            let mut at = 0;
            while let Some(found) = describe(file, at, &segment) {
                at += found["size"].as_u64().expect("a size") as usize;
                assert_eq!(Some(found), expected.next(), "{store}");
                if at == segment.len() {
                    break;
                }
            }
        }
        assert_eq!(expected.next(), None, "{store}: a record was not found");
    }
}

#[test]
fn every_record_is_written_again_byte_for_byte() {
    for store in STORES {
        let records = records(store);
        assert!(records.len() > 200, "{store}");
        for (at, bytes) in records {
            record::check(&bytes, Checksum::Body).expect("the checksum holds");
            let stored = record::decode(&bytes).expect("a record");
            assert_eq!(stored.log_offset, at, "{store}");
            assert_eq!(stored.checksum, Checksum::Body, "{store} at {at}");
            let again = stored.encode().expect("it fits, as it did").to_bytes();
            assert_eq!(again, bytes, "{store} at {at}");
        }
    }
}

#[test]
fn every_record_of_a_store_can_be_given_a_checksum_of_all_of_itself() {
    for (at, bytes) in records("clean") {
        let mut stored = record::decode(&bytes).expect("a record");
        stored.checksum = Checksum::Record;
        let guarded = stored.encode().expect("there is room").to_bytes();
        let read = record::check(&guarded, Checksum::Record).expect("the checksum holds");
        assert_eq!(read.checksum(), Checksum::Record, "at {at}");
        assert_eq!(read.body, stored.message.body);
    }
}

#[test]
fn tags_codes_are_those_of_the_queue_entries() {
    let mut compared = 0;
    for store in STORES {
        let records: HashMap<u64, Bytes> = records(store)
            .into_iter()
            .map(|(at, bytes)| (at.0, bytes))
            .collect();
        for queue in lines(store, "queues") {
            // The queues of the schedule topic keep due times there.
            if queue["topic"] == model::system_topics::SCHEDULE {
                continue;
            }
            for entry in queue["entries"].as_array().expect("a list of entries") {
                let Some(bytes) = entry[0].as_u64().and_then(|at| records.get(&at)) else {
                    continue;
                };
                let record = record::view(bytes).expect("a record");
                assert_eq!(entry[1], u64::from(record.size()), "{store} {entry}");
                let code = tags_code(record.properties.get(properties::TAGS));
                assert_eq!(entry[2], code, "{store} {entry} {}", record.topic);
                compared += 1;
            }
        }
    }
    assert!(compared > 900, "only {compared} entries were compared");
}

#[test]
fn keys_hash_as_in_rocketmqs_index() {
    for store in STORES {
        let records = records(store);
        let ours: BTreeSet<(u64, u64)> = records
            .iter()
            .flat_map(|(at, bytes)| {
                let record = record::view(bytes).expect("a record");
                hashes(&record)
                    .into_iter()
                    .map(|hash| (at.0, hash))
                    .collect::<Vec<_>>()
            })
            .collect();
        let mut theirs = BTreeSet::new();
        for index in lines(store, "index") {
            // The first entry of an index file is never used.
            for entry in &index["entries"].as_array().expect("a list of entries")[1..] {
                let number = |at: usize| entry[at].as_u64().expect("a number");
                theirs.insert((number(1), number(0)));
            }
        }
        assert!(theirs.len() > 500, "{store}");
        assert_eq!(
            ours.difference(&theirs).collect::<Vec<_>>(),
            Vec::<&(u64, u64)>::new(),
            "{store}"
        );
        assert_eq!(
            theirs.difference(&ours).collect::<Vec<_>>(),
            Vec::<&(u64, u64)>::new(),
            "{store}"
        );
    }
}

/// Hashes under which RocketMQ indexes a record; it leaves out what was rolled back.
fn hashes(record: &RecordView<'_>) -> Vec<u64> {
    if record.sys_flag.transaction() == TransactionState::RolledBack {
        return Vec::new();
    }
    let topic = Topic::stored(record.topic).expect("a topic");
    index_keys(record.properties)
        .map(|key| u64::from(key.hash_in(&topic)))
        .collect()
}

#[test]
fn the_inner_batches_of_a_store_are_batch_bodies() {
    let mut batches = 0;
    for (at, bytes) in records("clean") {
        let record = record::view(&bytes).expect("a record");
        if !record.sys_flag.is_inner_batch() {
            continue;
        }
        let body = Bytes::copy_from_slice(record.body);
        let entries = model::batch::decode(&body).expect("a batch");
        let number = record.properties.get(properties::INNER_NUMBER);
        assert_eq!(number, Some(entries.len().to_string().as_str()), "at {at}");
        assert_eq!(model::batch::encode(&entries), Ok(body), "at {at}");
        batches += 1;
    }
    assert!(batches > 0);
}

#[test]
fn the_batch_that_a_broker_took_for_one_message_is_a_batch_body() {
    let records = records("clients");
    let (_, bytes) = records
        .iter()
        .find(|(at, _)| *at == LogOffset(38_454))
        .expect("the batch of the C++ client");
    let record = record::view(bytes).expect("a record");
    let entries = model::batch::decode(&Bytes::copy_from_slice(record.body)).expect("a batch");
    assert!(entries.len() > 1);
    assert!(entries.iter().all(|entry| !entry.body.is_empty()));
}
