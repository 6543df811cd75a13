//! Sending: one, many, in order, without an answer, and what may not be sent.

use std::time::Duration;

use client::{Durability, Error, ProducerSettings};
use model::{Compression, QueueOffset, properties};

use crate::house::{counted, group, message, text, topic, with_house};

#[test]
fn a_message_that_is_acknowledged_is_stored_with_its_ids() {
    with_house(async |house| {
        let (orders, producer) = (topic("orders"), house.producer().await);
        let receipt = house.run(producer.send(message(&orders, "hello"))).await;
        let receipt = receipt.expect("the broker makes the topic");
        assert_eq!(receipt.durability, Durability::AsPromised);
        assert_eq!(receipt.offset, QueueOffset(0));
        let consumer = house.client("reader").await.pull_consumer(group("readers"));
        let stored = house.contents(&consumer, &orders).await;
        assert_eq!(stored.iter().map(text).collect::<Vec<_>>(), ["hello"]);
        assert_eq!(stored[0].message_id().to_string(), receipt.message_id);
        assert_eq!(
            stored[0].message.properties.get(properties::UNIQUE_KEY),
            Some(&*receipt.unique_key)
        );
    });
}

#[test]
fn many_sends_under_way_share_one_connection_and_none_is_lost() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 8).await;
        let producer = house.producer().await;
        // The client that made the topic hangs up first.
        house.pass(Duration::from_secs(1)).await;
        let connections = house.net.open_connections();
        let sends = (0..500).map(|number| {
            let (producer, message) = (producer.clone(), message(&orders, number.to_string()));
            house
                .tasks
                .spawn("send", async move { producer.send(message).await })
        });
        let sends: Vec<_> = sends.collect();
        let mut queues = Vec::new();
        for send in sends {
            let receipt = house
                .run(send)
                .await
                .expect("no panic")
                .expect("acknowledged");
            queues.push(receipt.queue.number);
        }
        assert_eq!(house.net.open_connections(), connections + 1);
        let spread = counted(queues);
        assert_eq!(spread.len(), 8);
        assert!(
            spread.values().all(|count| (62..=63).contains(count)),
            "{spread:?}"
        );
        let consumer = house.client("reader").await.pull_consumer(group("readers"));
        let stored = counted(house.contents(&consumer, &orders).await.iter().map(text));
        assert_eq!(stored, counted((0..500).map(|number| number.to_string())));
    });
}

#[test]
fn messages_of_one_key_stay_in_order() {
    with_house(async |house| {
        let (orders, producer) = (topic("orders"), house.producer().await);
        for number in 0..20 {
            for key in ["red", "green", "blue"] {
                let message = message(&orders, format!("{key} {number}"));
                house
                    .run(producer.send_in_order(key, message))
                    .await
                    .expect("acknowledged");
            }
        }
        let consumer = house.client("reader").await.pull_consumer(group("readers"));
        let stored = house.contents(&consumer, &orders).await;
        for key in ["red", "green", "blue"] {
            let own = stored.iter().filter(|stored| {
                stored.message.properties.get(properties::SHARDING_KEY) == Some(key)
            });
            let expected: Vec<String> = (0..20).map(|number| format!("{key} {number}")).collect();
            assert_eq!(own.map(text).collect::<Vec<_>>(), expected);
        }
    });
}

