//! What a start makes of the directory it finds.

use std::path::{Path, PathBuf};

use model::{LogOffset, QueueOffset};
use runtime::Open;
use store::{Error, Offline, ReadLimit};

use crate::house::{House, ROOT, encode, message, queue};

fn segment(start: u64) -> PathBuf {
    Path::new(ROOT).join(format!("commitlog/{start:020}"))
}

/// The store's own files of one kind, and their lengths.
fn files(house: &House, kind: &str) -> Vec<(PathBuf, u64)> {
    let directory = Path::new(ROOT).join("millstream").join(kind);
    let listed = house
        .disk
        .mount()
        .list(&directory)
        .expect("the directory is there");
    listed
        .iter()
        .map(|entry| (directory.join(&entry.name), entry.len))
        .collect()
}

async fn filled(messages: usize) -> House {
    let house = House::new();
    for number in 0..messages {
        house
            .append(&message("t", number as u32 % 3, &"x".repeat(400)))
            .await;
    }
    house
}

async fn refused(house: House) -> String {
    match house.again().await {
        Err(Error::Refused { why, .. }) => why,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it was opened"),
    }
}

async fn ends(house: &House) -> Vec<(u64, u64)> {
    let bounds = |number| house.store.bounds(&queue("t", number)).expect("the queue");
    (0..3)
        .map(|number| (bounds(number).min.0, bounds(number).max.0))
        .collect()
}

#[tokio::test]
async fn a_store_in_use_is_not_opened_again() {
    let house = House::new();
    let second = House::open(
        house.disk.clone(),
        house.clock.clone(),
        house.settings.clone(),
    );
    assert!(matches!(second, Err(Error::InUse { .. })));
    house.store.close().await.expect("it closes");
    let second = House::open(
        house.disk.clone(),
        house.clock.clone(),
        house.settings.clone(),
    );
    assert!(second.is_ok(), "closing gives the directory free");
}

#[tokio::test]
async fn a_closed_store_refuses_appends() {
    let house = House::new();
    house.store.close().await.expect("it closes");
    house
        .store
        .close()
        .await
        .expect("closing twice does no harm");
    let refused = house.store.append(encode(&message("t", 0, "late"))).await;
    assert!(matches!(refused, Err(Error::Closed)));
}

#[tokio::test]
async fn an_orderly_stop_leaves_nothing_to_read_again() {
    let house = filled(500).await;
    let before = ends(&house).await;
    let house = house.reopened().await;
    assert!(
        house.report.clean && !house.report.rebuilt,
        "{:?}",
        house.report
    );
    assert_eq!((house.report.replayed, &house.report.cut), (0, &None));
    assert_eq!(ends(&house).await, before);
}

#[tokio::test]
async fn a_missing_segment_is_named() {
    let house = filled(500).await.reopened().await;
    house.store.close().await.expect("it closes");
    house
        .disk
        .mount()
        .unlink(&segment(65_536))
        .expect("it is there");
    let why = refused(house).await;
    assert!(why.contains("from 65536 to 131072 is missing"), "{why}");
}

#[tokio::test]
async fn a_missing_last_segment_is_noticed() {
    let house = filled(500).await;
    house.store.close().await.expect("it closes");
    let disk = house.disk.mount();
    for entry in disk
        .list(&Path::new(ROOT).join("commitlog"))
        .expect("a list")
    {
        if entry.name.parse::<u64>().expect("a segment") >= 196_608 {
            disk.unlink(&segment(entry.name.parse().expect("a segment")))
                .expect("it is there");
        }
    }
    let why = refused(house).await;
    assert!(
        why.contains("durably, but its files end at 196608"),
        "{why}"
    );
}

#[tokio::test]
async fn an_empty_segment_in_the_middle_is_named() {
    let house = filled(500).await;
    house.store.close().await.expect("it closes");
    let file = house
        .disk
        .mount()
        .open(&segment(65_536), Open::Write)
        .expect("it is there");
    file.set_len(0).expect("it is cut");
    let why = refused(house).await;
    assert!(why.contains("00000000000000065536"), "{why}");
}

#[tokio::test]
async fn a_foreign_file_among_the_segments_is_named() {
    let house = filled(1).await;
    house.store.close().await.expect("it closes");
    let stray = Path::new(ROOT).join("commitlog/00000000000000000000.copy");
    house
        .disk
        .mount()
        .replace(&stray, b"?")
        .expect("it is written");
    let why = refused(house).await;
    assert!(why.contains("00000000000000000000.copy"), "{why}");
}

