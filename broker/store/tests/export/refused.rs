//! Stores and targets that nothing is written for.

use std::path::Path;

use runtime::Open;
use store::{Error, ExportError};

use crate::fixture::Fixture;
use crate::house::{House, ROOT, message};
use crate::small::{TARGET, export, export_to, files};

#[tokio::test]
async fn a_store_that_a_broker_has_open_or_was_killed_over() {
    let house = House::new();
    house.append(&message("t", 0, "one")).await;
    let disk: std::sync::Arc<dyn runtime::Disk> = house.disk.mount();
    let open = export(&disk, &house.settings);
    assert!(
        matches!(open, Err(ExportError::Store(Error::InUse { .. }))),
        "{open:?}"
    );
    house.disk.kill();
    let disk: std::sync::Arc<dyn runtime::Disk> = house.disk.mount();
    let killed = export(&disk, &house.settings);
    assert!(
        matches!(killed, Err(ExportError::NotClosed { .. })),
        "{killed:?}"
    );
    assert!(!disk.exists(Path::new(TARGET)).expect("it is looked for"));
}

#[tokio::test]
async fn a_damaged_store() {
    let fixture = Fixture::new().await;
    fixture.flip(fixture.record("t", 1, 5).0 + 90);
    let refused = export(&fixture.disk(), &fixture.house.settings);
    assert!(
        matches!(refused, Err(ExportError::Damaged { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn segments_of_two_sizes() {
    let house = House::new();
    for _ in 0..4 {
        house.append(&message("t", 0, &"x".repeat(20_000))).await;
    }
    house.store.close().await.expect("it closes");
    let disk: std::sync::Arc<dyn runtime::Disk> = house.disk.mount();
    let path = Path::new(ROOT).join("commitlog/00000000000000065536");
    let last = disk.open(&path, Open::Write).expect("it is there");
    last.set_len(96 << 10).expect("it grows");
    let refused = export(&disk, &house.settings);
    let Err(ExportError::Segments { why, .. }) = &refused else {
        panic!("{refused:?}");
    };
    assert!(why.contains("98304") && why.contains("65536"), "{why}");
}

#[tokio::test]
async fn a_place_that_holds_something() {
    let fixture = Fixture::new().await;
    let (disk, settings) = (fixture.disk(), &fixture.house.settings);
    export(&disk, settings).expect("it is exported");
    let before = files(&disk, TARGET);
    let again = export(&disk, settings);
    assert!(matches!(again, Err(ExportError::Taken { .. })), "{again:?}");
    assert!(before == files(&disk, TARGET), "it was touched");

    disk.create_dir_all(Path::new("/other.unfinished"))
        .expect("a folder");
    let path = Path::new("/other.unfinished/thesis");
    let file = disk.open(path, Open::Create).expect("a file");
    file.write_all_at(b"years of work", 0)
        .expect("it is written");
    let foreign = export_to(&disk, settings, "/other");
    assert!(
        matches!(foreign, Err(ExportError::InTheWay { .. })),
        "{foreign:?}"
    );
    assert_eq!(
        disk.read(path).expect("it is still there"),
        b"years of work"
    );
}

#[tokio::test]
async fn a_target_within_the_store() {
    let fixture = Fixture::new().await;
    let within = format!("{ROOT}/export");
    let refused = export_to(&fixture.disk(), &fixture.house.settings, &within);
    assert!(
        matches!(refused, Err(ExportError::Within { .. })),
        "{refused:?}"
    );
}
