//! Every message has its place there that it had here, and so has every one that is lost.

use std::path::Path;

use model::record::view;
use model::{QueueOffset, SysFlag};
use store::MessageStore;

use crate::fixture::{Fixture, ends, repair, served};
use crate::house::{House, ROOT, message};
use crate::small::{TARGET, entries, export, files};

/// The export as our own broker finds it.
fn home(house: &House) -> MessageStore {
    let tasks = runtime::Tasks::simulated(house.clock.clock(), runtime::Rng::seeded(3));
    let opened = MessageStore::open(
        TARGET.into(),
        house.settings.clone(),
        house.disk.mount(),
        house.clock.clock(),
        tasks,
    );
    opened.expect("the export opens").0
}

#[tokio::test]
async fn nothing_is_lost_on_the_way_and_nothing_changes_here() {
    let fixture = Fixture::new().await;
    let before = files(&fixture.disk(), ROOT);
    let exported = export(&fixture.disk(), &fixture.house.settings).expect("it is exported");
    assert!(before == files(&fixture.disk(), ROOT), "the store changed");
    assert_eq!((exported.segments, exported.lost_places), (6, 0));
    let store = home(&fixture.house);
    assert!(served(&store).await == fixture.served, "other messages");
    assert_eq!(ends(&store), fixture.ends);
    store.close().await.expect("it closes");
}

#[tokio::test]
async fn a_lost_place_shows_nothing_and_is_not_given_out_again() {
    let fixture = Fixture::new().await;
    let lost = [fixture.record("t", 0, 3), fixture.record("quiet", 0, 0)];
    lost.iter().for_each(|(at, _)| fixture.flip(at + 90));
    repair(&fixture.disk()).expect("it is mended");
    // The repair leaves it to the next start to build the index: that is no damage.
    let exported = export(&fixture.disk(), &fixture.house.settings).expect("it is exported");
    assert_eq!(exported.lost_places, 2, "{exported:?}");
    let disk = fixture.disk();
    for (queue, offset) in [("t/0", 3), ("quiet/0", 0)] {
        let (at, size, tags) = entries(&disk, queue, 0)[offset];
        assert_eq!((at + u64::from(size), tags), (exported.end, 0), "{queue}");
        let segment = at - at % exported.segment_bytes;
        let path = format!("{TARGET}/commitlog/{segment:020}");
        let log = disk.read(Path::new(&path)).expect("the log is there");
        let record = view(&log[(at - segment) as usize..]).expect("a record");
        record.check_body().expect("it is sound");
        let flags = SysFlag::INNER_BATCH | SysFlag::TRANSACTION_ROLLED_BACK;
        assert_eq!(record.sys_flag.0 & flags, flags);
    }
    for offset in [2, 4] {
        let (at, size, _) = entries(&disk, "t/0", 0)[offset];
        assert_eq!(
            (at, size.into()),
            fixture.record("t", 0, offset as u64),
            "its neighbours"
        );
    }
    let store = home(&fixture.house);
    let kept = fixture.without(|at| lost.iter().any(|(lost, _)| *lost == at));
    assert!(served(&store).await == kept, "other messages");
    let record = crate::house::encode(&message("quiet", 0, "the next"));
    let appended = store.append(record).await.expect("it is appended");
    assert_eq!(appended.queue_offset, QueueOffset(1));
    store.close().await.expect("it closes");
}

#[tokio::test]
async fn a_topic_that_was_deleted_is_not_there_and_a_new_one_begins_at_nothing() {
    let house = House::new();
    for topic in ["gone", "again", "again"] {
        house.append(&message(topic, 0, "old")).await;
    }
    for topic in ["gone", "again"] {
        let topic = model::Topic::parse(topic).expect("a topic");
        house.store.delete_topic(&topic).await.expect("deleted");
    }
    let new = house.append(&message("again", 0, "new")).await;
    house.store.close().await.expect("it closes");
    let disk: std::sync::Arc<dyn runtime::Disk> = house.disk.mount();
    export(&disk, &house.settings).expect("it is exported");
    let gone = Path::new(TARGET).join("consumequeue/gone");
    assert!(!disk.exists(&gone).expect("it is looked for"));
    let again = entries(&disk, "again/0", 0);
    assert_eq!(again[0], (new.log_offset.0, new.size, 0));
    assert_eq!(again[1], (0, 0, 0), "nothing else");
}

#[tokio::test]
async fn a_queue_whose_beginning_is_gone_begins_where_it_did() {
    let fixture = Fixture::new().await;
    let first = fixture.served.iter().find(|(place, (at, _))| {
        place.queue.topic.as_str() == "t" && place.queue.number == 1 && *at >= 2 * 16_384
    });
    let (place, (at, bytes)) = first.expect("the third segment has messages");
    let disk = fixture.disk();
    for start in [0, 16_384] {
        let path = crate::fixture::segment(start);
        disk.unlink(&path).expect("it is there");
    }
    repair(&disk).expect("it is mended");
    let exported = export(&disk, &fixture.house.settings).expect("it is exported");
    assert_eq!(exported.segments, 4);
    let file = place.offset / 16;
    let entries = entries(&disk, "t/1", file * 16 * 20);
    let within = (place.offset % 16) as usize;
    assert_eq!(entries[within].0, *at);
    assert_eq!(entries[within].1 as usize, bytes.len());
    for filler in &entries[..within] {
        assert_eq!(*filler, (0, i32::MAX as u32, 0), "RocketMQ's own filler");
    }
}
