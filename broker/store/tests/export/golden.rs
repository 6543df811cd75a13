//! Stores that a real RocketMQ 5.5.0 wrote: their queues and key indexes are made again from the
//! log, and are the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::{Clock, Disk, RealDisk, Tasks};
use serde_json::Value;
use store::{
    ExportAs, ExportError, ExportShape, Exported, MessageStore, Offline, Settings, Target,
};
use tempfile::TempDir;

/// How a store was recorded.
struct Recorded {
    name: &'static str,
    segment_bytes: u64,
    shape: ExportShape,
}

const CLEAN: Recorded = Recorded {
    name: "store-clean",
    segment_bytes: 262_144,
    shape: ExportShape {
        queue_entries: 100,
        batch_entries: 100,
        index_slots: 100,
        index_entries: 400,
    },
};
const KILLED: Recorded = Recorded {
    name: "store-killed",
    ..CLEAN
};
const CLIENTS: Recorded = Recorded {
    name: "store-clients",
    segment_bytes: 1 << 20,
    shape: ExportShape {
        queue_entries: 1_000,
        batch_entries: 300_000,
        index_slots: 1_000,
        index_entries: 4_000,
    },
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data/rocketmq-5.5.0")
        .join(name)
}

fn unpack(store: &Recorded) -> TempDir {
    let name = store.name;
    let directory = TempDir::new().expect("a temporary directory");
    let archive = File::open(data(&format!("{name}.tar.zst"))).expect("the archive is there");
    let plain = zstd::Decoder::new(archive).expect("it is zstd");
    tar::Archive::new(plain)
        .unpack(directory.path())
        .expect("it unpacks");
    directory
}

fn settings() -> Settings {
    Settings {
        segment_bytes: CLEAN.segment_bytes,
        retention_hours: 24 * 365 * 1_000,
        ..Settings::default()
    }
}

fn export(folder: &Path, shape: ExportShape) -> Result<Exported, ExportError> {
    let disk: Arc<dyn Disk> = RealDisk::new();
    let offline = Offline::open(folder.join("store"), disk.clone()).expect("nobody has it open");
    let target = Target::begin(disk, &folder.join("export")).expect("nothing is there");
    let how = ExportAs {
        shape,
        settings: &settings(),
        holds_batches: &|topic| topic.as_str() == "GoldenBatchCq",
    };
    let exported = offline.export(&target, &how, &mut |_| (), &mut |_, _, _| ())?;
    target.finish()?;
    Ok(exported)
}

/// Every file below a folder, by its path there.
fn files(root: &Path, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.join(folder)];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
                continue;
            }
            let name = path.strip_prefix(root).expect("it is below");
            let bytes = std::fs::read(&path).expect("it is read");
            found.insert(name.display().to_string(), bytes);
        }
    }
    found
}

fn same(name: &str, here: &Path, there: &Path, folder: &str) -> usize {
    let (here, there) = (files(here, folder), files(there, folder));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&here), names(&there), "{name}");
    for (path, bytes) in &here {
        let other = &there[path];
        let place = bytes.iter().zip(other).position(|(one, two)| one != two);
        assert!(
            bytes == other,
            "{name}: {path} differs at {place:?} of {}",
            bytes.len()
        );
    }
    here.len()
}

/// Header, slots and entries as the facts have them.
fn index(bytes: &[u8], slots: usize) -> Vec<u64> {
    let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
    let long = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight"));
    let mut all: Vec<u64> = (0..4).map(|number| long(number * 8)).collect();
    all.extend([32, 36].map(|at| u64::from(word(at))));
    all.extend((0..slots).map(|slot| u64::from(word(40 + 4 * slot))));
    for entry in 0..word(36) as usize {
        let at = 40 + 4 * slots + 20 * entry;
        all.extend([word(at).into(), long(at + 4)]);
        all.extend([word(at + 12).into(), u64::from(word(at + 16))]);
    }
    all
}

fn index_facts(name: &str) -> Vec<Vec<u64>> {
    let text = std::fs::read_to_string(data(&format!("{name}.index.jsonl"))).expect("the facts");
    let number = |value: &Value| value.as_u64().expect("a number");
    let file = |line: &str| {
        let fact: Value = serde_json::from_str(line).expect("a line is JSON");
        let head = [
            "beginTimestamp",
            "endTimestamp",
            "beginPhysicalOffset",
            "endPhysicalOffset",
            "slotsUsed",
            "indexCount",
        ];
        let mut all: Vec<u64> = head.iter().map(|member| number(&fact[*member])).collect();
        all.extend(fact["slots"].as_array().into_iter().flatten().map(number));
        for entry in fact["entries"].as_array().into_iter().flatten() {
            all.extend(entry.as_array().into_iter().flatten().map(number));
        }
        all
    };
    text.lines().map(file).collect()
}

fn check(store: &Recorded, folder: &Path) {
    let (name, shape) = (store.name, store.shape);
    let exported = export(folder, shape).expect("it is exported");
    assert_eq!(exported.segment_bytes, store.segment_bytes);
    assert_eq!(
        (exported.lost_places, exported.left_out.len()),
        (0, 0),
        "{name}"
    );
    let (here, there) = (folder.join("export"), folder.join("store"));
    let queues =
        same(name, &here, &there, "consumequeue") + same(name, &here, &there, "batchconsumequeue");
    assert!(queues >= exported.queues as usize, "{name}");
    let (slots, found) = (shape.index_slots as usize, files(&here, "index"));
    let found: Vec<_> = found.values().map(|file| index(file, slots)).collect();
    assert_eq!(found, index_facts(name), "{name}");
    same(name, &here, &there, "timerlog");
    assert!(here.join("timerwheel").exists() && !here.join("abort").exists());
}

/// Opened and closed by our own broker, which adds nothing.
async fn closed_in_order(folder: &Path) {
    let clock = Clock::real();
    let tasks = Tasks::new(clock.clone());
    let opened = MessageStore::open(
        folder.join("store"),
        settings(),
        RealDisk::new(),
        clock,
        tasks,
    );
    let (store, _) = opened.expect("it opens");
    store.close().await.expect("it closes");
}

#[tokio::test]
async fn queues_and_keys_are_those_of_rocketmq_byte_by_byte() {
    for store in [&CLEAN, &CLIENTS] {
        let folder = unpack(store);
        check(store, folder.path());
    }
}

#[tokio::test]
async fn also_after_we_have_had_the_store_open() {
    let folder = unpack(&KILLED);
    closed_in_order(folder.path()).await;
    check(&KILLED, folder.path());
}

#[tokio::test]
async fn a_store_that_a_broker_was_killed_over_is_refused() {
    let folder = unpack(&KILLED);
    let refused = export(folder.path(), CLEAN.shape);
    assert!(
        matches!(refused, Err(ExportError::NotClosed { .. })),
        "{refused:?}"
    );
    assert!(!folder.path().join("export").exists());
}

#[tokio::test]
async fn the_same_store_gives_the_same_bytes() {
    let folder = unpack(&CLEAN);
    export(folder.path(), CLEAN.shape).expect("it is exported");
    let first = folder.path().join("first");
    std::fs::rename(folder.path().join("export"), &first).expect("it is moved");
    export(folder.path(), CLEAN.shape).expect("it is exported");
    let second = folder.path().join("export");
    assert!(same("twice", &first, &second, "") > 50);
}