#[tokio::test]
async fn a_damaged_record_that_was_durable_is_not_cut_off_with_what_follows() {
    let house = filled(100).await;
    house.append(&message("t", 0, "the damaged one")).await;
    let damaged = house.append(&message("t", 0, "the damaged one")).await;
    house.append(&message("t", 0, "behind it")).await;
    house.store.close().await.expect("it closes");
    // Without the heads all of the log is read again.
    house.forget_checkpoints();
    let at = damaged.log_offset.0;
    house
        .disk
        .flip_bit(&segment(0), at + 100, 3)
        .expect("it is there");
    let why = refused(house).await;
    assert!(why.contains(&format!("the record at {at}")), "{why}");
    assert!(why.contains("commitlog/00000000000000000000"), "{why}");
}

/// Killed, without checkpoints, and with zeros where the last record of a segment was.
async fn with_a_hole_at_the_end_of_a_segment(damage_next: bool) -> (House, u64) {
    let house = filled(100).await;
    let mut last = house.append(&message("t", 0, "in the first")).await;
    let next = loop {
        let appended = house.append(&message("t", 0, &"x".repeat(400))).await;
        if appended.log_offset.0 >= 65_536 {
            break appended;
        }
        last = appended;
    };
    house.append(&message("t", 0, "the newest")).await;
    house.disk.kill();
    house.forget_checkpoints();
    let disk = house.disk.mount();
    let zero = |start: u64, at: u64, bytes: usize| {
        let file = disk
            .open(&segment(start), Open::Write)
            .expect("it is there");
        file.write_all_at(&vec![0; bytes], at - start)
            .expect("it is written");
    };
    // With the filler that closes the segment.
    let at = last.log_offset.0;
    zero(0, at, (65_536 - at) as usize);
    if damage_next {
        zero(65_536, next.log_offset.0, next.size as usize);
    }
    (house, at)
}

#[tokio::test]
async fn a_segment_behind_one_that_misses_its_last_record_is_not_lost() {
    for damage_next in [false, true] {
        let (house, at) = with_a_hole_at_the_end_of_a_segment(damage_next).await;
        let disk = house.disk.clone();
        let before = disk.mount().read(&segment(65_536)).expect("it is there");
        let why = refused(house).await;
        assert!(why.contains(&format!("the record at {at}")), "{why}");
        assert!(why.contains("commitlog/00000000000000000000"), "{why}");
        let after = disk.mount().read(&segment(65_536)).expect("it is there");
        assert!(before == after, "a refusal changes nothing");
    }
}

