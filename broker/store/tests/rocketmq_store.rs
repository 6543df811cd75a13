//! A directory written by RocketMQ 5.5.0 is opened in place, and shows what RocketMQ shows.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use model::{
    Checksum, IndexKey, LogOffset, Message, QueueId, QueueOffset, Timestamp, Topic, record,
};
use runtime::{Clock, RealDisk, Tasks};
use serde_json::Value;
use store::{MessageStore, ReadLimit, ReadStatus, Recovery, Settings};
use tempfile::TempDir;

/// The newest record in RocketMQ's index when it was asked for keys.
const LAST_INDEXED: u64 = 505_274;

fn data(name: &str) -> PathBuf {
    let data = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/rocketmq-5.5.0"
    );
    Path::new(data).join(name)
}

fn lines(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(data(name)).expect("the facts are there");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

fn unpack(name: &str) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    let archive = File::open(data(&format!("{name}.tar.zst"))).expect("the archive is there");
    let plain = zstd::Decoder::new(archive).expect("it is zstd");
    tar::Archive::new(plain)
        .unpack(directory.path())
        .expect("it unpacks");
    directory
}

fn open(root: &Path) -> (MessageStore, Recovery) {
    let settings = Settings {
        segment_bytes: 1 << 20,
        retention_hours: 24 * 365 * 1_000,
        refuse_percent: 101,
        clean_percent: 101,
        ..Settings::default()
    };
    let clock = Clock::real();
    let tasks = Tasks::new(clock.clone());
    MessageStore::open(root.to_owned(), settings, RealDisk::new(), clock, tasks)
        .expect("the store opens")
}

fn queue_of(fact: &Value) -> QueueId {
    let topic = Topic::stored(fact["topic"].as_str().expect("a topic")).expect("a sane topic");
    QueueId::new(topic, fact["queueId"].as_u64().expect("a queue") as u32)
}

/// Entries as the facts have them: log offset, size, tags code.
async fn entries(store: &MessageStore, queue: &QueueId) -> Vec<(u64, u64, i64, u64, u64)> {
    let mut all = Vec::new();
    let mut from = QueueOffset(0);
    loop {
        let some = store
            .entries(queue, from, 7)
            .await
            .expect("the index is whole");
        let Some(last) = some.last() else { return all };
        from = last.next();
        all.extend(some.iter().map(|entry| {
            let (base, count) = (entry.queue_offset.0, u64::from(entry.count));
            (
                entry.log_offset.0,
                u64::from(entry.size),
                entry.tags_code,
                base,
                count,
            )
        }));
    }
}

async fn check_queues(store: &MessageStore, name: &str) {
    let mut expected = BTreeMap::new();
    for fact in lines(&format!("{name}.queues.jsonl")) {
        let batch = fact["kind"] == "batchconsumequeue";
        let number = |value: &Value| value.as_i64().expect("a number");
        let mut base = 0;
        let entries: Vec<_> = fact["entries"]
            .as_array()
            .expect("entries")
            .iter()
            .map(|entry| {
                let count = if batch { number(&entry[5]) } else { 1 };
                let here = if batch { number(&entry[4]) } else { base };
                base = here + count;
                (
                    number(&entry[0]) as u64,
                    number(&entry[1]) as u64,
                    number(&entry[2]),
                    here as u64,
                    count as u64,
                )
            })
            .collect();
        expected.insert(
            queue_of(&fact),
            (entries, number(&fact["maxOffset"]) as u64),
        );
    }
    assert_eq!(store.queues(), expected.keys().cloned().collect::<Vec<_>>());
    for (queue, (expected, end)) in expected {
        assert_eq!(entries(store, &queue).await, expected, "{queue}");
        let bounds = store.bounds(&queue).expect("the queue is there");
        assert_eq!((bounds.min.0, bounds.max.0), (0, end), "{queue}");
    }
}

