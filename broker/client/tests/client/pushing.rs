//! Messages brought to a listener: once, again when it failed, from where the group was.

use std::sync::Arc;
use std::time::Duration;

use client::{Batch, ConsumeFrom, Filter, MessageModel, Outcome, PushSettings, ResetTo};
use model::Timestamp;
use runtime::{Rng, SimDisk};

use crate::house::{counted, group, message, queue, tagged, text, topic, with_house};
use crate::inbox::Inbox;

const LIMIT: Duration = Duration::from_secs(30);

fn settings() -> PushSettings {
    PushSettings {
        from: ConsumeFrom::Start,
        ..PushSettings::new(group("workers"))
    }
}

fn numbers(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|number| number.to_string())
}

#[test]
fn every_message_is_brought_once_and_a_successor_goes_on_behind_it() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 4).await;
        let producer = house.producer().await;
        house.send_numbers(&producer, &orders, 0..100).await;
        let inbox = Inbox::new();
        let consumer = house.consume("first", settings(), &orders, &inbox).await;
        house
            .until("a hundred messages", || inbox.len() >= 100)
            .await;
        house.run(consumer.shutdown(LIMIT)).await;
        assert_eq!(counted(inbox.texts()), counted(numbers(0..100)));

        house.send_numbers(&producer, &orders, 100..150).await;
        let later = Inbox::new();
        let consumer = house.consume("second", settings(), &orders, &later).await;
        house.until("fifty messages", || later.len() >= 50).await;
        house.pass(Duration::from_secs(60)).await;
        assert_eq!(counted(later.texts()), counted(numbers(100..150)));
        house.run(consumer.shutdown(LIMIT)).await;
    });
}

#[test]
fn a_message_that_failed_comes_again_after_its_delay() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 1).await;
        let producer = house.producer().await;
        house.send_numbers(&producer, &orders, 0..3).await;
        let inbox = Inbox::judging(|message| match message.message.reconsume_times {
            attempts if text(message) == "1" && attempts < 2 => Outcome::Again,
            _ => Outcome::Done,
        });
        let failed = house.clock.now();
        let consumer = house.consume("first", settings(), &orders, &inbox).await;
        house.until("three messages", || inbox.len() >= 3).await;
        house.until("the first retry", || inbox.len() >= 4).await;
        assert!(house.clock.now() - failed >= Duration::from_secs(10));
        house.until("the second retry", || inbox.len() >= 5).await;
        assert!(house.clock.now() - failed >= Duration::from_secs(40));
        house.pass(Duration::from_secs(600)).await;
        let messages = inbox.messages();
        assert_eq!(messages.len(), 5);
        for (attempt, message) in messages
            .iter()
            .filter(|message| text(message) == "1")
            .enumerate()
        {
            assert_eq!(message.message.reconsume_times, attempt as i32);
            assert_eq!(message.message.topic, orders);
        }
        house.run(consumer.shutdown(LIMIT)).await;
    });
}

#[test]
fn a_message_that_always_fails_ends_among_the_dead_letters() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 1).await;
        let producer = house.producer().await;
        for text in ["good", "bad"] {
            house.send(&producer, message(&orders, text)).await;
        }
        let inbox = Inbox::judging(|message| match text(message).as_str() {
            "bad" => Outcome::Again,
            _ => Outcome::Done,
        });
        let settings = PushSettings {
            retries: Some(2),
            ..settings()
        };
        let consumer = house.consume("first", settings, &orders, &inbox).await;
        house.until("three attempts", || inbox.len() >= 4).await;
        house.pass(Duration::from_secs(3_600)).await;
        assert_eq!(
            counted(inbox.texts()),
            [("bad".to_owned(), 3), ("good".to_owned(), 1)].into()
        );
        let reader = house.client("reader").await.pull_consumer(group("readers"));
        let dead = house
            .contents(&reader, &group("workers").dead_letter_topic())
            .await;
        assert_eq!(dead.iter().map(text).collect::<Vec<_>>(), ["bad"]);
        house.run(consumer.shutdown(LIMIT)).await;
    });
}

#[test]
fn a_listener_that_panics_gets_its_batch_again() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 1).await;
        let producer = house.producer().await;
        house.send_numbers(&producer, &orders, 0..1).await;
        let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let listener = {
            let seen = seen.clone();
            move |batch: Batch| {
                let attempts = batch[0].message.reconsume_times;
                seen.lock().push(attempts);
                async move {
                    assert!(attempts > 0, "the first attempt is a bad one");
                    Outcome::Done
                }
            }
        };
        let client = house.client("first").await;
        let consumer = client
            .push_consumer(settings())
            .subscribe(orders, Filter::All);
        let consumer = house.run(consumer.start(listener)).await.expect("started");
        house
            .until("a second attempt", || seen.lock().len() >= 2)
            .await;
        house.run(consumer.shutdown(LIMIT)).await;
        assert_eq!(*seen.lock(), [0, 1]);
        house.expect_panics(1);
    });
}

