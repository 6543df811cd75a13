//! What a broker still knows after a restart, a crash, and strange content.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metadata::{
    Batch, Commit, Durability, Error, FjallTables, GroupConfig, Import, Imported, MemoryTables,
    Metadata, Table, Tables, TopicConfig,
};
use model::{ConsumerGroup, LogOffset, QueueId, QueueOffset, Topic};
use runtime::{Rng, Space};

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("the test's topic is valid")
}

fn group(name: &str) -> ConsumerGroup {
    ConsumerGroup::parse(name).expect("the test's group is valid")
}

fn queue(number: u32) -> QueueId {
    QueueId::new(topic("orders"), number)
}

#[test]
fn what_was_put_is_there_after_reopening_the_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    {
        let metadata = Metadata::open(folder.path()).expect("an empty folder opens");
        assert!(
            metadata
                .topics
                .put(topic("orders"), TopicConfig::with_queues(8))
                .expect("the topic is kept")
        );
        assert!(
            !metadata
                .topics
                .put(topic("orders"), TopicConfig::with_queues(8))
                .expect("the same again is no change")
        );
        metadata
            .groups
            .put(
                group("billing"),
                GroupConfig {
                    retry_max_times: 3,
                    ..GroupConfig::default()
                },
            )
            .expect("the group is kept");
        metadata
            .key_values
            .put("ORDER_TOPIC_CONFIG", "orders", "broker-a:8")
            .expect("the value is kept");
        metadata
            .offsets
            .commit(&group("billing"), &queue(3), QueueOffset(42));
        assert_eq!(
            metadata
                .flush(Durability::Now)
                .expect("offsets are written"),
            1
        );
    }
    let metadata = Metadata::open(folder.path()).expect("the folder opens again");
    assert_eq!(
        metadata.topics.get("orders").as_deref(),
        Some(&TopicConfig::with_queues(8))
    );
    assert_eq!(
        metadata
            .groups
            .get("billing")
            .map(|group| group.retry_max_times),
        Some(3)
    );
    assert_eq!(
        metadata
            .key_values
            .get("ORDER_TOPIC_CONFIG", "orders")
            .as_deref(),
        Some("broker-a:8")
    );
    assert_eq!(
        metadata.offsets.get("billing", &queue(3)),
        Some(QueueOffset(42))
    );
    assert_eq!(metadata.offsets.groups_of("orders"), [group("billing")]);
}

#[test]
fn an_administrators_change_survives_a_crash_and_an_unflushed_commit_does_not() {
    let disk = MemoryTables::default();
    let metadata = Metadata::over(Arc::new(disk.clone())).expect("empty tables load");
    metadata
        .topics
        .put(topic("orders"), TopicConfig::with_queues(4))
        .expect("kept");
    metadata
        .offsets
        .commit(&group("billing"), &queue(0), QueueOffset(7));
    metadata.flush(Durability::Now).expect("written");
    metadata
        .offsets
        .commit(&group("billing"), &queue(0), QueueOffset(9));
    disk.crash();
    let metadata = Metadata::over(Arc::new(disk)).expect("the tables load after the crash");
    assert!(metadata.topics.get("orders").is_some());
    assert_eq!(
        metadata.offsets.get("billing", &queue(0)),
        Some(QueueOffset(7))
    );
}

#[test]
fn without_room_nothing_is_written_or_forgotten_and_all_goes_on_when_there_is_some() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let available = Arc::new(AtomicU64::new(u64::MAX));
    let room = available.clone();
    let tables = FjallTables::open_where(folder.path(), move |_| {
        Ok(Space {
            total: 1 << 40,
            available: room.load(Ordering::Relaxed),
        })
    });
    let metadata = Metadata::over(Arc::new(tables.expect("it opens"))).expect("it loads");
    let put = |name| {
        metadata
            .topics
            .put(topic(name), TopicConfig::with_queues(4))
    };
    let commit = |offset| {
        let offsets = &metadata.offsets;
        offsets.commit(&group("billing"), &queue(0), QueueOffset(offset))
    };
    put("orders").expect("there is room");
    commit(7);
    metadata.flush(Durability::Now).expect("there is room");

    available.store(5_000, Ordering::Relaxed);
    let refused = put("refused").expect_err("there is no room");
    let said = refused.to_string();
    assert!(
        said.contains("5000 bytes are free, 16777216 are needed"),
        "{said}"
    );
    assert!(
        metadata.topics.get("refused").is_none(),
        "it is not half there"
    );
    assert!(
        metadata.topics.get("orders").is_some(),
        "what is there is served"
    );
    // Consumers go on, and what they say is kept for better times.
    assert_eq!(commit(9), Commit::Stored);
    assert!(matches!(
        metadata.flush(Durability::Now),
        Err(Error::NoRoom { .. })
    ));
    let seen = metadata.offsets.get("billing", &queue(0));
    assert_eq!(seen, Some(QueueOffset(9)));

    available.store(u64::MAX, Ordering::Relaxed);
    metadata
        .flush(Durability::Now)
        .expect("there is room again");
    put("later").expect("there is room again");
    drop(metadata);
    let metadata = Metadata::open(folder.path()).expect("it opens again");
    let seen = metadata.offsets.get("billing", &queue(0));
    assert_eq!(seen, Some(QueueOffset(9)));
    let there = ["orders", "refused", "later"].map(|name| metadata.topics.get(name).is_some());
    assert_eq!(there, [true, false, true]);
}

