//! What is deleted when, and what readers are told about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::{IndexKey, LogOffset, QueueId, QueueOffset, Topic, properties, system_topics};
use parking_lot::Mutex;
use store::{Arrivals, ReadLimit, ReadStatus};

use crate::house::{House, ROOT, message, queue};

const LIMIT: ReadLimit = ReadLimit {
    messages: 4,
    bytes: 1 << 20,
};

/// Three segments that are hours apart; the queue `once` has a message in the first alone.
async fn old_house() -> House {
    let house = House::with(|settings| settings.retention_hours = 10);
    house.append(&message("once", 0, "long ago")).await;
    for number in 0..250 {
        if number % 100 == 0 {
            house.clock.advance(Duration::from_secs(6 * 3_600));
        }
        let mut message = message("t", 0, &"x".repeat(800));
        message.properties.set(model::properties::KEYS, number);
        house.append(&message).await;
    }
    house
}

#[tokio::test]
async fn whole_segments_go_when_their_time_is_over() {
    let house = old_house().await;
    house.store.clean().await.expect("it cleans");
    assert_eq!(house.store.log_bounds().0.0, 65_536);
    let bounds = house.store.bounds(&queue("t", 0)).expect("the queue");
    assert!(bounds.min.0 > 0 && bounds.max.0 == 250, "{bounds:?}");
    let read = house.read("t", 0, LIMIT).await;
    let read = read.expect("it is read");
    assert_eq!(
        (read.status, read.next),
        (ReadStatus::OffsetTooSmall, bounds.min)
    );
    let read = house.read("t", bounds.min.0, LIMIT).await;
    assert_eq!(read.expect("it is read").records.len(), 4);
    let topic = Topic::parse("t").expect("a topic");
    assert!(
        house
            .query(&topic, IndexKey::Key("0"), 9, 0, i64::MAX)
            .await
            .is_empty()
    );
    assert_eq!(
        house
            .query(&topic, IndexKey::Key("249"), 9, 0, i64::MAX)
            .await
            .len(),
        1
    );
}

/// Says of every segment whether it is needed, and remembers which it was asked about.
struct Asked {
    needed: Arc<AtomicBool>,
    ends: Arc<Mutex<Vec<u64>>>,
}

impl Arrivals for Asked {
    fn arrived(&self, _: &QueueId, _: QueueOffset, _: i64) {}

    fn needs_below(&self, end: LogOffset) -> bool {
        self.ends.lock().push(end.0);
        self.needed.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn what_waits_for_its_time_keeps_its_segment_until_those_who_know_let_it_go() {
    let house = House::with(|settings| settings.retention_hours = 10);
    let mut waiting = message(system_topics::SCHEDULE, 17, "in two hours");
    waiting.properties.set(properties::DELAY, 18);
    house.append(&waiting).await;
    for _ in 0..250 {
        house.append(&message("t", 0, &"x".repeat(800))).await;
    }
    house.clock.advance(Duration::from_secs(99 * 3_600));
    let begin = async || {
        house.store.clean().await.expect("it cleans");
        house.store.log_bounds().0.0
    };
    assert_eq!(begin().await, 0, "nobody can be asked yet");
    let (needed, ends) = (Arc::new(AtomicBool::new(true)), Arc::default());
    house.store.tell(Asked {
        needed: Arc::clone(&needed),
        ends: Arc::clone(&ends),
    });
    assert_eq!(begin().await, 0);
    needed.store(false, Ordering::Relaxed);
    assert_eq!(begin().await, 3 << 16, "all but the newest");
    assert_eq!(*ends.lock(), [1 << 16, 1 << 16, 2 << 16, 3 << 16]);
}

#[tokio::test]
async fn while_the_disk_is_nearly_full_a_segment_goes_every_second() {
    let house = House::with(|settings| {
        settings.retention_hours = 1_000;
        settings.clean_percent = 40;
    });
    for _ in 0..600 {
        house.append(&message("t", 0, &"x".repeat(800))).await;
    }
    let disk = house.store.stats().disk.expect("it has a size");
    let used = disk.total - disk.available;
    house.disk.set_capacity(Some(used + 30_000));
    // Of its own accord the store looks at the disk every ten seconds.
    for _ in 0..11 {
        house.clock.run(Duration::from_secs(1)).await;
    }
    let begin = house.store.log_bounds().0.0;
    assert_eq!(begin >> 16, 6, "until there is room");
}

#[tokio::test]
async fn a_queue_whose_messages_are_gone_keeps_its_offsets() {
    let mut house = old_house().await;
    house.store.clean().await.expect("it cleans");
    for _ in 0..2 {
        let bounds = house.store.bounds(&queue("once", 0)).expect("the queue");
        assert_eq!((bounds.min.0, bounds.max.0), (1, 1));
        house = house.killed().await;
    }
    assert_eq!(
        house
            .append(&message("once", 0, "again"))
            .await
            .queue_offset
            .0,
        1
    );
}

#[tokio::test]
async fn a_disk_that_is_full_to_the_last_byte_costs_no_segment_where_none_may_go() {
    for clean_percent in [100, 101] {
        let house = House::with(|settings| settings.clean_percent = clean_percent);
        for _ in 0..250 {
            house.append(&message("t", 0, &"x".repeat(800))).await;
        }
        house.disk.set_capacity(Some(1));
        house.store.clean().await.expect("nothing is written");
        assert_eq!(house.store.log_bounds().0.0, 0, "{clean_percent}");
    }
}

#[tokio::test]
async fn a_disk_that_others_have_filled_is_cleaned_with_what_was_kept_back() {
    let house = House::with(|settings| settings.clean_percent = 90);
    // The store's own tasks keep the space back before the first message.
    house.settled().await;
    for _ in 0..250 {
        house.append(&message("t", 0, &"x".repeat(800))).await;
    }
    let space = house.disk.mount().space(ROOT.as_ref()).expect("a disk");
    house.disk.set_capacity(Some(space.total - space.available));
    house.store.clean().await.expect("it cleans");
    assert!(house.store.log_bounds().0.0 >= 65_536, "a segment is gone");
    let house = house.killed().await;
    assert!(house.store.log_bounds().0.0 >= 65_536);
    assert!(house.read("t", 249, LIMIT).await.is_ok());
}

#[tokio::test]
async fn the_newest_segment_stays_however_old_it_is() {
    let house = old_house().await;
    house.clock.advance(Duration::from_secs(1_000 * 3_600));
    house.store.clean().await.expect("it cleans");
    let (min, end) = house.store.log_bounds();
    assert!(min < end && end.0 - min.0 <= 65_536);
}

#[tokio::test]
async fn beginnings_are_the_same_after_a_restart() {
    let house = old_house().await;
    house.store.clean().await.expect("it cleans");
    let before = house.store.bounds(&queue("t", 0));
    let house = house.reopened().await;
    assert_eq!(house.store.bounds(&queue("t", 0)), before);
    house.forget_checkpoints();
    let house = house.killed().await;
    assert!(house.report.rebuilt);
    assert_eq!(
        house.store.bounds(&queue("t", 0)),
        before,
        "the log alone knows it"
    );
}

#[tokio::test]
async fn a_damaged_first_record_does_not_keep_segments_for_ever() {
    let house = old_house().await;
    let path = format!("/store/commitlog/{:020}", 65_536);
    let flipped = house.disk.flip_bit(path.as_ref(), 40, 1);
    flipped.expect("it is there");
    house.clock.advance(Duration::from_secs(1_000 * 3_600));
    house.store.clean().await.expect("it cleans");
    assert!(house.store.log_bounds().0.0 >= 131_072);
}
