//! What readers of a queue are told, and what ends up in which queue.

use std::sync::Arc;
use std::time::Duration;

use model::properties::{
    DELAY, INNER_BASE, INNER_MULTI_DISPATCH, INNER_MULTI_QUEUE_OFFSET, INNER_NUMBER, KEYS, TAGS,
};
use model::record::{RecordView, decode, view};
use model::{IndexKey, QueueId, QueueOffset, SysFlag, Timestamp, Topic, system_topics, tags_code};
use parking_lot::Mutex;
use runtime::Operation;
use store::{Appended, Arrivals, Error, Flush, IndexEntry, Read, ReadLimit, ReadStatus, Wanted};

use crate::house::{House, encode, message, queue, tagged};

const LIMIT: ReadLimit = ReadLimit {
    messages: 32,
    bytes: 256 << 10,
};

async fn check_read(house: &House, from: u64, status: ReadStatus, next: u64) {
    let read = house.read("t", from, LIMIT);
    let read = read.await.expect("the read is answered");
    assert_eq!((read.status, read.next.0), (status, next), "from {from}");
}

#[tokio::test]
async fn a_read_says_where_to_go_on() {
    let house = House::new();
    check_read(&house, 3, ReadStatus::NoMatchedLogicQueue, 0).await;
    for number in 0..3 {
        house.append(&message("t", 0, &format!("{number}"))).await;
    }
    check_read(&house, 0, ReadStatus::Found, 3).await;
    check_read(&house, 2, ReadStatus::Found, 3).await;
    check_read(&house, 3, ReadStatus::OffsetOverflowOne, 3).await;
    check_read(&house, 4, ReadStatus::OffsetOverflowBadly, 3).await;
}

#[tokio::test]
async fn a_read_stops_at_its_limits_but_gives_the_first_record_always() {
    let house = House::new();
    for _ in 0..5 {
        house.append(&message("t", 0, &"x".repeat(500))).await;
    }
    let read = |messages, bytes| {
        let limit = ReadLimit { messages, bytes };
        let store = house.store.clone();
        async move {
            let read = store
                .read(&queue("t", 0), QueueOffset(0), limit, &store::Everything)
                .await;
            read.expect("it is read").records.len()
        }
    };
    assert_eq!(read(2, 100_000).await, 2);
    assert_eq!(read(32, 1).await, 1);
    assert_eq!(read(32, 1_400).await, 2);
}

async fn wanted(house: &House, from: u64, limit: ReadLimit, wanted: &impl Wanted) -> Read {
    let queue = queue("t", 0);
    let read = house.store.read(&queue, QueueOffset(from), limit, wanted);
    read.await.expect("the read is answered")
}

fn offsets(read: &Read) -> Vec<u64> {
    let offsets = read.entries.iter().map(|entry| entry.queue_offset.0);
    offsets.collect()
}

/// Wants what both closures want; the second is asked if it is there.
struct Only<E, R>(E, Option<R>);

