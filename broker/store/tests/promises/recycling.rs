//! Deleted segments become new ones, and nobody takes their old records for new.

use std::path::{Path, PathBuf};

use runtime::{Open, Operation};
use store::ReadLimit;

use crate::house::{House, ROOT, message};

const SEGMENT: u64 = 64 << 10;
const ALL: ReadLimit = ReadLimit {
    messages: 1_000,
    bytes: 1 << 20,
};

/// All but the newest two segments may go at any time.
fn house() -> House {
    House::with(|settings| settings.retention_hours = 0)
}

fn recycled() -> PathBuf {
    Path::new(ROOT).join("millstream/recycled")
}

impl House {
    /// Appends messages that are all of one size, until the log has reached `end`.
    async fn fill_up_to(&self, end: u64) {
        while self.store.log_bounds().1.0 < end {
            self.append(&message("t", 0, &"x".repeat(800))).await;
            self.clock.advance(std::time::Duration::from_millis(1));
        }
        self.settled().await;
    }

    fn recycled_files(&self) -> u64 {
        self.store.stats().recycled_files
    }

    /// Bytes of the log from `at` on, in the segment that holds it.
    fn bytes_at(&self, at: u64, length: usize) -> Vec<u8> {
        let name = format!("commitlog/{:020}", at - at % SEGMENT);
        let file = self
            .disk
            .mount()
            .open(&Path::new(ROOT).join(name), Open::Read);
        let mut bytes = vec![0; length];
        file.expect("it is there")
            .read_exact_at(&mut bytes, at % SEGMENT)
            .expect("it is read");
        bytes
    }
}

#[tokio::test]
async fn the_file_of_a_deleted_segment_becomes_a_later_one() {
    let house = house();
    house.fill_up_to(5 * SEGMENT).await;
    house.store.clean().await.expect("it cleans");
    assert_eq!(house.recycled_files(), 2, "the others are deleted");
    let made = house.disk.calls(Operation::SetLen);
    house.fill_up_to(7 * SEGMENT).await;
    assert_eq!(
        house.disk.calls(Operation::SetLen),
        made,
        "no new file was made"
    );
    assert_eq!(house.recycled_files(), 0);
    let bounds = house
        .store
        .bounds(&crate::house::queue("t", 0))
        .expect("the queue");
    let read = house
        .read("t", bounds.min.0, ALL)
        .await
        .expect("it is read");
    assert_eq!(read.records.len() as u64, bounds.max.0 - bounds.min.0);
}

/// A log that goes on in files which were used before.
async fn recycled_up_to(end: u64) -> House {
    let house = house();
    house.fill_up_to(5 * SEGMENT).await;
    house.store.clean().await.expect("it cleans");
    house.fill_up_to(end).await;
    house
}

/// After an orderly stop: nothing but zeros lies behind the end.
#[track_caller]
fn ends_at(house: &House, end: u64) {
    let left = (SEGMENT - end % SEGMENT) as usize;
    assert!(house.bytes_at(end, left).iter().all(|byte| *byte == 0));
    assert_eq!(house.report.end.0, end);
}

#[tokio::test]
async fn a_killed_log_ends_where_it_did_though_old_records_follow() {
    let house = recycled_up_to(6 * SEGMENT + 10_000).await;
    let end = house.store.log_bounds().1.0;
    assert_eq!(house.bytes_at(end, 8), [0; 8], "RocketMQ's scan stops here");
    assert!(
        house.bytes_at(end, 4_000).iter().any(|byte| *byte != 0),
        "old records follow"
    );
    let house = house.killed().await;
    assert_eq!(house.report.end.0, end);
    assert_eq!(house.report.cut, None);
    let house = house.killed().await;
    assert_eq!(house.report.end.0, end);
}

#[tokio::test]
async fn an_orderly_stop_leaves_nothing_but_zeros_behind_the_end() {
    let house = recycled_up_to(6 * SEGMENT + 10_000).await;
    let end = house.store.log_bounds().1.0;
    let house = house.reopened().await;
    ends_at(&house, end);
}

#[tokio::test]
async fn nor_does_one_in_a_file_that_an_earlier_life_made_ahead() {
    let house = recycled_up_to(5 * SEGMENT + 30_000).await;
    let ahead = house.bytes_at(6 * SEGMENT, SEGMENT as usize);
    assert!(ahead.iter().any(|byte| *byte != 0), "it is a recycled one");
    let house = house.reopened().await;
    house.fill_up_to(6 * SEGMENT + 10_000).await;
    let end = house.store.log_bounds().1.0;
    let house = house.reopened().await;
    ends_at(&house, end);
}

#[tokio::test]
async fn recycled_files_are_found_again_after_a_restart() {
    let house = house();
    house.fill_up_to(5 * SEGMENT).await;
    house.store.clean().await.expect("it cleans");
    let house = house.killed().await.reopened().await;
    assert_eq!(house.recycled_files(), 2);
    house.fill_up_to(7 * SEGMENT).await;
    assert_eq!(house.recycled_files(), 0);
}

#[tokio::test]
async fn files_of_a_longer_log_are_not_used_for_this_one() {
    let house = house();
    house.fill_up_to(5 * SEGMENT).await;
    house.store.clean().await.expect("it cleans");
    house.store.close().await.expect("it closes");
    // Somebody begins the log anew and leaves the rest where it is.
    let disk = house.disk.mount();
    for folder in ["commitlog", "millstream/heads", "millstream/queues"] {
        disk.remove_dir_all(&Path::new(ROOT).join(folder))
            .expect("it is removed");
    }
    let house = house.again().await.expect("it opens");
    assert_eq!(house.recycled_files(), 0);
    assert_eq!(disk.list(&recycled()).expect("it is listed"), []);
}

#[tokio::test]
async fn a_nearly_full_disk_gets_its_space_back() {
    let house = House::with(|settings| {
        settings.retention_hours = 0;
        settings.clean_percent = 85;
    });
    house.fill_up_to(5 * SEGMENT).await;
    house.store.clean().await.expect("it cleans");
    assert_eq!(house.recycled_files(), 2);
    let begin = house.store.log_bounds().0;
    let used = house
        .store
        .stats()
        .disk
        .map(|space| space.total - space.available);
    house.disk.set_capacity(used.map(|used| used + 1_000));
    house.store.clean().await.expect("it cleans");
    assert_eq!(house.recycled_files(), 0);
    assert_eq!(
        house.store.log_bounds().0,
        begin,
        "the log keeps what it has"
    );
}

#[tokio::test]
async fn without_checksums_of_whole_records_nothing_is_recycled() {
    let house = House::with(|settings| {
        settings.retention_hours = 0;
        settings.record_checksum = store::RecordChecksum::Body;
    });
    house.fill_up_to(5 * SEGMENT).await;
    house.store.clean().await.expect("it cleans");
    assert_eq!(house.recycled_files(), 0);
}

#[tokio::test]
async fn a_check_takes_old_records_for_no_damage() {
    let house = recycled_up_to(6 * SEGMENT + 10_000).await;
    house.disk.kill();
    let offline = store::Offline::open(ROOT.into(), house.disk.mount()).expect("it opens");
    let check = offline.check(&mut |_, _| ()).expect("it is checked");
    assert_eq!(check.findings, []);
}
