//! What a dump hands on.

use model::{LogOffset, QueueOffset, Timestamp};
use store::{Dumped, Offline};

use crate::fixture::{Fixture, SEGMENT, check, open_file, segment};
use crate::house::{ROOT, encode, message};

fn dump(fixture: &Fixture, from: u64, limit: usize) -> Vec<(u64, &'static str)> {
    let offline = Offline::open(ROOT.into(), fixture.disk()).expect("nobody has it open");
    let mut seen = Vec::new();
    offline
        .dump(from, &mut |dumped| {
            seen.push(match dumped {
                Dumped::Record(record) => (record.log_offset.0, "record"),
                Dumped::Damaged { from, .. } => (from, "damaged"),
            });
            seen.len() < limit
        })
        .expect("it is read");
    seen
}

#[tokio::test]
async fn every_record_comes_in_the_order_of_the_log_and_damage_in_its_place() {
    let fixture = Fixture::new().await;
    let (damaged, size) = fixture.record("quiet", 0, 0);
    fixture.flip(damaged + 90);
    let all = dump(&fixture, 0, usize::MAX);
    assert!(all.is_sorted(), "{all:?}");
    // The group's own record is one of them.
    assert_eq!(all.len(), fixture.served.len() + 1);
    assert!(all.contains(&(damaged, "damaged")));
    let from = dump(&fixture, damaged, 2);
    assert_eq!(from, [(damaged, "damaged"), (damaged + size, "record")]);
    assert_eq!(
        dump(&fixture, damaged + size, 1),
        [(damaged + size, "record")]
    );
    assert_eq!(dump(&fixture, LogOffset(u64::MAX).0, 9), []);
}

#[tokio::test]
async fn parts_too_far_apart_to_be_of_one_log_are_dumped_one_after_the_other() {
    let fixture = Fixture::new().await;
    let far = SEGMENT << 20;
    let record = encode(&message("t", 0, "of another log"));
    let record = record.place(QueueOffset(0), LogOffset(far), Timestamp(0));
    let last = open_file(&fixture.disk(), &segment(5 * SEGMENT));
    last.write_all_at(&record.to_bytes(), 0)
        .expect("it is written");
    assert!(check(&fixture.disk()).hopeless().is_some());
    let all = dump(&fixture, 0, usize::MAX);
    assert!(all.is_sorted(), "{all:?}");
    assert!(
        all.contains(&(fixture.record("quiet", 0, 0).0, "record")),
        "{all:?}"
    );
    assert_eq!(dump(&fixture, far, 1), [(far, "record")]);
}

#[tokio::test]
async fn a_store_that_is_open_is_left_alone() {
    let fixture = Fixture::new().await;
    let disk = fixture.disk();
    let house = fixture.house.again().await.expect("it opens");
    let taken = Offline::open(ROOT.into(), disk.clone());
    assert!(matches!(taken, Err(store::Error::InUse { .. })));
    house.store.close().await.expect("it closes");
    assert!(Offline::open(ROOT.into(), disk.clone()).is_ok());
    let nothing = Offline::open("/elsewhere".into(), disk);
    assert!(matches!(nothing, Err(store::Error::NoStore { .. })));
}
