//! Pulling by hand: offsets, filters, waiting, and a group's progress.

use std::time::Duration;

use client::{Error, Filter, PullConsumer, PullStatus};
use model::{QueueId, QueueOffset, Timestamp, Topic};
use protocol::ResponseCode;

use crate::house::{House, group, message, queue, tagged, text, topic, with_house};

const NOW: Duration = Duration::ZERO;

async fn one_queue(house: &House) -> (Topic, QueueId, PullConsumer) {
    let orders = house.make_topic("orders", 1).await;
    let consumer = house.client("reader").await.pull_consumer(group("readers"));
    (orders.clone(), queue(&orders, 0), consumer)
}

#[test]
fn a_pull_brings_at_most_as_many_messages_as_asked_for_and_says_where_to_go_on() {
    with_house(async |house| {
        let (orders, queue, consumer) = one_queue(house).await;
        let producer = house.producer().await;
        house.send_numbers(&producer, &orders, 0..10).await;
        let pulled = consumer.pull(&queue, QueueOffset(3), 4, &Filter::All, NOW);
        let pulled = house.run(pulled).await.expect("a queue");
        assert_eq!(
            pulled.messages.iter().map(text).collect::<Vec<_>>(),
            ["3", "4", "5", "6"]
        );
        assert_eq!(
            (pulled.next, pulled.min, pulled.max),
            (QueueOffset(7), QueueOffset(0), QueueOffset(10))
        );
        let beyond = consumer.pull(&queue, QueueOffset(10), 4, &Filter::All, NOW);
        assert_eq!(
            house.run(beyond).await.expect("a queue").status,
            PullStatus::NoNewMessage
        );
        let far = consumer.pull(&queue, QueueOffset(99), 4, &Filter::All, NOW);
        let far = house.run(far).await.expect("a queue");
        assert_eq!(
            (far.status, far.next),
            (PullStatus::OffsetMoved, QueueOffset(10))
        );
    });
}

#[test]
fn a_pull_that_waits_is_answered_when_a_message_arrives() {
    with_house(async |house| {
        let (orders, queue, consumer) = one_queue(house).await;
        let producer = house.producer().await;
        let start = house.clock.now();
        let waiting = house.tasks.spawn("pull", async move {
            let hold = Duration::from_secs(15);
            consumer
                .pull(&queue, QueueOffset(0), 32, &Filter::All, hold)
                .await
        });
        house.pass(Duration::from_secs(5)).await;
        house.send(&producer, message(&orders, "late")).await;
        let pulled = house
            .run(waiting)
            .await
            .expect("no panic")
            .expect("a queue");
        assert_eq!(
            pulled.messages.iter().map(text).collect::<Vec<_>>(),
            ["late"]
        );
        let waited = house.clock.now() - start;
        assert!(waited < Duration::from_secs(6), "{waited:?}");
    });
}

#[test]
fn a_pull_that_waits_in_vain_ends_after_its_time() {
    with_house(async |house| {
        let (_, queue, consumer) = one_queue(house).await;
        let start = house.clock.now();
        let hold = Duration::from_secs(15);
        let pulled = consumer.pull(&queue, QueueOffset(0), 32, &Filter::All, hold);
        let pulled = house.run(pulled).await.expect("a queue");
        assert_eq!(pulled.status, PullStatus::NoNewMessage);
        assert!(house.clock.now() - start >= hold);
    });
}