async fn check_records(store: &MessageStore, name: &str) {
    for fact in lines(&format!("{name}.manifest.jsonl")) {
        if fact["kind"] == "blank" {
            continue;
        }
        let at = LogOffset(fact["physicalOffset"].as_u64().expect("an offset"));
        let bytes = store.record_at(at).await.expect("the record is there");
        let found = record::view(&bytes).expect("it is a record");
        assert_eq!(found.topic, fact["topic"]);
        assert_eq!(Some(found.queue_offset.0), fact["queueOffset"].as_u64());
        assert_eq!(Some(found.stored.0), fact["storeTimestamp"].as_i64());
    }
}

#[tokio::test]
async fn every_queue_of_a_cleanly_closed_store_has_rocketmqs_entries() {
    let directory = unpack("store-clean");
    let (store, report) = open(&directory.path().join("store"));
    assert!(
        report.clean && report.rebuilt && report.cut.is_none(),
        "{report:?}"
    );
    assert_eq!((report.replayed, report.end.0), (432, 506_888));
    check_queues(&store, "store-clean").await;
    check_records(&store, "store-clean").await;
}

#[tokio::test]
async fn every_queue_of_a_killed_store_has_rocketmqs_entries() {
    let directory = unpack("store-killed");
    let (store, report) = open(&directory.path().join("store"));
    assert!(!report.clean && report.cut.is_none(), "{report:?}");
    check_queues(&store, "store-killed").await;
    check_records(&store, "store-killed").await;
}

#[tokio::test]
async fn every_queue_of_a_store_with_all_kinds_of_clients_has_rocketmqs_entries() {
    let directory = unpack("store-clients");
    let (store, report) = open(&directory.path().join("store"));
    assert!(report.clean, "{report:?}");
    check_queues(&store, "store-clients").await;
    check_records(&store, "store-clients").await;
}

#[tokio::test]
async fn keys_find_what_they_find_in_rocketmq() {
    let directory = unpack("store-clean");
    let (store, _) = open(&directory.path().join("store"));
    for fact in lines("store-clean.queries.jsonl") {
        let topic = Topic::stored(fact["topic"].as_str().expect("a topic")).expect("a topic");
        let key = IndexKey::Key(fact["key"].as_str().expect("a key"));
        let found = store
            .query(&topic, key, 64, Timestamp(0), Timestamp(i64::MAX))
            .await
            .expect("the query is answered");
        // RocketMQ was asked before its shutdown; two records came later.
        let found: Vec<u64> = found
            .iter()
            .map(|bytes| record::view(bytes).expect("a record").log_offset.0)
            .filter(|at| *at <= LAST_INDEXED)
            .collect();
        let expected = fact["physicalOffsets"].as_array().expect("offsets");
        let mut expected: Vec<u64> = expected
            .iter()
            .map(|at| at.as_u64().expect("an offset"))
            .collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{fact}");
    }
}

#[tokio::test]
async fn an_adopted_store_goes_on_where_rocketmq_stopped() {
    let directory = unpack("store-killed");
    let root = directory.path().join("store");
    let (store, report) = open(&root);
    let topic = Topic::parse("GoldenPlain").expect("a topic");
    let before = store
        .bounds(&QueueId::new(topic.clone(), 0))
        .expect("the queue");
    let message = Message::new(topic.clone(), 0, "from the new owner");
    let host = "127.0.0.1:10911".parse().expect("an address");
    let record = record::Unplaced::encode(&message, host, Checksum::Record).expect("a record");
    let appended = store.append(record).await.expect("it is appended");
    assert_eq!(appended.queue_offset, before.max);
    assert_eq!(appended.log_offset, report.end);
    store.close().await.expect("it closes");

    let (store, report) = open(&root);
    assert!(report.clean && !report.rebuilt, "{report:?}");
    assert_eq!(report.replayed, 0);
    let limit = ReadLimit {
        messages: 32,
        bytes: 256 << 10,
    };
    let queue = QueueId::new(topic, 0);
    let read = store
        .read(&queue, before.max, limit, &store::Everything)
        .await
        .expect("it is read");
    assert_eq!(read.status, ReadStatus::Found);
    let found = record::decode(&read.records[0]).expect("a record");
    assert_eq!(found.message.body, "from the new owner");
}