impl<E, R> Wanted for Only<E, R>
where
    E: Fn(&IndexEntry) -> bool + Sync,
    R: Fn(&RecordView<'_>) -> bool + Sync,
{
    fn entry(&self, entry: &IndexEntry) -> bool {
        self.0(entry)
    }

    fn looks_inside(&self) -> bool {
        self.1.is_some()
    }

    fn record(&self, record: &RecordView<'_>) -> bool {
        self.1.as_ref().is_none_or(|wants| wants(record))
    }
}

#[tokio::test]
async fn filters_skip_messages_and_the_next_offset_moves_on() {
    let house = House::new();
    for number in 0..300 {
        let tag = if number % 100 == 99 { "rare" } else { "common" };
        house.append(&tagged("t", 0, tag)).await;
    }
    let rare = tags_code(Some("rare"));
    let never = None::<fn(&RecordView<'_>) -> bool>;
    let by_tag = Only(|entry: &IndexEntry| entry.tags_code == rare, never);
    let read = wanted(&house, 0, LIMIT, &by_tag).await;
    assert_eq!((offsets(&read), read.next.0), (vec![99, 199, 299], 300));
    let late = Some(|record: &RecordView<'_>| record.queue_offset.0 > 298);
    let read = wanted(&house, 0, LIMIT, &Only(|_: &IndexEntry| true, late)).await;
    assert_eq!((offsets(&read), read.next.0), (vec![299], 300));
    let read = wanted(&house, 0, LIMIT, &Only(|_: &IndexEntry| false, never)).await;
    assert_eq!(
        (read.status, read.next.0),
        (ReadStatus::NoMatchedMessage, 300)
    );
}

#[tokio::test]
async fn a_read_that_finds_nothing_ends_before_others_wait_for_it_long() {
    let house = House::new();
    for _ in 0..9_000 {
        house.append(&tagged("t", 0, "any")).await;
    }
    let never: Option<fn(&RecordView<'_>) -> bool> = None;
    let by_index = Only(|_: &IndexEntry| false, never);
    let inside = Only(|_: &IndexEntry| true, Some(|_: &RecordView<'_>| false));
    // As much work: a record costs as ten entries.
    for (next, read) in [
        (8_000, wanted(&house, 0, LIMIT, &by_index).await),
        (800, wanted(&house, 0, LIMIT, &inside).await),
    ] {
        assert_eq!(read.status, ReadStatus::NoMatchedMessage);
        assert!((next..next + 128).contains(&read.next.0), "{:?}", read.next);
    }
}

#[tokio::test]
async fn a_filter_that_looks_inside_goes_on_at_the_first_message_it_had_no_room_for() {
    let house = House::new();
    for _ in 0..300 {
        house.append(&tagged("t", 0, "any")).await;
    }
    let third = Some(|record: &RecordView<'_>| record.queue_offset.0.is_multiple_of(3));
    let third = Only(|_: &IndexEntry| true, third);
    let limit = ReadLimit {
        messages: 7,
        ..LIMIT
    };
    let read = wanted(&house, 0, limit, &third).await;
    let first: Vec<u64> = (0..7).map(|number| number * 3).collect();
    assert_eq!((offsets(&read), read.next.0), (first, 19));
    let one_record = read.entries[0].size as usize;
    let limit = ReadLimit {
        bytes: one_record * 2 + 1,
        ..LIMIT
    };
    let read = wanted(&house, 19, limit, &third).await;
    assert_eq!((offsets(&read), read.next.0), (vec![21, 24], 25));
    // However far apart those are that match: more of the index is looked at.
    let few = Some(|record: &RecordView<'_>| record.queue_offset.0 % 140 == 139);
    let read = wanted(&house, 0, LIMIT, &Only(|_: &IndexEntry| true, few)).await;
    assert_eq!((offsets(&read), read.next.0), (vec![139, 279], 300));
}

#[tokio::test]
async fn prepared_and_rolled_back_records_are_in_the_log_and_in_no_queue() {
    let house = House::new();
    let mut half = message("t", 0, "half");
    half.sys_flag = SysFlag(SysFlag::TRANSACTION_PREPARED);
    let appended = house.append(&half).await;
    assert_eq!(house.store.bounds(&queue("t", 0)), None);
    assert!(house.store.record_at(appended.log_offset).await.is_ok());
    half.sys_flag = SysFlag(SysFlag::TRANSACTION_COMMITTED);
    assert_eq!(house.append(&half).await.queue_offset.0, 0);
    assert_eq!(end(&house, &queue("t", 0)), 1);
}

#[tokio::test]
async fn an_inner_batch_takes_as_many_offsets_as_it_has_messages() {
    let house = House::new();
    let mut batch = message("t", 0, "five in one");
    batch.sys_flag = SysFlag(SysFlag::INNER_BATCH | SysFlag::NEED_UNWRAP);
    batch.properties.set(INNER_NUMBER, 5);
    house.append(&message("t", 0, "before")).await;
    let appended = house.append(&batch).await;
    house.append(&message("t", 0, "after")).await;
    assert_eq!(
        (appended.queue_offset.0, end(&house, &queue("t", 0))),
        (1, 7)
    );
    let house = house.reopened().await;
    let read = house.read("t", 3, LIMIT).await.expect("it is read");
    let first = decode(&read.records[0]).expect("a record");
    assert_eq!(first.message.properties.number(INNER_BASE), Some(1));
    assert_eq!((read.records.len(), read.next.0), (2, 7));
}

#[tokio::test]
async fn a_lite_queue_shows_the_same_record_under_its_own_offset() {
    let house = House::new();
    let mut parent = message("t", 3, "one record");
    parent.properties.set(INNER_MULTI_DISPATCH, "%LMQ%a,%LMQ%b");
    house.append(&parent).await;
    parent.properties.set(INNER_MULTI_DISPATCH, "%LMQ%b");
    let second = house.append(&parent).await;
    let house = house.killed().await;
    assert_eq!(end(&house, &queue("%LMQ%a", 0)), 1);
    assert_eq!(end(&house, &queue("%LMQ%b", 0)), 2);
    let entries = house
        .store
        .entries(&queue("%LMQ%b", 0), QueueOffset(1), 9)
        .await;
    let entries = entries.expect("the index is read");
    assert_eq!(entries[0].log_offset, second.log_offset);
    let record = house
        .store
        .record_at(second.log_offset)
        .await
        .expect("the record");
    let stored = decode(&record).expect("a record");
    assert_eq!(
        stored.message.properties.get(INNER_MULTI_QUEUE_OFFSET),
        Some("1")
    );
}

#[tokio::test]
async fn a_waiting_message_is_indexed_by_when_it_is_due() {
    let house = House::new();
    let mut waiting = message(system_topics::SCHEDULE, 1, "later");
    waiting.properties.set(DELAY, 2);
    let appended = house.append(&waiting).await;
    let entries = house
        .store
        .entries(&queue(system_topics::SCHEDULE, 1), QueueOffset(0), 1)
        .await;
    assert_eq!(
        entries.expect("the index is read")[0].tags_code,
        appended.stored.0 + 5_000
    );
}

#[tokio::test]
async fn keys_and_tags_find_messages_after_a_restart_too() {
    let mut house = House::new();
    let mut keyed = tagged("t", 0, "red");
    keyed.properties.set(KEYS, "order-1 customer-9");
    let first = house.append(&keyed).await;
    house.append(&tagged("t", 0, "blue")).await;
    let second = house.append(&keyed).await;
    let topic = Topic::parse("t").expect("a topic");
    for round in 0..3 {
        for key in [
            IndexKey::Key("order-1"),
            IndexKey::Key("customer-9"),
            IndexKey::Tag("red"),
        ] {
            let found = house.query(&topic, key, 10, 0, i64::MAX).await;
            assert_eq!(
                found,
                [first.log_offset, second.log_offset],
                "{key} in round {round}"
            );
            let newest = house.query(&topic, key, 1, 0, i64::MAX).await;
            assert_eq!(newest, [second.log_offset]);
        }
        assert!(
            house
                .query(&topic, IndexKey::Key("red"), 10, 0, i64::MAX)
                .await
                .is_empty()
        );
        assert!(
            house
                .query(&topic, IndexKey::Key("order-1"), 10, 0, first.stored.0 - 1)
                .await
                .is_empty()
        );
        house = match round {
            0 => house.reopened().await,
            _ => house.killed().await,
        };
        house.settled().await;
    }
}

#[tokio::test]
async fn a_point_in_time_is_found_in_a_long_queue() {
    let house = House::new();
    let mut stored = Vec::new();
    for number in 0..700 {
        if number % 3 == 0 {
            house.clock.advance(Duration::from_millis(10));
        }
        stored.push(house.append(&message("t", 0, "x")).await.stored.0);
    }
    let house = house.reopened().await;
    let first = stored[0];
    let last = stored[699];
    for time in (first - 5..last + 15).step_by(7) {
        let lower = stored.iter().position(|at| *at >= time).unwrap_or(700) as u64;
        let upper = stored
            .iter()
            .filter(|at| **at <= time)
            .count()
            .saturating_sub(1) as u64;
        assert_eq!(
            house.offset_at("t", time, store::Boundary::Lower).await,
            lower,
            "{time}"
        );
        assert_eq!(
            house.offset_at("t", time, store::Boundary::Upper).await,
            upper,
            "{time}"
        );
    }
}

#[tokio::test]
async fn a_deleted_topic_stays_deleted_and_begins_at_zero() {
    let house = House::new();
    for _ in 0..300 {
        house.append(&message("t", 0, "old")).await;
    }
    house.append(&message("other", 0, "kept")).await;
    house
        .store
        .delete_topic(&Topic::parse("t").expect("a topic"))
        .await
        .expect("it is deleted");
    assert_eq!(house.store.bounds(&queue("t", 0)), None);
    assert_eq!(
        house.append(&message("t", 0, "new")).await.queue_offset.0,
        0
    );
    let house = house.killed().await;
    assert_eq!(end(&house, &queue("t", 0)), 1);
    assert_eq!(end(&house, &queue("other", 0)), 1);
    house.forget_checkpoints();
    let house = house.killed().await;
    assert_eq!(end(&house, &queue("t", 0)), 1, "the log alone knows it");
}

#[tokio::test]
async fn a_topic_that_was_deleted_last_of_all_does_not_come_back() {
    let house = House::new();
    for topic in ["t", "other", "t"] {
        house.append(&message(topic, 0, "old")).await;
    }
    let topic = Topic::parse("t").expect("a topic");
    house.store.delete_topic(&topic).await.expect("deleted");
    house.forget_checkpoints();
    let house = house.killed().await;
    assert_eq!(house.store.bounds(&queue("t", 0)), None);
    assert_eq!(end(&house, &queue("other", 0)), 1);
}

#[tokio::test]
async fn nobody_else_writes_tombstones_or_group_records() {
    let house = House::new();
    for topic in ["rmq_sys_TOMBSTONE", system_topics::GROUP] {
        let refused = house.store.append(encode(&message(topic, 0, "t"))).await;
        assert!(matches!(refused, Err(Error::Reserved { .. })), "{topic}");
    }
}

type Told = Arc<Mutex<Vec<(String, u64, i64)>>>;

struct Listener {
    told: Told,
}

impl Arrivals for Listener {
    fn arrived(&self, queue: &QueueId, end: QueueOffset, tags_code: i64) {
        self.told.lock().push((queue.to_string(), end.0, tags_code));
    }
}

#[tokio::test]
async fn arrivals_are_told_once_per_run_of_equal_tags() {
    let house = House::new();
    let told = Told::default();
    house.store.tell(Listener { told: told.clone() });
    let messages = ["a", "a", "b", "a"].map(|tag| encode(&tagged("t", 0, tag)));
    house
        .store
        .append_together(Vec::from(messages))
        .await
        .expect("they are appended");
    let told: Vec<_> = told
        .lock()
        .iter()
        .filter(|told| told.0 == "t:0")
        .cloned()
        .collect();
    let (a, b) = (tags_code(Some("a")), tags_code(Some("b")));
    assert_eq!(
        told,
        [
            ("t:0".into(), 2, a),
            ("t:0".into(), 3, b),
            ("t:0".into(), 4, a)
        ]
    );
}

#[tokio::test]
async fn nothing_is_visible_before_it_is_durable_or_confirmed() {
    let house = House::with(|settings| settings.flush = Flush::Sync);
    let mut hurried = message("t", 0, "does not wait");
    hurried.properties.set(model::properties::WAIT, "false");
    let first = house.append(&hurried).await;
    house.store.flush().await.expect("it is flushed");
    assert_eq!(end(&house, &queue("t", 0)), 1);
    house
        .store
        .confirm(first.log_offset.plus(first.size.into()));
    house.append(&message("t", 0, "not confirmed")).await;
    assert_eq!(end(&house, &queue("t", 0)), 1);
    check_read(&house, 0, ReadStatus::Found, 1).await;
    check_read(&house, 1, ReadStatus::OffsetOverflowOne, 1).await;
    house.store.confirm(model::LogOffset(u64::MAX));
    check_read(&house, 1, ReadStatus::Found, 2).await;
}

#[tokio::test]
async fn records_that_arrive_together_get_an_answer_each() {
    let house = House::new();
    let records = vec![
        encode(&message("t", 0, "one")),
        encode(&message("rmq_sys_TOMBSTONE", 0, "t")),
        encode(&message("t", 0, "two")),
    ];
    let results = house.store.append_each(records).await;
    let offsets: Vec<_> = results
        .into_iter()
        .map(|result| result.map(|one| one.queue_offset.0).ok())
        .collect();
    assert_eq!(offsets, [Some(0), None, Some(1)]);
}

#[tokio::test]
async fn what_is_gathered_is_written_at_once_and_each_group_stands_for_itself() {
    let house = House::with(|settings| settings.flush = Flush::Sync);
    let record = |topic: &str, body: &str| encode(&message(topic, 0, body));
    let each = [record("t", "0"), record("t", "1")].into_iter().collect();
    let groups = [["t", "t"], ["t", "rmq_sys_TOMBSTONE"], ["u", "t"]];
    let groups = groups.map(|topics| topics.map(|topic| record(topic, "x")).into_iter().collect());
    let calls = |operation| house.disk.calls(operation);
    let before = [Operation::Write, Operation::Sync].map(calls);
    let gathered = house.store.append_gathered(each, groups.into()).await;
    let after = [Operation::Write, Operation::Sync].map(calls);
    assert_eq!(after, before.map(|calls| calls + 1));
    let place = |one: &Appended| (one.queue.topic.to_string(), one.queue_offset.0);
    let each: Vec<_> = gathered.each.iter().flatten().map(place).collect();
    assert_eq!(each, [("t".into(), 0), ("t".into(), 1)]);
    let groups = gathered.groups.iter();
    let groups: Vec<_> = groups
        .map(|group| {
            group
                .as_ref()
                .ok()
                .map(|all| all.iter().map(place).collect())
        })
        .collect();
    let expected = [
        Some(vec![("t".into(), 2), ("t".into(), 3)]),
        None,
        Some(vec![("u".into(), 0), ("t".into(), 4)]),
    ];
    assert_eq!(groups, expected);
    assert_eq!(end(&house, &queue("t", 0)), 5);
}

#[tokio::test]
async fn the_first_message_tells_how_old_queue_and_log_are() {
    let house = House::new();
    assert_eq!(
        house
            .store
            .earliest(&queue("t", 0))
            .await
            .expect("an answer"),
        None
    );
    let first = house.append(&message("t", 0, "x")).await;
    house.clock.advance(Duration::from_secs(1));
    house.append(&message("t", 0, "y")).await;
    assert_eq!(
        house
            .store
            .earliest(&queue("t", 0))
            .await
            .expect("an answer"),
        Some(first.stored)
    );
    assert_eq!(
        house.store.earliest_of_all().await.expect("an answer"),
        Some(first.stored)
    );
    assert!(first.stored > Timestamp(0));
}

#[tokio::test]
async fn the_newest_queue_of_a_record_is_the_one_it_names() {
    let house = House::new();
    let appended = house.append(&tagged("t", 7, "x")).await;
    let record = house
        .store
        .record_at(appended.log_offset)
        .await
        .expect("the record");
    let record = view(&record).expect("a record");
    assert_eq!((record.queue, record.topic), (7, "t"));
    assert_eq!(record.properties.get(TAGS), Some("x"));
}

fn end(house: &House, queue: &QueueId) -> u64 {
    house.store.bounds(queue).unwrap_or_default().max.0
}