#[tokio::test]
async fn a_repair_keeps_the_segment_behind_one_that_misses_its_last_record() {
    let (house, at) = with_a_hole_at_the_end_of_a_segment(false).await;
    let mount = house.disk.mount();
    let offline = Offline::open(ROOT.into(), mount.clone()).expect("nobody has it open");
    let check = offline.check(&mut |_, _| ()).expect("it is read");
    assert!(!check.is_sound(), "something is lost");
    let repaired = offline.repair(&check, &mut |_, _| ());
    repaired.expect("it is mended");
    drop(offline);
    let house = house.again().await.expect("it opens");
    assert!(house.report.end.0 > 65_536, "{:?}", house.report);
    let first = house.store.record_at(LogOffset(65_536)).await;
    first.expect("it is still there");
    let lost = house.store.record_at(LogOffset(at)).await;
    assert!(matches!(lost, Err(Error::NoSuchRecord { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_record_whose_checksum_has_lost_its_name_is_not_believed_without() {
    let house = filled(10).await;
    let damaged = house.append(&message("t", 0, "damaged")).await;
    house.append(&message("t", 0, "behind it")).await;
    house.store.close().await.expect("it closes");
    // Nothing says that records must carry it.
    house.forget_checkpoints();
    let end = damaged.log_offset.0 + u64::from(damaged.size);
    // The name, 1, ten digits, 2.
    house
        .disk
        .flip_bit(&segment(0), end - 18, 2)
        .expect("it is there");
    let why = refused(house).await;
    let at = damaged.log_offset.0;
    assert!(why.contains(&format!("the record at {at}")), "{why}");
}

#[tokio::test]
async fn a_last_segment_with_no_room_for_a_filler_is_made_longer() {
    for left in [1, 7] {
        let house = filled(10).await;
        let end = house.store.log_bounds().1.0;
        house.disk.kill();
        let file = house.disk.mount().open(&segment(0), Open::Write);
        let file = file.expect("it is there");
        file.set_len(end + left).expect("it is cut");
        let house = house.again().await.expect("it opens");
        for _ in 0..2 {
            house.append(&message("t", 0, &"x".repeat(40_000))).await;
        }
        let house = house.killed().await;
        assert_eq!(ends(&house).await, [(0, 6), (0, 3), (0, 3)], "{left}");
    }
}

#[tokio::test]
async fn garbage_behind_the_end_is_cut_off_and_told_about() {
    let house = filled(10).await;
    let end = house.store.log_bounds().1;
    let file = house
        .disk
        .mount()
        .open(&segment(0), Open::Write)
        .expect("it is there");
    file.write_all_at(b"half a record", end.0)
        .expect("it is written");
    let house = house.killed().await;
    let cut = house.report.cut.clone().expect("something was cut");
    assert_eq!((cut.at, cut.bytes, cut.was_durable), (end, 13, false));
    let appended = house.append(&message("t", 0, "goes on")).await;
    assert_eq!(appended.log_offset, end);
    let mut behind = [1; 64];
    let next = end.0 + u64::from(appended.size);
    file_of(&house)
        .pread(&mut behind, next)
        .expect("it is read");
    assert_eq!(behind, [0; 64]);
}

fn file_of(house: &House) -> std::sync::Arc<dyn runtime::File> {
    house
        .disk
        .mount()
        .open(&segment(0), Open::Read)
        .expect("it is there")
}

#[tokio::test]
async fn a_group_that_misses_its_last_record_is_cut_off_as_a_whole() {
    let house = filled(3).await;
    let before = house.store.log_bounds().1;
    let group = vec![
        encode(&message("t", 0, "one")),
        encode(&message("t", 1, "two")),
    ];
    let appended = house
        .store
        .append_together(group)
        .await
        .expect("it is appended");
    let last = appended[1].log_offset.0 + u64::from(appended[1].size);
    let file = house
        .disk
        .mount()
        .open(&segment(0), Open::Write)
        .expect("it is there");
    file.write_all_at(&[0; 8], last - 8).expect("it is written");
    let house = house.killed().await;
    assert_eq!(house.report.end, before);
    assert_eq!(ends(&house).await, [(0, 1), (0, 1), (0, 1)]);
}

#[tokio::test]
async fn damaged_indexes_are_built_anew_from_the_log() {
    for kind in ["heads", "queues"] {
        let house = filled(2_000).await;
        let before = ends(&house).await;
        let entries = |house: &House| {
            let store = house.store.clone();
            async move { store.entries(&queue("t", 1), QueueOffset(0), 1_000).await }
        };
        let expected = entries(&house).await.expect("the index is whole");
        house.store.close().await.expect("it closes");
        for (path, bytes) in files(&house, kind) {
            for at in (20..bytes).step_by(97) {
                house.disk.flip_bit(&path, at, 1).expect("it is there");
            }
        }
        let mut house = house.again().await.expect("it opens");
        if entries(&house).await.is_err() {
            // Damage deep in the index is noticed by its first reader.
            house.store.checkpoint().await.expect("it is saved");
            house = house.killed().await;
        }
        assert!(house.report.rebuilt, "{kind}");
        assert_eq!(ends(&house).await, before, "{kind}");
        assert_eq!(
            entries(&house).await.expect("the index is whole"),
            expected,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn only_the_log_behind_the_last_checkpoint_is_read_again() {
    let house = filled(600).await;
    house.store.checkpoint().await.expect("it is saved");
    let at = house.store.log_bounds().1;
    for _ in 0..10 {
        house.append(&message("t", 0, "younger")).await;
    }
    let before = ends(&house).await;
    let house = house.killed().await;
    assert_eq!(
        (house.report.replayed_from, house.report.replayed),
        (at, 10)
    );
    assert_eq!(ends(&house).await, before);
}

#[tokio::test]
async fn kills_in_quick_succession_do_not_make_starts_longer() {
    let mut house = filled(3).await;
    for kill in 0..5 {
        house = house.killed().await;
        assert!(
            house.report.replayed <= 3,
            "kill {kill}: {:?}",
            house.report
        );
        for _ in 0..3 {
            house.append(&message("orders", 0, "x")).await;
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_in_what_nobody_had_flushed_ends_the_log_there() {
    let house = filled(10).await;
    house.store.checkpoint().await.expect("it is saved");
    let damaged = house.append(&message("t", 0, "damaged")).await;
    house.append(&message("t", 0, "behind it")).await;
    house
        .disk
        .flip_bit(&segment(0), damaged.log_offset.0 + 60, 0)
        .expect("it is there");
    let house = house.killed().await;
    assert_eq!(house.report.end, damaged.log_offset);
    assert_eq!(
        house.append(&message("t", 0, "instead")).await.queue_offset,
        damaged.queue_offset
    );
    let limit = ReadLimit {
        messages: 1,
        bytes: 1,
    };
    let read = house.read("t", damaged.queue_offset.0, limit);
    assert_eq!(
        read.await.expect("it is read").next.0,
        damaged.queue_offset.0 + 1
    );
    assert!(matches!(
        house
            .store
            .record_at(LogOffset(damaged.log_offset.0 + 1))
            .await,
        Err(Error::NoSuchRecord { .. })
    ));
}