#[test]
fn a_reset_swallows_late_commits_until_a_consumer_has_seen_it() {
    let metadata = Metadata::over(Arc::new(MemoryTables::default())).expect("empty tables load");
    metadata
        .offsets
        .commit(&group("billing"), &queue(0), QueueOffset(100));
    metadata
        .offsets
        .reset(&group("billing"), &queue(0), QueueOffset(5));
    assert_eq!(
        metadata
            .offsets
            .commit(&group("billing"), &queue(0), QueueOffset(101)),
        Commit::ResetPending
    );
    assert_eq!(
        metadata.offsets.get("billing", &queue(0)),
        Some(QueueOffset(5))
    );
    assert_eq!(
        metadata.offsets.take_reset("billing", &queue(0)),
        Some(QueueOffset(5))
    );
    assert_eq!(metadata.offsets.take_reset("billing", &queue(0)), None);
    assert_eq!(
        metadata
            .offsets
            .commit(&group("billing"), &queue(0), QueueOffset(6)),
        Commit::Stored
    );
}

#[test]
fn replaying_an_epochs_offsets_changes_nothing() {
    let metadata = Metadata::over(Arc::new(MemoryTables::default())).expect("empty tables load");
    let offsets = &metadata.offsets;
    assert_eq!(
        offsets.apply(
            &group("job"),
            &[(queue(0), QueueOffset(10))],
            LogOffset(500)
        ),
        Commit::Stored
    );
    assert_eq!(
        offsets.apply(
            &group("job"),
            &[(queue(0), QueueOffset(20))],
            LogOffset(900)
        ),
        Commit::Stored
    );
    assert_eq!(
        offsets.apply(
            &group("job"),
            &[(queue(0), QueueOffset(10))],
            LogOffset(500)
        ),
        Commit::Repeated
    );
    assert_eq!(offsets.get("job", &queue(0)), Some(QueueOffset(20)));
}

#[test]
fn unreadable_content_is_set_aside_and_the_rest_served() {
    let tables = MemoryTables::default();
    let mut batch = Batch::default();
    batch.put(
        Table::Topics,
        "good",
        r#"{"readQueues":1,"writeQueues":1,"permission":6}"#,
    );
    batch.put(Table::Topics, "bad", "not json");
    batch.put(Table::Topics, vec![0xff, 0xfe], "{}");
    batch.put(Table::Groups, "bad", "[]");
    batch.put(Table::Offsets, "no-separator", "x");
    batch.put(Table::Offsets, "t@g@0", "short");
    batch.put(Table::KeyValues, "no separator", "x");
    tables
        .apply(batch, Durability::Now)
        .expect("memory takes anything");
    let metadata = Metadata::over(Arc::new(tables)).expect("any content boots");
    assert_eq!(metadata.topics.all().len(), 1);
    assert!(metadata.groups.all().is_empty());
}

#[test]
fn a_rocketmq_configuration_is_taken_over_and_its_broken_entries_are_named() {
    let metadata = Metadata::over(Arc::new(MemoryTables::default())).expect("empty tables load");
    let import = Import {
        topics: Some(serde_json::json!({"topicConfigTable": {
            "orders": {"attributes": {"message.type": "FIFO"}, "order": true, "perm": 6, "readQueueNums": 8,
                       "topicFilterType": "SINGLE_TAG", "topicName": "orders", "topicSysFlag": 0, "writeQueueNums": 4},
            "broken": {"perm": "six"},
        }})),
        groups: Some(serde_json::json!({"subscriptionGroupTable": {
            "billing": {"groupName": "billing", "retryMaxTimes": 5, "groupRetryPolicy": {"type": "CUSTOMIZED"}},
        }})),
        offsets: Some(
            serde_json::json!({"offsetTable": {"orders@billing": {"0": 3, "1": -1}, "nonsense": {"0": 1}}}),
        ),
    };
    let imported = import.into_metadata(&metadata).expect("memory takes it");
    assert_eq!(
        imported,
        Imported {
            topics: 1,
            groups: 1,
            offsets: 1,
            set_aside: vec![
                "topic \"broken\": readQueueNums is not a number".into(),
                "committed offset \"nonsense\": is not topic@group".into(),
            ],
        }
    );
    let orders = metadata.topics.get("orders").expect("it was taken");
    assert_eq!(
        (orders.read_queues, orders.write_queues, orders.ordered),
        (8, 4, true)
    );
    assert_eq!(
        metadata.offsets.get("billing", &queue(0)),
        Some(QueueOffset(3))
    );
    assert_eq!(
        metadata
            .groups
            .get("billing")
            .map(|group| group.rest.contains_key("groupRetryPolicy")),
        Some(true)
    );
}

