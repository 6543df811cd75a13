//! Messages are found by key wherever they lie, and whatever has become of the files of keys.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{IndexKey, LogOffset, Topic};
use runtime::Faults;
use store::Offline;

use crate::house::{House, ROOT, message};

const SEGMENT: u64 = 64 << 10;

fn keys() -> PathBuf {
    Path::new(ROOT).join("millstream/keys")
}

impl House {
    /// Four segments and a bit, every tenth message with the same key.
    async fn with_keys(self) -> (Self, Vec<LogOffset>) {
        let mut wanted = Vec::new();
        for number in 0..300u32 {
            let mut message = message("t", 0, &"x".repeat(800));
            message.properties.set(model::properties::KEYS, number % 10);
            let appended = self.append(&message).await;
            if number % 10 == 3 {
                wanted.push(appended.log_offset);
            }
        }
        self.upkeep().await;
        (self, wanted)
    }

    /// Lets the files of keys be made.
    async fn upkeep(&self) {
        for _ in 0..5 {
            self.clock.run(Duration::from_secs(3)).await;
            self.settled().await;
        }
    }

    async fn places(&self, key: &str) -> Vec<LogOffset> {
        let topic = Topic::parse("t").expect("a topic");
        self.query(&topic, IndexKey::Key(key), 1_000, 0, i64::MAX)
            .await
    }

    fn key_files(&self) -> Vec<String> {
        let files = self.disk.mount().list(&keys()).expect("they are listed");
        files.into_iter().map(|file| file.name).collect()
    }
}

#[tokio::test]
async fn keys_of_full_segments_leave_memory_and_are_still_found() {
    let (house, wanted) = House::new().with_keys().await;
    assert_eq!(house.key_files().len(), 4, "one for each full segment");
    assert_eq!(house.store.stats().key_files, 4);
    assert!(
        house.store.stats().index_keys < 100,
        "the newest segment's alone"
    );
    assert_eq!(house.places("3").await, wanted);
    let topic = Topic::parse("t").expect("a topic");
    let newest = house
        .query(&topic, IndexKey::Key("3"), 3, 0, i64::MAX)
        .await;
    assert_eq!(newest, wanted[wanted.len() - 3..]);
}

#[tokio::test]
async fn every_key_is_found_again_after_any_stop() {
    let (mut house, wanted) = House::new().with_keys().await;
    for _ in 0..2 {
        house = house.killed().await;
        house.upkeep().await;
        assert_eq!(house.places("3").await, wanted);
        house = house.reopened().await;
        house.upkeep().await;
        assert_eq!(house.places("3").await, wanted);
    }
}

#[tokio::test]
async fn a_damaged_file_is_made_anew_from_the_log() {
    let (house, wanted) = House::new().with_keys().await;
    let house = house.reopened().await;
    for (at, name) in house.key_files().into_iter().enumerate() {
        let place = [0, 40, 20, 5_000][at];
        let flipped = house.disk.flip_bit(&keys().join(&name), place, 3);
        flipped.expect("it rots");
    }
    house.places("3").await;
    house.upkeep().await;
    assert_eq!(house.places("3").await, wanted);
    assert!(house.key_files().len() >= 4);
}

#[tokio::test]
async fn a_missing_file_is_made_anew_from_the_log() {
    let (house, wanted) = House::new().with_keys().await;
    let disk = house.disk.mount();
    for name in house.key_files() {
        disk.unlink(&keys().join(name)).expect("it is removed");
    }
    let house = house.reopened().await;
    house.upkeep().await;
    assert_eq!(house.places("3").await, wanted);
}

#[tokio::test]
async fn a_disk_that_takes_no_files_costs_memory_and_no_keys() {
    let house = House::new();
    house.disk.arm(Faults {
        within: Some(keys()),
        no_space_at_write: 1.0,
        ..Faults::default()
    });
    let (house, wanted) = house.with_keys().await;
    assert_eq!(house.places("3").await, wanted);
    house.disk.disarm();
    house.upkeep().await;
    assert_eq!(house.key_files().len(), 4);
    assert_eq!(house.places("3").await, wanted);
}

#[tokio::test]
async fn files_of_keys_go_with_their_segments() {
    let (house, wanted) = House::with(|settings| settings.retention_hours = 0)
        .with_keys()
        .await;
    house.clock.advance(Duration::from_secs(1));
    house.store.clean().await.expect("it cleans");
    let begin = house.store.log_bounds().0;
    assert!(begin.0 >= 3 * SEGMENT);
    assert_eq!(
        house.key_files().len(),
        house.store.stats().key_files as usize
    );
    assert!(house.key_files().len() <= 1);
    let kept: Vec<_> = wanted.into_iter().filter(|at| *at >= begin).collect();
    assert_eq!(house.places("3").await, kept);
}

#[tokio::test]
async fn files_of_another_log_are_not_believed() {
    let (house, _) = House::new().with_keys().await;
    house.store.close().await.expect("it closes");
    let disk = house.disk.mount();
    for folder in ["commitlog", "millstream/heads", "millstream/queues"] {
        let removed = disk.remove_dir_all(&Path::new(ROOT).join(folder));
        removed.expect("it is removed");
    }
    let house = house.again().await.expect("it opens");
    assert_eq!(house.key_files(), Vec::<String>::new());
}

#[tokio::test]
async fn a_check_names_a_damaged_file_and_a_repair_takes_it_out() {
    let (house, wanted) = House::new().with_keys().await;
    house.store.close().await.expect("it closes");
    let name = house.key_files()[1].clone();
    house
        .disk
        .flip_bit(&keys().join(&name), 100, 0)
        .expect("it rots");
    let check = |house: &House| {
        let offline = Offline::open(ROOT.into(), house.disk.mount()).expect("it opens");
        let check = offline.check(&mut |_, _| ()).expect("it is checked");
        (offline, check)
    };
    let (offline, found) = check(&house);
    let files: Vec<_> = found.findings.iter().map(|one| one.file.clone()).collect();
    assert_eq!(files, [format!("millstream/keys/{name}")]);
    assert!(found.is_sound(), "no message is lost by it");
    offline
        .repair(&found, &mut |_, _| ())
        .expect("it is mended");
    drop(offline);
    assert!(!house.key_files().contains(&name));
    let (offline, found) = check(&house);
    assert_eq!(found.findings, []);
    drop(offline);
    let house = house.again().await.expect("it opens");
    house.upkeep().await;
    assert_eq!(house.places("3").await, wanted);
}
