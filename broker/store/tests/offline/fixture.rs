//! A store with several segments and queues, and what it serves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{LogOffset, QueueId, QueueOffset};
use runtime::{Disk, Open};
use store::{Check, MessageStore, Offline};

use crate::house::{House, ROOT, encode, message, queue};

/// Bytes of one segment.
pub const SEGMENT: u64 = 16 << 10;

/// Where a message lies: its id follows from its place in the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub queue: QueueId,
    pub offset: u64,
}

/// Place in the log, and the record.
pub type Served = BTreeMap<Place, (u64, Vec<u8>)>;

/// A closed store, and what it served.
pub struct Fixture {
    pub house: House,
    pub served: Served,
    /// Where every queue ended.
    pub ends: BTreeMap<QueueId, u64>,
}

impl Fixture {
    /// Five segments: three busy queues, one whose only message lies in the second segment, a
    /// group, and one message at the very end.
    pub async fn new() -> Self {
        let house = House::with(|settings| {
            settings.hot_bytes = 0;
            settings.segment_bytes = SEGMENT;
        });
        for number in 0..160u32 {
            let body = format!("{number:03}").repeat(130);
            house.append(&message("t", number % 3, &body)).await;
            if number == 60 {
                house.append(&message("quiet", 0, "the only one")).await;
            }
            if number == 66 {
                let group = ["one", "two", "three"];
                let group = group.map(|body| encode(&message("group", 0, body)));
                let appended = house.store.append_together(Vec::from(group)).await;
                appended.expect("it is appended");
            }
        }
        house.append(&message("last", 0, "the very last")).await;
        Self::closed(house).await
    }

    pub async fn closed(house: House) -> Self {
        let served = served(&house.store).await;
        let ends = ends(&house.store);
        house.store.close().await.expect("it closes");
        Self {
            house,
            served,
            ends,
        }
    }

    pub fn disk(&self) -> Arc<dyn Disk> {
        self.house.disk.mount()
    }

    /// The log offset and size of a message.
    pub fn record(&self, topic: &str, number: u32, offset: u64) -> (u64, u64) {
        let place = Place {
            queue: queue(topic, number),
            offset,
        };
        let (at, bytes) = &self.served[&place];
        (*at, bytes.len() as u64)
    }

    /// Flips a bit of the log.
    pub fn flip(&self, at: u64) {
        let start = at - at % SEGMENT;
        self.house
            .disk
            .flip_bit(&segment(start), at - start, 2)
            .expect("it is there");
    }

    /// What is left when the records at these places of the log are gone.
    pub fn without(&self, lost: impl Fn(u64) -> bool) -> Served {
        let kept = self.served.iter().filter(|(_, (at, _))| !lost(*at));
        kept.map(|(place, record)| (place.clone(), record.clone()))
            .collect()
    }
}

pub fn segment(start: u64) -> PathBuf {
    Path::new(ROOT).join(format!("commitlog/{start:020}"))
}

pub fn check(disk: &Arc<dyn Disk>) -> Check {
    let offline = Offline::open(ROOT.into(), disk.clone()).expect("nobody has it open");
    offline.check(&mut |_, _| ()).expect("it is read")
}

/// Repairs as far as the disk lets it; returns what is said of each step.
pub fn repair(disk: &Arc<dyn Disk>) -> Result<Vec<String>, store::Error> {
    let offline = Offline::open(ROOT.into(), disk.clone())?;
    let check = offline.check(&mut |_, _| ())?;
    let mut said = Vec::new();
    offline.repair(&check, &mut |step, done| {
        if done {
            said.push(step.to_owned());
        }
    })?;
    Ok(said)
}

/// Every file of the store but its lock, and what is in it.
pub fn contents(disk: &Arc<dyn Disk>) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut contents = BTreeMap::new();
    let mut folders = vec![PathBuf::from(ROOT)];
    while let Some(folder) = folders.pop() {
        for entry in disk.list(&folder).expect("it is listed") {
            let path = folder.join(&entry.name);
            match entry.is_dir {
                true => folders.push(path),
                false => drop(contents.insert(path.clone(), disk.read(&path).expect("a file"))),
            }
        }
    }
    contents
}

/// All messages, as every consumer together gets them.
pub async fn served(store: &MessageStore) -> Served {
    let mut served = Served::new();
    for queue in store.queues() {
        let bounds = store.bounds(&queue).expect("the queue is there");
        let mut from = bounds.min;
        while from < bounds.max {
            let limit = store::ReadLimit {
                messages: 100,
                bytes: 1 << 20,
            };
            let read = store.read(&queue, from, limit, &store::Everything).await;
            let read = read.expect("it is read");
            assert!(read.next > from, "{queue} is stuck at {from:?}: {read:?}");
            from = read.next;
            for (entry, record) in read.entries.iter().zip(read.records) {
                let place = Place {
                    queue: queue.clone(),
                    offset: entry.queue_offset.0,
                };
                served.insert(place, (entry.log_offset.0, record.to_vec()));
            }
        }
    }
    served
}

pub fn ends(store: &MessageStore) -> BTreeMap<QueueId, u64> {
    let queues = store.queues().into_iter();
    queues
        .map(|queue| {
            let bounds = store.bounds(&queue).expect("the queue is there");
            (queue, bounds.max.0)
        })
        .collect()
}

/// The store opens, serves what it should, and gives no offset out again.
pub async fn serves(house: House, expected: &Served, ends: &BTreeMap<QueueId, u64>, row: &str) {
    serves_without(house, expected, ends, &[], row).await;
}

/// The same, and whoever asks for what lay at these places is told that there is nothing.
pub async fn serves_without(
    house: House,
    expected: &Served,
    ends: &BTreeMap<QueueId, u64>,
    lost: &[u64],
    row: &str,
) {
    let house = house
        .again()
        .await
        .unwrap_or_else(|why| panic!("{row}: {why}"));
    assert!(
        served(&house.store).await == *expected,
        "{row}: other messages"
    );
    for place in lost {
        let record = house.store.record_at(LogOffset(*place)).await;
        let none = matches!(record, Err(store::Error::NoSuchRecord { .. }));
        assert!(none, "{row}: there is something at {place}");
    }
    for queue in house.store.queues() {
        assert!(ends.contains_key(&queue), "{row}: nobody has made {queue}");
    }
    for (queue, end) in ends {
        let body = format!("new in {queue}");
        let new = message(queue.topic.as_str(), queue.number, &body);
        let appended = house.append(&new).await;
        assert_eq!(appended.queue_offset, QueueOffset(*end), "{row}: {queue}");
    }
    // The index, and not only the one that was just built.
    let house = house.reopened().await;
    for place in expected.keys() {
        let entries = house
            .store
            .entries(&place.queue, QueueOffset(place.offset), 1);
        let entries = entries.await.expect("the index is whole");
        assert_eq!(entries[0].queue_offset.0, place.offset, "{row}");
    }
    house.store.close().await.expect("it closes");
    let check = check(&house.disk.mount());
    assert!(check.findings.is_empty(), "{row}: {:?}", check.findings);
}

pub fn open_file(disk: &Arc<dyn Disk>, path: &Path) -> Arc<dyn runtime::File> {
    disk.open(path, Open::Write).expect("it is there")
}
