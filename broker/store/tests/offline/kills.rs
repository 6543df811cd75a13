//! A repair that is killed, or loses power, at any of its steps is completed by the next one.

use std::path::Path;

use runtime::Disk;

use crate::fixture::{Fixture, Place, SEGMENT, check, open_file, repair, segment, serves};
use crate::house::{House, ROOT, queue};
use crate::rows::{heads, rename};

/// Repairs with the power failing after so many changes of the disk; true once it did not fail.
fn interrupted(fixture: &Fixture, changes: u64) -> bool {
    fixture.house.disk.power_fails_after(changes);
    let _ = repair(&fixture.disk());
    let whole = fixture.house.disk.has_power();
    fixture.house.disk.crash();
    whole
}

/// Offsets that are to be told as lost could be given out in between.
fn is_refused_until_completed(fixture: &Fixture, row: &str) {
    let findings = check(&fixture.disk()).findings;
    let mut findings = findings.iter();
    if findings.any(|finding| finding.what.contains("is not complete")) {
        let house = &fixture.house;
        let (disk, clock) = (house.disk.clone(), house.clock.clone());
        let opened = House::open(disk, clock, house.settings.clone());
        assert!(opened.is_err(), "{row}: a start opens it");
    }
}

async fn is_completed(name: &str, damage: impl Fn(&Fixture), lost: impl Fn(&Fixture, u64) -> bool) {
    for changes in 1.. {
        let fixture = Fixture::new().await;
        damage(&fixture);
        // What was done to the files is on the disk.
        let disk = fixture.disk();
        let log = Path::new(ROOT).join("commitlog");
        for entry in disk.list(&log).expect("it is listed") {
            open_file(&disk, &log.join(&entry.name))
                .fdatasync()
                .expect("it is synced");
        }
        disk.fsync_dir(&log).expect("it is synced");
        let whole = interrupted(&fixture, changes);
        let row = format!("{name}, power lost after {changes} changes");
        is_refused_until_completed(&fixture, &row);
        repair(&fixture.disk()).unwrap_or_else(|why| panic!("{row}: {why}"));
        let left = check(&fixture.disk());
        assert!(left.findings.is_empty(), "{row}: {:#?}", left.findings);
        let expected = fixture.without(|at| lost(&fixture, at));
        serves(fixture.house, &expected, &fixture.ends, &row).await;
        if whole {
            return;
        }
    }
}

#[tokio::test]
async fn with_damaged_records() {
    is_completed(
        "a quiet queue's record and a group's",
        |fixture| {
            fixture.flip(fixture.record("quiet", 0, 0).0 + 90);
            fixture.flip(fixture.record("group", 0, 1).0 + 90);
        },
        |fixture, at| {
            at == fixture.record("quiet", 0, 0).0 || at == fixture.record("group", 0, 1).0
        },
    )
    .await;
}

#[tokio::test]
async fn with_a_missing_segment() {
    is_completed(
        "a missing segment",
        |fixture| {
            fixture
                .disk()
                .unlink(&segment(2 * SEGMENT))
                .expect("it is there");
        },
        |_, at| (2 * SEGMENT..3 * SEGMENT).contains(&at),
    )
    .await;
}

#[tokio::test]
async fn with_files_under_wrong_names() {
    let rename = |disk: &dyn Disk, from: &str, to: &str| {
        let log = Path::new(ROOT).join("commitlog");
        disk.rename(&log.join(from), &log.join(to))
            .expect("it is there");
    };
    is_completed(
        "names exchanged, and a file too many",
        |fixture| {
            let disk = fixture.disk();
            let (first, second) = ("00000000000000000000", "00000000000000016384");
            rename(disk.as_ref(), first, "aside");
            rename(disk.as_ref(), second, first);
            rename(disk.as_ref(), "aside", second);
            let stray = Path::new(ROOT).join("commitlog/stray");
            disk.replace(&stray, b"stray").expect("it is written");
        },
        |_, _| false,
    )
    .await;
}

/// Nothing but the file far behind it shows that the stray one was a part of the log.
#[tokio::test]
async fn with_the_last_file_under_a_strange_name_and_garbage_behind_it() {
    is_completed(
        "a strange name, and garbage",
        |fixture| {
            forget_heads(fixture);
            let (at, _) = fixture.record("last", 0, 0);
            let last = at - at % SEGMENT;
            let stray = segment(last).with_file_name("a stray");
            rename(fixture, &segment(last), &stray);
            let (disk, far) = (fixture.disk(), segment(last + 4 * SEGMENT));
            disk.replace(&far, &[0x55; 5_000]).expect("it is written");
        },
        |_, _| false,
    )
    .await;
}

#[tokio::test]
async fn with_a_torn_end() {
    is_completed(
        "a torn end",
        |fixture| {
            let (at, size) = fixture.record("last", 0, 0);
            let file = open_file(&fixture.disk(), &segment(at - at % SEGMENT));
            file.write_all_at(&[0; 9], at % SEGMENT + size - 9)
                .expect("it is written");
        },
        |fixture, at| at == fixture.record("last", 0, 0).0,
    )
    .await;
}

/// No checkpoint can be read any more.
fn forget_heads(fixture: &Fixture) {
    for (path, _) in heads(fixture, "heads") {
        let file = open_file(&fixture.disk(), &path);
        file.set_len(5).expect("it is cut");
        file.fdatasync().expect("it is synced");
    }
}

#[tokio::test]
async fn with_a_damaged_end_and_no_checkpoint_that_knows_it() {
    is_completed(
        "a damaged end, and damaged checkpoints",
        |fixture| {
            fixture.flip(fixture.record("last", 0, 0).0 + 90);
            forget_heads(fixture);
        },
        |fixture, at| at == fixture.record("last", 0, 0).0,
    )
    .await;
}

#[tokio::test]
async fn with_a_record_that_says_it_is_of_another_queue() {
    is_completed(
        "another topic",
        |fixture| {
            let place = Place {
                queue: queue("quiet", 0),
                offset: 0,
            };
            let (at, record) = &fixture.served[&place];
            let topic = record.windows(5).position(|bytes| bytes == b"quiet");
            let topic = topic.expect("it names its topic") as u64;
            fixture.flip(at + topic + 4);
        },
        |fixture, at| at == fixture.record("quiet", 0, 0).0,
    )
    .await;
}