#[test]
fn two_processes_cannot_open_one_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _first = FjallTables::open(folder.path()).expect("the first opens");
    assert!(FjallTables::open(folder.path()).is_err());
}

/// Metadata that was closed in order; what it held.
fn closed(folder: &Path) -> Vec<String> {
    let metadata = Metadata::open(folder).expect("an empty folder opens");
    for number in 0..50 {
        let name = format!("topic-{number}");
        let config = TopicConfig::with_queues(1 + number % 7);
        metadata.topics.put(topic(&name), config).expect("kept");
        metadata.offsets.commit(
            &group("billing"),
            &queue(number),
            QueueOffset(number.into()),
        );
    }
    metadata.keep().expect("kept");
    metadata.close().expect("copied");
    held(&metadata)
}

fn held(metadata: &Metadata) -> Vec<String> {
    let topics = (0..50).map(|number| {
        let topic = metadata.topics.get(&format!("topic-{number}"));
        let offset = metadata.offsets.get("billing", &queue(number));
        format!("{topic:?} {offset:?}")
    });
    topics.collect()
}

const TRIALS: u64 = 40;

/// Every file below a folder that has bytes.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false if fs::metadata(&path).expect("a file").len() > 0 => files.push(path),
            false => {}
        }
    }
    files.sort();
    files
}

#[test]
fn damaged_tables_are_set_aside_and_the_last_copy_takes_their_place() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("metadata");
    let before = closed(&folder);
    let rng = Rng::seeded(7);
    let whole: Vec<_> = files(&folder)
        .into_iter()
        .map(|path| (fs::read(&path).expect("it is there"), path))
        .collect();
    let mut restored = 0;
    for trial in 0..TRIALS {
        let (bytes, path) = &whole[rng.range(0..whole.len() as u64) as usize];
        let at = rng.range(0..bytes.len() as u64) as usize;
        match trial % 3 {
            0 => fs::remove_file(path).expect("it is there"),
            1 => fs::write(path, &bytes[..at]).expect("there is room"),
            _ => {
                let mut damaged = bytes.clone();
                let end = bytes.len().min(at + 64);
                damaged[at..end].iter_mut().for_each(|byte| *byte ^= 0x5A);
                fs::write(path, damaged).expect("there is room");
            }
        }
        let what = format!("trial {trial}: {} at {at}", path.display());
        let metadata = Metadata::open(&folder).unwrap_or_else(|why| panic!("{what}: {why}"));
        assert_eq!(held(&metadata), before, "{what}");
        drop(metadata);
        let aside = parent.path().join("metadata.damaged-1");
        if aside.exists() {
            restored += 1;
            fs::remove_dir_all(aside).expect("it is there");
        }
        fs::remove_dir_all(&folder).expect("it is there");
        for (bytes, path) in &whole {
            fs::create_dir_all(path.parent().expect("a folder")).expect("there is room");
            fs::write(path, bytes).expect("there is room");
        }
    }
    assert!(restored > TRIALS / 5, "only {restored} were found damaged");
}

#[test]
fn tables_that_are_older_than_their_copy_are_not_believed() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("metadata");
    let before = closed(&folder);
    fs::remove_dir_all(&folder).expect("it is there");
    for _ in 0..2 {
        let metadata = Metadata::open(&folder).expect("the copy is there");
        assert_eq!(held(&metadata), before);
        assert!(metadata.is_restored(), "nobody has looked what is missing");
    }
    let metadata = Metadata::open(&folder).expect("it opens");
    metadata.completed().expect("it is kept");
    drop(metadata);
    let metadata = Metadata::open(&folder).expect("it opens");
    assert!(!metadata.is_restored());
}

#[test]
fn damage_without_a_copy_is_told_with_what_to_do() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("metadata");
    closed(&folder);
    fs::remove_dir_all(parent.path().join("metadata.copies")).expect("it is there");
    for path in files(&folder) {
        fs::write(path, b"nonsense").expect("there is room");
    }
    let said = Metadata::open(&folder).err().expect("it is refused");
    let said = said.to_string();
    assert!(
        said.contains("is damaged") && said.contains("there is no copy of it"),
        "{said}"
    );
    assert!(
        folder.exists(),
        "what is there is left to whoever can read it"
    );
}

#[test]
fn tables_that_another_process_holds_are_not_taken_for_damaged() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("metadata");
    closed(&folder);
    let first = Metadata::open(&folder).expect("it opens");
    assert!(Metadata::open(&folder).is_err());
    assert!(!parent.path().join("metadata.damaged-1").exists());
    drop(first);
}