#[test]
fn a_batch_lies_in_one_queue_side_by_side() {
    with_house(async |house| {
        let (orders, producer) = (topic("orders"), house.producer().await);
        let batch = (0..10).map(|number| {
            let mut message = message(&orders, number.to_string());
            message.properties.set("number", number);
            message
        });
        let receipt = house
            .run(producer.send_batch(batch.collect()))
            .await
            .expect("acknowledged");
        assert_eq!(receipt.message_id.split(',').count(), 10);
        let consumer = house.client("reader").await.pull_consumer(group("readers"));
        let stored = house.contents(&consumer, &orders).await;
        for (number, stored) in stored.iter().enumerate() {
            assert_eq!(text(stored), number.to_string());
            assert_eq!(stored.message.queue, receipt.queue.number);
            assert_eq!(stored.queue_offset, QueueOffset(number as u64));
            assert_eq!(
                stored.message.properties.number("number"),
                Some(number as i64)
            );
        }
        let keys: Vec<&str> = receipt.unique_key.split(',').collect();
        let stored_keys = stored
            .iter()
            .filter_map(|stored| stored.message.properties.get(properties::UNIQUE_KEY));
        assert_eq!(stored_keys.collect::<Vec<_>>(), keys);
    });
}

#[test]
fn oneway_messages_arrive_without_an_answer() {
    with_house(async |house| {
        let (orders, producer) = (topic("orders"), house.producer().await);
        for number in 0..50 {
            let message = message(&orders, number.to_string());
            house
                .run(producer.send_oneway(message))
                .await
                .expect("written");
        }
        house.pass(Duration::from_secs(1)).await;
        let consumer = house.client("reader").await.pull_consumer(group("readers"));
        assert_eq!(house.contents(&consumer, &orders).await.len(), 50);
    });
}

#[test]
fn compressed_messages_are_read_as_they_were_written() {
    with_house(async |house| {
        let orders = topic("orders");
        let long = "all work and no play ".repeat(1_000);
        for how in [Compression::Zlib, Compression::Lz4, Compression::Zstd] {
            let settings = ProducerSettings {
                compress: Some((1_000, how)),
                ..ProducerSettings::default()
            };
            let producer = house.client("producer").await.producer(settings);
            for body in [&long[..], "short"] {
                house.send(&producer, message(&orders, body)).await;
            }
        }
        let consumer = house.client("reader").await.pull_consumer(group("readers"));
        let stored = house.contents(&consumer, &orders).await;
        let sizes: Vec<u32> = stored.iter().map(|stored| stored.size).collect();
        assert!(sizes.iter().all(|size| *size < 1_000), "{sizes:?}");
        let expected = [(long, 3), ("short".to_owned(), 3)];
        assert_eq!(counted(stored.iter().map(text)), expected.into());
    });
}

#[test]
fn what_breaks_a_rule_is_refused_before_it_is_sent() {
    with_house(async |house| {
        let (orders, producer) = (topic("orders"), house.producer().await);
        let illegal = |outcome: Result<client::SendReceipt, Error>, expected: &str| {
            let why = outcome.expect_err("it breaks a rule").to_string();
            assert!(why.contains(expected), "{why}");
        };
        let empty = producer.send(message(&orders, ""));
        illegal(house.run(empty).await, "no body");
        let large = producer.send(message(&orders, "x".repeat((4 << 20) + 1)));
        illegal(house.run(large).await, "the limit is 4194304");
        illegal(
            house.run(producer.send_batch(Vec::new())).await,
            "no message",
        );
        let mixed = vec![message(&orders, "a"), message(&topic("others"), "b")];
        illegal(house.run(producer.send_batch(mixed)).await, "one topic");
        let mut delayed = message(&orders, "a");
        delayed.properties.set(properties::DELAY, 3);
        illegal(
            house.run(producer.send_batch(vec![delayed])).await,
            "delayed",
        );
    });
}

#[test]
fn a_refusal_says_who_refused_what_and_why() {
    with_house(async |house| {
        let producer = house.producer().await;
        let refused = topic("SCHEDULE_TOPIC_XXXX");
        let why = house.run(producer.send(message(&refused, "x"))).await;
        let why = why.expect_err("nobody may send there").to_string();
        assert!(why.contains("broker 127.0.0.1:10911 (from name server 127.0.0.1:9876's route of topic SCHEDULE_TOPIC_XXXX)"), "{why}");
        assert!(why.contains("is forbidden"), "{why}");
    });
}