#[test]
fn only_wanted_messages_are_brought() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 2).await;
        let producer = house.producer().await;
        for (number, tag) in ["Aa", "BB", "x", "y", "Aa"].into_iter().enumerate() {
            let mut message = tagged(&orders, tag, number.to_string());
            message.properties.set("number", number);
            house.send(&producer, message).await;
        }
        let tags = Filter::tags("Aa || x").expect("tags");
        for (name, filter, expected) in [
            ("tags", tags, ["0", "2", "4"]),
            (
                "sql",
                Filter::sql("number <> 2 AND number < 4"),
                ["0", "1", "3"],
            ),
        ] {
            let inbox = Inbox::new();
            let settings = PushSettings {
                group: group(name),
                ..settings()
            };
            let consumer = house
                .consume_filtered(name, settings, &orders, filter, &inbox)
                .await;
            house.until("three messages", || inbox.len() >= 3).await;
            house.pass(Duration::from_secs(60)).await;
            assert_eq!(
                counted(inbox.texts()),
                counted(expected.map(str::to_owned)),
                "{name}"
            );
            house.run(consumer.shutdown(LIMIT)).await;
        }
    });
}

#[test]
fn a_filter_the_broker_cannot_read_keeps_a_consumer_from_starting() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 1).await;
        let client = house.client("first").await;
        let consumer = client
            .push_consumer(settings())
            .subscribe(orders, Filter::sql("a ="));
        let why = house
            .run(consumer.start(Inbox::new()))
            .await
            .err()
            .expect("no expression");
        assert_eq!(
            why.code(),
            Some(protocol::ResponseCode::SUBSCRIPTION_PARSE_FAILED),
            "{why}"
        );
    });
}

#[test]
fn a_new_group_begins_where_it_says() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 1).await;
        let producer = house.producer().await;
        // So much that the start is not in the broker's memory any more.
        let large = "x".repeat(1 << 20);
        for _ in 0..80 {
            house.send(&producer, message(&orders, large.clone())).await;
        }
        house.pass(Duration::from_secs(10)).await;
        let middle = house.clock.wall();
        house.send_numbers(&producer, &orders, 0..3).await;
        house.pass(Duration::from_secs(10)).await;
        for (name, from, expected) in [
            ("end", ConsumeFrom::End, 1),
            ("time", ConsumeFrom::Time(Timestamp(middle)), 4),
            ("start", ConsumeFrom::Start, 84),
        ] {
            let inbox = Inbox::new();
            let settings = PushSettings {
                group: group(name),
                from,
                ..settings()
            };
            let consumer = house.consume(name, settings, &orders, &inbox).await;
            house
                .until("a reader", || !consumer.queues().is_empty())
                .await;
            house.pass(Duration::from_secs(5)).await;
            if name == "end" {
                house.send(&producer, message(&orders, "new")).await;
            }
            house.pass(Duration::from_secs(60)).await;
            assert_eq!(inbox.len(), expected, "{name}");
            house.run(consumer.shutdown(LIMIT)).await;
        }
    });
}

#[test]
fn every_member_of_a_broadcasting_group_gets_everything_and_remembers_it() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 4).await;
        let producer = house.producer().await;
        let disk = SimDisk::new(Rng::seeded(1));
        let settings = |name: &str| PushSettings {
            model: MessageModel::Broadcasting,
            kept_in: Some((disk.mount(), format!("/{name}/offsets.json").into())),
            ..settings()
        };
        house.send_numbers(&producer, &orders, 0..20).await;
        let (one, two) = (Inbox::new(), Inbox::new());
        let first = house.consume("one", settings("one"), &orders, &one).await;
        let second = house.consume("two", settings("two"), &orders, &two).await;
        house
            .until("everything twice", || one.len() >= 20 && two.len() >= 20)
            .await;
        house.run(first.shutdown(LIMIT)).await;
        house.send_numbers(&producer, &orders, 20..30).await;
        house.until("ten more", || two.len() >= 30).await;
        let again = Inbox::new();
        let first = house.consume("one", settings("one"), &orders, &again).await;
        house.until("what was missed", || again.len() >= 10).await;
        house.pass(Duration::from_secs(60)).await;
        assert_eq!(counted(one.texts()), counted(numbers(0..20)));
        assert_eq!(counted(again.texts()), counted(numbers(20..30)));
        assert_eq!(counted(two.texts()), counted(numbers(0..30)));
        house.run(first.shutdown(LIMIT)).await;
        house.run(second.shutdown(LIMIT)).await;
    });
}

