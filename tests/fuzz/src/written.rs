//! Small stores as brokers leave them, and everything that was written to them.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use model::record::Unplaced;
use model::{Checksum, Message, QueueId, QueueOffset, Topic};
use runtime::{Disk, Open, Rng, SimClock, SimDisk, Tasks};
use store::{MessageStore, Offline, ReadLimit, RecordChecksum, Recovery, Settings};

pub(crate) const ROOT: &str = "/store";
pub(crate) const SEGMENT: u64 = 8 << 10;

/// Queue and offset of a message, its place in the log, and its record.
pub(crate) type Messages = BTreeMap<(QueueId, u64), (u64, Vec<u8>)>;

/// A store's files, and what was in it.
pub(crate) struct Written {
    pub checksum: RecordChecksum,
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub messages: Messages,
}

/// How a store was left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Closed,
    Killed,
    /// Without what is not RocketMQ's.
    Adopted,
    /// After a repair that had something to tell of.
    Mended,
}

pub(crate) static STORES: LazyLock<Vec<Written>> = LazyLock::new(|| {
    let kinds = [
        (RecordChecksum::Record, Left::Closed),
        (RecordChecksum::Record, Left::Killed),
        (RecordChecksum::Record, Left::Mended),
        (RecordChecksum::Body, Left::Closed),
        (RecordChecksum::Body, Left::Adopted),
    ];
    kinds
        .into_iter()
        .map(|(checksum, left)| run(write(checksum, left)))
        .collect()
});

/// Runs to the end on a runtime of its own.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(work)
}

/// A store that is open, with what it runs on.
pub(crate) struct House {
    pub store: MessageStore,
    pub report: Recovery,
    pub disk: SimDisk,
    tasks: Tasks,
}

impl House {
    pub fn open(disk: &SimDisk, checksum: RecordChecksum) -> Result<House, store::Error> {
        let settings = Settings {
            segment_bytes: SEGMENT,
            record_checksum: checksum,
            hot_bytes: 0,
            retention_hours: 1_000_000,
            refuse_percent: 101,
            clean_percent: 101,
            ..Settings::default()
        };
        let clock = SimClock::new(1_700_000_000_000).clock();
        let tasks = Tasks::simulated(clock.clone(), Rng::seeded(2));
        let opened = MessageStore::open(ROOT.into(), settings, disk.mount(), clock, tasks.clone());
        let (store, report) = opened?;
        Ok(House {
            store,
            report,
            disk: disk.clone(),
            tasks,
        })
    }

    /// The process dies; what it wrote stays.
    pub async fn kill(self) {
        self.disk.kill();
        self.stop().await;
    }

    pub async fn close(self) -> Result<(), store::Error> {
        let closed = self.store.close().await;
        self.stop().await;
        closed
    }

    async fn stop(self) {
        let report = self.tasks.stop(Duration::from_secs(1)).await;
        assert_eq!(report.panics, []);
    }
}

async fn write(checksum: RecordChecksum, left: Left) -> Written {
    let disk = SimDisk::new(Rng::seeded(1));
    let mut house = House::open(&disk, checksum).expect("an empty store opens");
    fill(&house.store, 0..110).await;
    house.store.checkpoint().await.expect("it is saved");
    if left == Left::Mended {
        house.close().await.expect("it closes");
        damage_and_mend(&disk);
        house = House::open(&disk, checksum).expect("it was mended");
    }
    fill(&house.store, 110..170).await;
    // With what is deleted: where the record of that is lost, it is there again.
    let mut messages = served(&house.store).await.expect("nothing is damaged");
    let deleted = Topic::parse("deleted").expect("a topic");
    house.store.delete_topic(&deleted).await.expect("it goes");
    house.store.checkpoint().await.expect("it is saved");
    fill(&house.store, 170..190).await;
    messages.extend(served(&house.store).await.expect("nothing is damaged"));
    match left {
        Left::Killed => house.kill().await,
        _ => house.close().await.expect("it closes"),
    }
    let mut files = contents(&disk.mount());
    if left == Left::Adopted {
        files.retain(|path, _| path.starts_with(Path::new(ROOT).join("commitlog")));
    }
    Written {
        checksum,
        files,
        messages,
    }
}

