//! Handling each queue's messages one after the other, failures and changes of members included.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Batch, ConsumeFrom, Filter, Outcome, PushSettings};
use model::Topic;
use parking_lot::Mutex;

use crate::house::{House, group, text, with_house, with_houses};
use crate::inbox::Inbox;

const LIMIT: Duration = Duration::from_secs(30);

fn settings() -> PushSettings {
    PushSettings {
        ordered: true,
        from: ConsumeFrom::Start,
        batch: 4,
        ..PushSettings::new(group("workers"))
    }
}

async fn filled(house: &House, queues: u32, messages: u32) -> Topic {
    let topic = house.make_topic("orders", queues).await;
    let producer = house.producer().await;
    house.send_numbers(&producer, &topic, 0..messages).await;
    topic
}

#[test]
fn what_follows_a_failed_message_waits_for_it() {
    with_house(async |house| {
        let orders = filled(house, 1, 10).await;
        let inbox = Inbox::judging(|message| match message.message.reconsume_times {
            attempts if text(message) == "3" && attempts < 3 => Outcome::Again,
            _ => Outcome::Done,
        });
        let settings = PushSettings {
            batch: 1,
            ..settings()
        };
        let start_at = house.clock.now();
        let consumer = house.consume("first", settings, &orders, &inbox).await;
        house.until("all messages", || inbox.len() >= 13).await;
        assert!(house.clock.now() - start_at >= Duration::from_secs(3));
        house.run(consumer.shutdown(LIMIT)).await;
        let expected = [
            "0", "1", "2", "3", "3", "3", "3", "4", "5", "6", "7", "8", "9",
        ];
        assert_eq!(inbox.texts(), expected);
    });
}

#[test]
fn a_message_that_failed_too_often_is_given_up_and_the_rest_goes_on() {
    with_house(async |house| {
        let orders = filled(house, 1, 4).await;
        let inbox = Inbox::judging(|message| match text(message).as_str() {
            "1" => Outcome::Again,
            _ => Outcome::Done,
        });
        let settings = PushSettings {
            batch: 1,
            retries: Some(2),
            ..settings()
        };
        let consumer = house.consume("first", settings, &orders, &inbox).await;
        house.until("all messages", || inbox.len() >= 6).await;
        house.run(consumer.shutdown(LIMIT)).await;
        assert_eq!(inbox.texts(), ["0", "1", "1", "1", "2", "3"]);
        house.pass(Duration::from_secs(1)).await;
        let reader = house.client("reader").await.pull_consumer(group("readers"));
        let dead = house
            .contents(&reader, &group("workers").dead_letter_topic())
            .await;
        assert_eq!(dead.iter().map(text).collect::<Vec<_>>(), ["1"]);
    });
}

/// Watches that no queue is in two hands at a time and that its offsets go up.
#[derive(Default)]
struct Watch {
    hands: BTreeMap<u32, usize>,
    last: BTreeMap<u32, u64>,
    seen: usize,
}

#[test]
fn a_queue_is_never_in_two_hands_while_members_come_and_go() {
    with_houses(5, async |house| {
        let orders = filled(house, 4, 400).await;
        let watch = Arc::new(Mutex::new(Watch::default()));
        let clock = house.clock.clock();
        let listener = {
            let watch = watch.clone();
            move |batch: Batch| {
                let (watch, clock) = (watch.clone(), clock.clone());
                async move {
                    let number = batch.queue.number;
                    {
                        let mut watch = watch.lock();
                        let hands = watch.hands.entry(number).or_default();
                        *hands += 1;
                        assert_eq!(*hands, 1, "queue {number} is in two hands");
                    }
                    clock.sleep(Duration::from_millis(300)).await;
                    let mut watch = watch.lock();
                    *watch.hands.entry(number).or_default() -= 1;
                    for message in batch.iter() {
                        let at = message.queue_offset.0;
                        let last = watch.last.insert(number, at);
                        assert_eq!(last.map_or(0, |last| last + 1), at, "queue {number}");
                        watch.seen += 1;
                    }
                    Outcome::Done
                }
            }
        };
        let mut members = Vec::new();
        for name in ["one", "two", "three"] {
            let client = house.client(name).await;
            let consumer = client
                .push_consumer(settings())
                .subscribe(orders.clone(), Filter::All);
            members.push(
                house
                    .run(consumer.start(listener.clone()))
                    .await
                    .expect("started"),
            );
            house.pass(Duration::from_secs(3)).await;
        }
        let first = members.remove(0);
        house.run(first.shutdown(LIMIT)).await;
        house
            .until("every message", || watch.lock().seen >= 400)
            .await;
        house.pass(Duration::from_secs(90)).await;
        for member in members {
            house.run(member.shutdown(LIMIT)).await;
        }
        assert_eq!(watch.lock().seen, 400);
    });
}