#[test]
fn a_group_that_is_moved_reads_again_from_there() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 1).await;
        let producer = house.producer().await;
        house.send_numbers(&producer, &orders, 0..5).await;
        house.pass(Duration::from_secs(10)).await;
        let middle = house.clock.wall();
        house.send_numbers(&producer, &orders, 5..10).await;
        let inbox = Inbox::new();
        let consumer = house.consume("first", settings(), &orders, &inbox).await;
        house.until("ten messages", || inbox.len() >= 10).await;
        house.pass(Duration::from_secs(10)).await;
        let admin = house.client("admin").await.admin();
        let (workers, to) = (group("workers"), ResetTo::Time(Timestamp(middle)));
        house
            .run(admin.reset_group(&workers, &orders, to))
            .await
            .expect("moved");
        house
            .until("five of them again", || inbox.len() >= 15)
            .await;
        house.pass(Duration::from_secs(60)).await;
        assert_eq!(
            counted(inbox.texts().split_off(10)),
            counted(numbers(5..10))
        );
        house.run(consumer.shutdown(LIMIT)).await;
        let reader = house.client("reader").await.pull_consumer(workers);
        let committed = house
            .run(reader.committed(&queue(&orders, 0)))
            .await
            .expect("an answer");
        assert_eq!(committed.map(|at| at.0), Some(10));
    });
}

#[test]
fn a_slow_listener_is_not_flooded() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 1).await;
        let producer = house.producer().await;
        for _ in 0..200 {
            house
                .send(&producer, message(&orders, "x".repeat(1_000)))
                .await;
        }
        // The second pull fills the limit, so the third is never made: the last began at 32.
        for (name, held_messages, held_bytes) in
            [("messages", 50, usize::MAX), ("bytes", usize::MAX, 50_000)]
        {
            let settings = PushSettings {
                group: group(name),
                held_messages,
                held_bytes,
                ..settings()
            };
            let client = house.client(name).await;
            let consumer = client
                .push_consumer(settings)
                .subscribe(orders.clone(), Filter::All);
            let stuck = |_: Batch| std::future::pending::<Outcome>();
            let consumer = house.run(consumer.start(stuck)).await.expect("started");
            house.pass(Duration::from_secs(60)).await;
            let admin = house.client("admin").await.admin();
            let progress = house
                .run(admin.group_progress(&group(name), Some(&orders)))
                .await;
            let held = progress.expect("progress")[0].1.pull_offset;
            assert_eq!(held, 32, "{name}");
            drop(consumer);
        }
    });
}

#[test]
fn a_consumer_goes_on_when_its_broker_comes_back() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 4).await;
        let producer = house.producer().await;
        house.send_numbers(&producer, &orders, 0..20).await;
        let inbox = Inbox::new();
        let consumer = house.consume("first", settings(), &orders, &inbox).await;
        house.until("twenty messages", || inbox.len() >= 20).await;
        house.pass(Duration::from_secs(10)).await;
        house.stop_broker().await;
        house.pass(Duration::from_secs(60)).await;
        house.start_broker().await;
        house.send_numbers(&producer, &orders, 20..40).await;
        house.until("twenty more", || inbox.len() >= 40).await;
        house.pass(Duration::from_secs(60)).await;
        assert_eq!(counted(inbox.texts()), counted(numbers(0..40)));
        house.run(consumer.shutdown(LIMIT)).await;
    });
}

#[test]
fn a_topic_that_is_made_later_is_read_from_its_start() {
    with_house(async |house| {
        let orders = topic("orders");
        let inbox = Inbox::new();
        let consumer = house
            .consume(
                "first",
                PushSettings::new(group("workers")),
                &orders,
                &inbox,
            )
            .await;
        house.pass(Duration::from_secs(60)).await;
        let producer = house.producer().await;
        house.send_numbers(&producer, &orders, 0..10).await;
        house.until("ten messages", || inbox.len() >= 10).await;
        house.run(consumer.shutdown(LIMIT)).await;
        assert_eq!(counted(inbox.texts()), counted(numbers(0..10)));
    });
}

#[test]
fn one_client_has_one_voice_in_a_group() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 1).await;
        let client = house.client("first").await;
        let consumer = || {
            client
                .push_consumer(settings())
                .subscribe(orders.clone(), Filter::All)
        };
        let first = house
            .run(consumer().start(Inbox::new()))
            .await
            .expect("started");
        assert!(house.run(consumer().start(Inbox::new())).await.is_err());
        house.run(first.shutdown(LIMIT)).await;
        let again = house
            .run(consumer().start(Inbox::new()))
            .await
            .expect("the place is free");
        house.run(again.shutdown(LIMIT)).await;
    });
}
