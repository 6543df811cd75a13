//! What becomes of the store when its disk is full, fails, or lies.

use std::path::Path;
use std::time::Duration;

use model::QueueOffset;
use runtime::{DiskFailure, Faults, Open, Operation};
use store::{Appended, Boundary, Error, Flush, ReadLimit, ReadStatus, Records};

use crate::house::{House, ROOT, encode, message, queue};

const LIMIT: ReadLimit = ReadLimit {
    messages: 100,
    bytes: 1 << 20,
};

async fn append(house: &House) -> Result<Appended, Error> {
    house
        .store
        .append(encode(&message("t", 0, &"x".repeat(900))))
        .await
}

async fn readable(house: &House) -> u64 {
    let mut from = QueueOffset(0);
    loop {
        let read = house.read("t", from.0, LIMIT).await;
        let read = read.expect("it is read");
        if read.status != ReadStatus::Found {
            return from.0;
        }
        from = read.next;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_appends_with_numbers_and_goes_on_when_there_is_room() {
    let house = House::new();
    house.disk.set_capacity(Some(300 << 10));
    let mut stored = 0;
    let refused = loop {
        match append(&house).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        house.settled().await;
    };
    let Error::DiskFull {
        needed,
        available,
        total,
    } = refused
    else {
        panic!("another error: {refused}");
    };
    assert_eq!((needed, total), (64 << 10, 300 << 10));
    assert!(available < needed, "{available}");
    assert!(matches!(append(&house).await, Err(Error::DiskFull { .. })));
    assert_eq!(readable(&house).await, stored);
    house.disk.set_capacity(None);
    house.clock.advance(Duration::from_secs(2));
    let appended = append(&house).await.expect("there is room again");
    assert_eq!(appended.queue_offset.0, stored);
    let house = house.killed().await;
    assert_eq!(readable(&house).await, stored + 1);
}

#[tokio::test]
async fn a_small_record_still_fits_when_the_disk_is_full() {
    let house = House::new();
    house.disk.set_capacity(Some(150 << 10));
    while append(&house).await.is_ok() {}
    let small = house.store.append(encode(&message("t", 0, "small"))).await;
    assert!(small.is_ok(), "the segment in use has room");
}

#[tokio::test]
async fn what_lets_others_go_is_taken_though_the_disk_is_too_full_for_them() {
    let house = House::with(|settings| settings.refuse_percent = 40);
    house.disk.set_capacity(Some(150 << 10));
    append(&house).await.expect("nobody has looked yet");
    house.store.clean().await.expect("it looks at the disk");
    assert!(matches!(append(&house).await, Err(Error::DiskFull { .. })));
    let records = || Records::from(encode(&message("t", 0, &"x".repeat(9_000))));
    let refused = house.store.append_together(records()).await;
    assert!(matches!(refused, Err(Error::DiskFull { .. })));
    let mut taken = 0;
    let refused = loop {
        let pressing = records().though_full();
        match house.store.append_together(pressing).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    // Two segments have room, no third fits on the disk.
    assert!((12..15).contains(&taken), "{taken}");
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused}");
    assert!(matches!(append(&house).await, Err(Error::DiskFull { .. })));
}

#[tokio::test]
async fn what_lets_others_go_finds_room_on_a_disk_without_any() {
    let house = House::with(|settings| settings.clean_percent = 99);
    let segment = house.settings.segment_bytes;
    // Room for two segments, not for what is kept back or for a third.
    house.disk.set_capacity(Some(2 * segment + (8 << 10)));
    let refused = loop {
        if let Err(error) = append(&house).await {
            break error;
        }
    };
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused}");
    let third = "x".repeat(segment as usize / 3);
    let pressing = Records::from(encode(&message("t", 0, &third))).though_full();
    let taken = house.store.append_together(pressing).await;
    taken.expect("what is kept free in a segment is for this");
    assert!(matches!(append(&house).await, Err(Error::DiskFull { .. })));
    house.disk.set_capacity(None);
    // Others go on where the segment was kept free.
    house.clock.run(Duration::from_secs(2)).await;
    let (_, end) = house.store.log_bounds();
    append(&house).await.expect("there is room again");
    assert!(end.0 < 2 * segment, "{end}");
}

#[tokio::test]
async fn a_failed_write_is_refused_and_leaves_no_trace() {
    let house = House::new();
    append(&house).await.expect("the disk is sound");
    house.disk.fail_next(Operation::Write, DiskFailure::Io);
    assert!(matches!(append(&house).await, Err(Error::Disk { .. })));
    let next = append(&house).await.expect("the disk is sound again");
    assert_eq!(next.queue_offset.0, 1);
    let house = house.killed().await;
    assert_eq!(
        (readable(&house).await, house.report.cut.clone()),
        (2, None)
    );
}

/// The write fails, and so does what would undo it.
async fn break_a_write(house: &House) {
    house.disk.fail_next(Operation::Write, DiskFailure::Io);
    house.disk.fail_next(Operation::Write, DiskFailure::Io);
    assert!(append(house).await.is_err());
    let refusal = house.store.refusal();
    assert!(matches!(refusal, Some(Error::ReadOnly { .. })));
}

#[tokio::test]
async fn what_was_taken_before_a_write_failed_is_flushed_all_the_same() {
    let house = House::new();
    append(&house).await.expect("the disk is sound");
    break_a_write(&house).await;
    let interval = Duration::from_millis(house.settings.flush_interval_ms);
    house.clock.run(interval).await;
    house.settled().await;
    house.disk.crash();
    let house = house.again().await.expect("it opens");
    assert_eq!(readable(&house).await, 1);
}

#[tokio::test]
async fn a_store_with_a_write_that_was_not_undone_is_not_closed_in_order() {
    let house = House::new();
    append(&house).await.expect("the disk is sound");
    break_a_write(&house).await;
    let closed = house.store.close().await;
    assert!(matches!(closed, Err(Error::ReadOnly { .. })), "{closed:?}");
    house.disk.crash();
    let house = house.again().await.expect("it opens");
    assert!(!house.report.clean, "the start looks at what is behind");
    assert_eq!(readable(&house).await, 1, "it was flushed by the close");
}

#[tokio::test]
async fn a_failed_flush_is_never_repeated_and_never_acknowledged() {
    let house = House::with(|settings| settings.flush = Flush::Sync);
    append(&house).await.expect("the disk is sound");
    house.disk.fail_next(Operation::Sync, DiskFailure::Io);
    assert!(append(&house).await.is_err());
    let syncs = house.disk.calls(Operation::Sync);
    for _ in 0..3 {
        assert!(matches!(append(&house).await, Err(Error::ReadOnly { .. })));
    }
    assert!(house.store.flush().await.is_err());
    assert_eq!(
        house.disk.calls(Operation::Sync),
        syncs,
        "a second sync may lie"
    );
    assert!(matches!(
        house.store.refusal(),
        Some(Error::ReadOnly { .. })
    ));
    assert_eq!(
        readable(&house).await,
        1,
        "reads go on, without what was not flushed"
    );
    house.disk.crash();
    let house = house.again().await.expect("it opens");
    assert!(readable(&house).await >= 1);
    append(&house)
        .await
        .expect("a start that has looked takes appends again");
}

#[tokio::test]
async fn senders_that_come_back_after_a_flush_share_the_next_one() {
    const SENDERS: usize = 16;
    const EACH: usize = 10;
    let house = House::with(|settings| settings.flush = Flush::Sync);
    let before = house.disk.calls(Operation::Sync);
    let senders = (0..SENDERS).map(|number| {
        let store = house.store.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                let record = encode(&message("t", 0, "body"));
                store.append(record).await.expect("the disk is sound");
                // None comes back at the moment at which another one does.
                for _ in 0..number / 3 {
                    tokio::task::yield_now().await;
                }
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.expect("it ends");
    }
    let flushes = house.disk.calls(Operation::Sync) - before;
    let least = EACH as u64;
    assert!((least..=least + 3).contains(&flushes), "{flushes} flushes");
}

/// What stands far behind the log's end, after `append` found something else there.
async fn behind_the_end_after_an_append(house: &House) -> u8 {
    const FAR: u64 = 50_000;
    let path = Path::new(ROOT).join("commitlog").join(format!("{:020}", 0));
    let segment = house.disk.mount().open(&path, Open::Write);
    let segment = segment.expect("the first segment");
    segment.write_all_at(&[7], FAR).expect("it is written");
    append(house).await.expect("it is appended");
    let mut found = [0];
    segment.pread(&mut found, FAR).expect("it is read");
    found[0]
}

#[tokio::test]
async fn where_senders_wait_for_the_flush_fresh_space_is_filled_ahead_and_once() {
    let house = House::with(|settings| settings.flush = Flush::Sync);
    assert_eq!(behind_the_end_after_an_append(&house).await, 0);
    assert_eq!(behind_the_end_after_an_append(&house).await, 7);
    let house = House::with(|settings| settings.flush = Flush::Async);
    assert_eq!(behind_the_end_after_an_append(&house).await, 7);
}

#[tokio::test]
async fn queues_that_lie_interleaved_are_read_with_few_reads() {
    const QUEUES: u64 = 8;
    let house = House::with(|settings| settings.hot_bytes = 0);
    let body = "x".repeat(1_000);
    for number in 0..400 {
        let queue = format!("t{}", number % QUEUES);
        house.append(&message(&queue, 0, &body)).await;
    }
    house.disk.arm(Faults {
        read_would_wait: 1.0,
        ..Faults::default()
    });
    let before = house.disk.calls(Operation::Read);
    for queue in 0..QUEUES {
        let mut read = 0;
        while read < 400 / QUEUES {
            let found = house.read(&format!("t{queue}"), read, LIMIT).await;
            read = found.expect("it is read").next.0;
        }
        assert_eq!(read, 400 / QUEUES);
    }
    let reads = house.disk.calls(Operation::Read) - before;
    assert!(reads < 60, "{reads} reads of 400 records");
}

#[tokio::test]
async fn a_rotten_record_is_left_out_and_counted() {
    let house = House::with(|settings| settings.hot_bytes = 0);
    for _ in 0..5 {
        append(&house).await.expect("the disk is sound");
    }
    let entries = house.store.entries(&queue("t", 0), QueueOffset(0), 9).await;
    let rotten = entries.expect("the index is read")[2].log_offset;
    let path = Path::new(ROOT).join(format!("commitlog/{:020}", 0));
    house
        .disk
        .flip_bit(&path, rotten.0 + 200, 5)
        .expect("it is there");
    let read = house.read("t", 0, LIMIT).await;
    let read = read.expect("it is read");
    let offsets: Vec<u64> = read
        .entries
        .iter()
        .map(|entry| entry.queue_offset.0)
        .collect();
    assert_eq!((offsets, read.next.0), (vec![0, 1, 3, 4], 5));
    let told: Vec<_> = read.damaged.iter().map(|entry| entry.log_offset).collect();
    assert_eq!(told, [rotten], "the reader is told");
    assert_eq!(house.store.stats().damaged_records, 1);
    assert!(matches!(
        house.store.record_at(rotten).await,
        Err(Error::Corrupt { .. })
    ));
}

#[tokio::test]
async fn a_read_that_fails_is_an_error_and_not_the_end_of_a_queue() {
    let house = House::with(|settings| settings.hot_bytes = 0);
    append(&house).await.expect("the disk is sound");
    house.disk.arm(Faults {
        read_would_wait: 1.0,
        read_error: 1.0,
        ..Faults::default()
    });
    let read = house.read("t", 0, LIMIT).await;
    assert!(matches!(read, Err(Error::Disk { .. })));
    house.disk.disarm();
    assert_eq!(readable(&house).await, 1);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_ends_a_read_and_spoils_none_before_it() {
    let house = House::with(|settings| settings.hot_bytes = 0);
    for _ in 0..3 {
        append(&house).await.expect("the disk is sound");
    }
    house.disk.arm(Faults {
        read_would_wait: 1.0,
        ..Faults::default()
    });
    // All three at once, then the first alone, then the second.
    house.disk.fail_next(Operation::Read, DiskFailure::Io);
    let read = house.read("t", 0, LIMIT).await.expect("each is read alone");
    assert_eq!((read.records.len(), read.next.0), (3, 3));
    house.disk.on_call({
        let calls = std::sync::atomic::AtomicU64::new(0);
        let disk = house.disk.clone();
        move |operation, _| {
            let nth = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if operation == Operation::Read && (nth == 0 || nth == 2) {
                disk.fail_next(Operation::Read, DiskFailure::Io);
            }
        }
    });
    let read = house.read("t", 0, LIMIT).await.expect("one could be read");
    assert_eq!((read.records.len(), read.next.0), (1, 1));
    assert_eq!(read.damaged, [], "it may be readable the next time");
}

#[tokio::test]
async fn a_record_that_can_never_be_read_is_gone_past_after_many_tries_and_counted() {
    let house = House::with(|settings| settings.hot_bytes = 0);
    for _ in 0..3 {
        append(&house).await.expect("the disk is sound");
    }
    house.disk.arm(Faults {
        read_would_wait: 1.0,
        read_error: 1.0,
        ..Faults::default()
    });
    for _ in 0..20 {
        let read = house.read("t", 0, LIMIT).await;
        assert!(matches!(read, Err(Error::Disk { .. })), "it may be back");
    }
    assert_eq!(house.store.stats().damaged_records, 0);
    house.clock.advance(Duration::from_secs(60));
    let read = house.read("t", 0, LIMIT).await.expect("it goes past it");
    assert_eq!(
        (read.damaged.len(), read.next.0),
        (1, 1),
        "the second has not been tried as often"
    );
    assert_eq!(house.store.stats().damaged_records, 1);
    house.disk.disarm();
    let read = house.read("t", 0, LIMIT).await.expect("the disk is back");
    assert_eq!((read.records.len(), read.next.0), (3, 3), "nothing is lost");
}

#[tokio::test]
async fn searches_by_time_go_past_damaged_records() {
    let house = House::with(|settings| settings.hot_bytes = 0);
    let mut places = Vec::new();
    for number in 0..9u64 {
        house.clock.advance(Duration::from_millis(10));
        let appended = house.append(&message("t", 0, &format!("{number}"))).await;
        places.push((appended.log_offset.0, appended.stored.0));
    }
    let path = Path::new(ROOT).join(format!("commitlog/{:020}", 0));
    for (at, _) in &places[3..6] {
        let flipped = house.disk.flip_bit(&path, at + 50, 1);
        flipped.expect("it is there");
    }
    let begins = |number: usize| house.offset_at("t", places[number].1, Boundary::Lower);
    assert_eq!(begins(0).await, 0);
    assert_eq!(
        begins(2).await,
        2,
        "earlier ones are found though the middle is damaged"
    );
    assert_eq!(begins(4).await, 6);
    assert_eq!(begins(8).await, 8);
}

#[tokio::test]
async fn a_record_larger_than_a_segment_is_refused_by_size() {
    let house = House::new();
    let large = house
        .store
        .append(encode(&message("t", 0, &"x".repeat(70_000))))
        .await;
    assert!(matches!(large, Err(Error::TooLarge { limit: 65_528, .. })));
    let group: Vec<_> = (0..3)
        .map(|_| encode(&message("t", 0, &"x".repeat(30_000))))
        .collect();
    assert!(matches!(
        house.store.append_together(group).await,
        Err(Error::TooLarge { .. })
    ));
    assert_eq!(
        append(&house).await.expect("others go on").queue_offset.0,
        0
    );
}

#[tokio::test]
async fn a_record_without_the_whole_checksum_is_refused() {
    let house = House::new();
    let plain = model::record::Unplaced::encode(
        &message("t", 0, "plain"),
        "127.0.0.1:1".parse().expect("an address"),
        model::Checksum::Body,
    );
    let refused = house.store.append(plain.expect("a small message")).await;
    assert!(matches!(refused, Err(Error::Record(_))));
    assert_eq!(
        append(&house).await.expect("others go on").queue_offset.0,
        0
    );
}