#[test]
fn filters_keep_what_they_say() {
    with_house(async |house| {
        let (orders, queue, consumer) = one_queue(house).await;
        let producer = house.producer().await;
        for (number, tag) in ["Aa", "BB", "x", "Aa", "y"].into_iter().enumerate() {
            let mut message = tagged(&orders, tag, number.to_string());
            message.properties.set("number", number);
            house.send(&producer, message).await;
        }
        let tags = |expression: &str| Filter::tags(expression).expect("tags");
        for (filter, expected) in [
            (tags("*"), &["0", "1", "2", "3", "4"][..]),
            // BB has the hash of Aa: the broker lets it through.
            (tags("Aa"), &["0", "3"]),
            (tags("x || y"), &["2", "4"]),
            (tags("nobody"), &[]),
            (
                Filter::sql("number BETWEEN 1 AND 3 AND TAGS <> 'x'"),
                &["1", "3"],
            ),
        ] {
            let pulled = consumer.pull(&queue, QueueOffset(0), 32, &filter, NOW);
            let pulled = house.run(pulled).await.expect("a queue");
            let texts: Vec<String> = pulled.messages.iter().map(text).collect();
            assert_eq!(
                (texts, pulled.next),
                (
                    expected.iter().map(|text| text.to_string()).collect(),
                    QueueOffset(5)
                ),
                "{filter:?}"
            );
        }
    });
}

#[test]
fn a_filter_that_cannot_be_read_is_refused() {
    with_house(async |house| {
        let (_, queue, consumer) = one_queue(house).await;
        let filter = Filter::sql("number >");
        let pulled = consumer.pull(&queue, QueueOffset(0), 32, &filter, NOW);
        let why = house.run(pulled).await.expect_err("no expression");
        assert_eq!(
            why.code(),
            Some(ResponseCode::SUBSCRIPTION_PARSE_FAILED),
            "{why}"
        );
    });
}

#[test]
fn progress_is_kept_when_the_caller_says_so() {
    with_house(async |house| {
        let (orders, queue, consumer) = one_queue(house).await;
        let producer = house.producer().await;
        house.send_numbers(&producer, &orders, 0..5).await;
        assert_eq!(
            house
                .run(consumer.committed(&queue))
                .await
                .expect("an answer"),
            None
        );
        house
            .run(consumer.commit(&queue, QueueOffset(3)))
            .await
            .expect("kept");
        let committed = house
            .run(consumer.committed(&queue))
            .await
            .expect("an answer");
        assert_eq!(committed, Some(QueueOffset(3)));
        house.stop_broker().await;
        house.start_broker().await;
        let committed = house
            .run(consumer.committed(&queue))
            .await
            .expect("an answer");
        assert_eq!(committed, Some(QueueOffset(3)));
        assert_eq!(
            house
                .run(consumer.max_offset(&queue))
                .await
                .expect("an answer"),
            QueueOffset(5)
        );
        assert_eq!(
            house
                .run(consumer.min_offset(&queue))
                .await
                .expect("an answer"),
            QueueOffset(0)
        );
    });
}

#[test]
fn a_message_is_found_by_the_time_it_was_stored() {
    with_house(async |house| {
        let (orders, queue, consumer) = one_queue(house).await;
        let producer = house.producer().await;
        let mut times = Vec::new();
        for number in 0..5 {
            house.pass(Duration::from_secs(10)).await;
            times.push(house.clock.wall());
            let message = message(&orders, number.to_string());
            house.send(&producer, message).await;
        }
        for (time, expected) in [
            (0, 0),
            (times[3], 3),
            (times[3] + 5_000, 4),
            (times[4] + 60_000, 5),
        ] {
            let found = house.run(consumer.offset_at(&queue, Timestamp(time))).await;
            assert_eq!(found.expect("an answer"), QueueOffset(expected), "{time}");
        }
    });
}

#[test]
fn queues_and_topics_that_do_not_exist_are_told_apart() {
    with_house(async |house| {
        let (orders, _, consumer) = one_queue(house).await;
        let pull = |queue: QueueId| {
            let consumer = consumer.clone();
            async move {
                consumer
                    .pull(&queue, QueueOffset(0), 1, &Filter::All, NOW)
                    .await
            }
        };
        let why = house
            .run(pull(queue(&orders, 7)))
            .await
            .expect_err("there is one queue");
        assert!(matches!(why, Error::NoQueue { .. }), "{why}");
        let why = house
            .run(pull(queue(&topic("nothing"), 0)))
            .await
            .expect_err("no topic");
        assert!(matches!(why, Error::NoRoute { .. }), "{why}");
        assert!(why.to_string().contains("127.0.0.1:9876"), "{why}");
    });
}
