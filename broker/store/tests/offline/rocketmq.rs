//! Directories that a real RocketMQ 5.5.0 wrote, sound and damaged.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::QueueId;
use runtime::{Clock, Disk, RealDisk, Tasks};
use serde_json::Value;
use store::{Check, MessageStore, Offline, Settings};
use tempfile::TempDir;

use crate::fixture::{Served, ends, served};

/// Where the last segment of the killed store begins.
const LAST_SEGMENT: u64 = 524_288;
const STORES: [&str; 3] = ["store-clean", "store-killed", "store-clients"];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data/rocketmq-5.5.0")
        .join(name)
}

/// A copy of a store, and where it lies.
fn unpack(name: &str) -> (TempDir, PathBuf) {
    let directory = TempDir::new().expect("a temporary directory");
    let archive = File::open(data(&format!("{name}.tar.zst"))).expect("the archive is there");
    let plain = zstd::Decoder::new(archive).expect("it is zstd");
    for entry in tar::Archive::new(plain)
        .entries()
        .expect("it is an archive")
    {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").into_owned();
        // Large, and of no interest here.
        if !path.ends_with("timerwheel") {
            entry.unpack_in(directory.path()).expect("it unpacks");
        }
    }
    let root = directory.path().join("store");
    (directory, root)
}

fn records(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(data(&format!("{name}.manifest.jsonl")));
    let text = text.expect("the facts are there");
    let lines = text.lines().map(serde_json::from_str::<Value>);
    let records = lines.map(|line| line.expect("a line is JSON"));
    records.filter(|line| line["kind"] != "blank").collect()
}

fn checked(root: &Path) -> Check {
    let disk: Arc<dyn Disk> = RealDisk::new();
    let offline = Offline::open(root.to_owned(), disk).expect("nobody has it open");
    offline.check(&mut |_, _| ()).expect("it is read")
}

fn repair(root: &Path) {
    let disk: Arc<dyn Disk> = RealDisk::new();
    let offline = Offline::open(root.to_owned(), disk).expect("nobody has it open");
    let check = offline.check(&mut |_, _| ()).expect("it is read");
    offline
        .repair(&check, &mut |_, _| ())
        .expect("it is mended");
}

fn open(root: &Path) -> MessageStore {
    let settings = Settings {
        segment_bytes: 1 << 20,
        retention_hours: 24 * 365 * 1_000,
        refuse_percent: 101,
        clean_percent: 101,
        hot_bytes: 0,
        ..Settings::default()
    };
    let clock = Clock::real();
    let tasks = Tasks::new(clock.clone());
    let opened = MessageStore::open(root.to_owned(), settings, RealDisk::new(), clock, tasks);
    opened.expect("it opens").0
}

async fn all(root: &Path) -> (Served, std::collections::BTreeMap<QueueId, u64>) {
    let store = open(root);
    let found = (served(&store).await, ends(&store));
    store.close().await.expect("it closes");
    found
}

fn flip(root: &Path, at: u64) {
    let mut files: Vec<_> = std::fs::read_dir(root.join("commitlog"))
        .expect("the log is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let size = std::fs::metadata(&files[0]).expect("a file").len();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&files[(at / size) as usize])
        .expect("a file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at % size).expect("a byte");
    file.write_all_at(&[byte[0] ^ 4], at % size)
        .expect("it is written");
}

#[tokio::test]
async fn a_check_finds_nothing_wrong_with_them() {
    for name in STORES {
        let (_directory, root) = unpack(name);
        let check = checked(&root);
        assert!(check.findings.is_empty(), "{name}: {:#?}", check.findings);
        assert_eq!(check.plan(), Vec::<String>::new(), "{name}");
        assert_eq!(check.totals.records, records(name).len() as u64, "{name}");
    }
}

#[tokio::test]
async fn one_damaged_record_costs_no_other_message() {
    for name in STORES {
        let (_directory, root) = unpack(name);
        let (before, ends) = all(&root).await;
        let facts = records(name);
        for (number, fact) in facts.iter().enumerate().step_by(47) {
            let at = fact["physicalOffset"].as_u64().expect("an offset");
            let size = fact["size"].as_u64().expect("a size");
            // Its body if it has one, its size, its place.
            let bodies = fact["bodyLength"].as_u64().unwrap_or(0) > 0;
            let byte = [88, 3, 34][if bodies { number % 3 } else { 1 + number % 2 }];
            let (_directory, root) = unpack(name);
            flip(&root, at + byte);
            let row = format!("{name}, record {number} at {at} of {size} bytes, byte {byte}");
            assert!(!checked(&root).is_sound(), "{row}");
            // After a crash nothing says that the last segment was durable.
            let cut = name == "store-killed" && at >= LAST_SEGMENT;
            repair(&root);
            assert!(
                checked(&root).findings.is_empty(),
                "{row}: {:#?}",
                checked(&root)
            );
            // RocketMQ would take them for what lies there now.
            let old = ["consumequeue", "batchconsumequeue", "index"];
            assert!(
                cut || old.iter().all(|old| !root.join(old).exists()),
                "{row}"
            );
            let (after, ends_after) = all(&root).await;
            let mut expected = before.clone();
            expected.retain(|_, (place, _)| *place != at && !(cut && *place > at));
            assert!(after == expected, "{row}: other messages");
            for (queue, end) in ends.iter().filter(|_| !cut) {
                let now = ends_after.get(queue).copied().unwrap_or(0);
                assert!(now >= *end, "{row}: {queue} ends at {now}, not at {end}");
            }
        }
    }
}