/// Two busy queues, a quiet one, one that is deleted later, and groups.
async fn fill(store: &MessageStore, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let body = format!("{number:03}").repeat(1 + number as usize % 40);
        append(store, "t", number % 2, &body).await;
        match number % 50 {
            7 => append(store, "deleted", 0, "soon gone").await,
            20 => append(store, "quiet", 0, &body).await,
            30 => {
                let group = ["one", "two"].map(|body| encode(store, "group", 0, body));
                let appended = store.append_together(Vec::from(group)).await;
                appended.expect("it is appended");
            }
            _ => {}
        }
    }
}

async fn append(store: &MessageStore, topic: &str, queue: u32, body: &str) {
    let record = encode(store, topic, queue, body);
    store.append(record).await.expect("it is appended");
}

pub(crate) fn encode(store: &MessageStore, topic: &str, queue: u32, body: &str) -> Unplaced {
    let host: SocketAddr = "127.0.0.1:10911".parse().expect("an address");
    let topic = Topic::parse(topic).expect("a topic");
    let message = Message::new(topic, queue, body.to_owned());
    let checksum: Checksum = store.checksum();
    Unplaced::encode(&message, host, checksum).expect("a small message")
}

fn damage_and_mend(disk: &SimDisk) {
    let first = Path::new(ROOT).join("commitlog/00000000000000000000");
    disk.flip_bit(&first, 1_000, 3).expect("it is there");
    let offline = Offline::open(ROOT.into(), disk.mount()).expect("nobody has it open");
    let check = offline.check(&mut |_, _| ()).expect("it is read");
    assert!(!check.is_sound());
    let mended = offline.repair(&check, &mut |_, _| ());
    mended.expect("it is mended");
}

/// All messages, as every consumer together gets them.
pub(crate) async fn served(store: &MessageStore) -> Result<Messages, store::Error> {
    let limit = ReadLimit {
        messages: 100,
        bytes: 1 << 20,
    };
    let mut served = Messages::new();
    for queue in store.queues() {
        let Some(bounds) = store.bounds(&queue) else {
            continue;
        };
        let mut from = bounds.min;
        while from < bounds.max {
            let read = store.read(&queue, from, limit, &store::Everything).await?;
            assert!(read.next > from, "{queue} is stuck at {from:?}: {read:?}");
            from = read.next;
            for (entry, record) in read.entries.iter().zip(read.records) {
                let QueueOffset(offset) = entry.queue_offset;
                let place = (queue.clone(), offset);
                let earlier = served.insert(place, (entry.log_offset.0, record.to_vec()));
                assert!(earlier.is_none(), "{queue} has two messages at {offset}");
            }
        }
    }
    Ok(served)
}

/// Every file of a store but its lock.
pub(crate) fn contents(disk: &Arc<dyn Disk>) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut contents = BTreeMap::new();
    let mut folders = vec![PathBuf::from(ROOT)];
    while let Some(folder) = folders.pop() {
        for entry in disk.list(&folder).expect("it is listed") {
            let path = folder.join(&entry.name);
            match entry.is_dir {
                true => folders.push(path),
                false if entry.name == "lock" => {}
                false => drop(contents.insert(path.clone(), disk.read(&path).expect("a file"))),
            }
        }
    }
    contents
}

/// Makes durable what is there.
pub(crate) fn keep(disk: &Arc<dyn Disk>) {
    let mut folders = vec![PathBuf::from(ROOT)];
    while let Some(folder) = folders.pop() {
        for entry in disk.list(&folder).expect("it is listed") {
            let path = folder.join(&entry.name);
            if entry.is_dir {
                folders.push(path);
            } else if let Ok(file) = disk.open(&path, Open::Read) {
                file.fdatasync().expect("it is kept");
            }
        }
        disk.fsync_dir(&folder).expect("it is kept");
    }
}

impl Written {
    /// A disk that holds this store.
    pub fn disk(&self) -> SimDisk {
        let disk = SimDisk::new(Rng::seeded(3));
        let mount = disk.mount();
        for (path, bytes) in &self.files {
            let folder = path.parent().expect("it lies in a folder");
            mount.create_dir_all(folder).expect("a folder");
            let file = mount.open(path, Open::Create).expect("a file");
            file.set_len(bytes.len() as u64).expect("it is made long");
            // Segments are mostly zeros, which need not be written.
            for (number, part) in bytes.chunks(512).enumerate() {
                if part.iter().any(|byte| *byte != 0) {
                    file.write_all_at(part, number as u64 * 512)
                        .expect("it is written");
                }
            }
            file.fdatasync().expect("it is kept");
        }
        disk
    }
}
