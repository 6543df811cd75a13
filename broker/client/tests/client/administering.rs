//! Topics, groups, progress and values as administrators see and change them.

use std::time::Duration;

use client::{Filter, Key, NewTopic, ResetTo, SubscriptionGroup};
use model::{QueueOffset, Timestamp, properties};

use crate::house::{group, message, queue, text, topic, with_house};

#[test]
fn a_topic_can_be_used_as_soon_as_it_was_made() {
    with_house(async |house| {
        let orders = topic("orders");
        let client = house.client("admin").await;
        let admin = client.admin();
        let new = NewTopic::new(orders.clone(), 6);
        house.run(admin.create_topic(&new)).await.expect("made");
        let consumer = client.pull_consumer(group("readers"));
        let queues = house.run(consumer.queues(&orders)).await.expect("a route");
        assert_eq!(queues.len(), 6);
        let topics = house.run(admin.topics()).await.expect("a list");
        assert!(topics.contains(&orders));
        let wider = NewTopic::new(orders.clone(), 8);
        house
            .run(admin.create_topic(&wider))
            .await
            .expect("changed");
        let last = queue(&orders, 7);
        assert_eq!(
            house
                .run(consumer.max_offset(&last))
                .await
                .expect("it is there"),
            QueueOffset(0)
        );
    });
}

#[test]
fn a_deleted_topic_is_gone_with_its_messages() {
    with_house(async |house| {
        let orders = topic("orders");
        let client = house.client("admin").await;
        let admin = client.admin();
        let new = NewTopic::new(orders.clone(), 1);
        house.run(admin.create_topic(&new)).await.expect("made");
        let producer = house.producer().await;
        house.send(&producer, message(&orders, "x")).await;
        house
            .run(admin.delete_topic(&orders))
            .await
            .expect("deleted");
        assert!(house.run(client.route(&orders)).await.is_err());
        house
            .run(admin.create_topic(&new))
            .await
            .expect("made again");
        let consumer = client.pull_consumer(group("readers"));
        assert!(house.contents(&consumer, &orders).await.is_empty());
    });
}

#[test]
fn the_ends_of_queues_and_the_progress_of_a_group_are_told() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 2).await;
        let client = house.client("admin").await;
        let admin = client.admin();
        let producer = house.producer().await;
        house.send_numbers(&producer, &orders, 0..10).await;
        let offsets = house
            .run(admin.topic_offsets(&orders))
            .await
            .expect("offsets");
        let ends: Vec<_> = offsets
            .iter()
            .map(|(queue, at)| (queue.number, at.max_offset))
            .collect();
        assert_eq!(ends, [(0, 5), (1, 5)]);
        let consumer = client.pull_consumer(group("readers"));
        house
            .run(consumer.commit(&queue(&orders, 1), QueueOffset(3)))
            .await
            .expect("kept");
        let progress = admin.group_progress(consumer.group(), Some(&orders));
        let progress = house.run(progress).await.expect("progress");
        let own = progress
            .iter()
            .find(|(queue, _)| queue.number == 1)
            .expect("queue 1");
        assert_eq!((own.1.consumer_offset, own.1.broker_offset), (3, 5));
    });
}

#[test]
fn groups_are_made_listed_and_deleted() {
    with_house(async |house| {
        let admin = house.client("admin").await.admin();
        let new = SubscriptionGroup {
            group_name: "readers".to_owned(),
            retry_max_times: 3,
            ..SubscriptionGroup::default()
        };
        house.run(admin.create_group(&new)).await.expect("made");
        let groups = house.run(admin.groups()).await.expect("a list");
        assert_eq!(groups["readers"].retry_max_times, 3);
        house
            .run(admin.delete_group(&group("readers"), true))
            .await
            .expect("deleted");
        assert!(
            !house
                .run(admin.groups())
                .await
                .expect("a list")
                .contains_key("readers")
        );
    });
}

#[test]
fn a_group_is_moved_to_a_time_and_goes_on_from_there() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 1).await;
        let client = house.client("admin").await;
        let admin = client.admin();
        let producer = house.producer().await;
        let mut times = Vec::new();
        for number in 0..6 {
            house.pass(Duration::from_secs(10)).await;
            times.push(house.clock.wall());
            let message = message(&orders, number.to_string());
            house.send(&producer, message).await;
        }
        let consumer = client.pull_consumer(group("readers"));
        let queue = queue(&orders, 0);
        house
            .run(consumer.commit(&queue, QueueOffset(6)))
            .await
            .expect("kept");
        let to = ResetTo::Time(Timestamp(times[2]));
        let moved = house
            .run(admin.reset_group(consumer.group(), &orders, to))
            .await;
        let moved = moved.expect("moved");
        assert_eq!(
            moved.iter().map(|(_, at)| *at).collect::<Vec<_>>(),
            [QueueOffset(2)]
        );
        let pulled = consumer.pull(&queue, QueueOffset(6), 32, &Filter::All, Duration::ZERO);
        assert_eq!(
            house.run(pulled).await.expect("an answer").next,
            QueueOffset(2)
        );
        let committed = house
            .run(consumer.committed(&queue))
            .await
            .expect("an answer");
        assert_eq!(committed, Some(QueueOffset(2)));
    });
}

#[test]
fn messages_are_found_by_id_and_by_key() {
    with_house(async |house| {
        let orders = topic("orders");
        let admin = house.client("admin").await.admin();
        let producer = house.producer().await;
        let mut sent = message(&orders, "the one");
        sent.properties.set(properties::KEYS, "k1 k2");
        let receipt = house.send(&producer, sent).await;
        house.send(&producer, message(&orders, "another")).await;
        house.pass(Duration::from_secs(1)).await;
        let found = house
            .run(admin.message(&orders, &receipt.message_id))
            .await
            .expect("an answer");
        assert_eq!(text(&found.expect("it is there")), "the one");
        let always = Timestamp(0)..Timestamp(i64::MAX);
        for key in [Key::User("k2"), Key::Unique(&receipt.unique_key)] {
            let found = admin.messages_by_key(&orders, key, 32, always.clone());
            let found = house.run(found).await.expect("an answer");
            assert_eq!(
                found.iter().map(text).collect::<Vec<_>>(),
                ["the one"],
                "{key:?}"
            );
        }
        let none = admin.messages_by_key(&orders, Key::User("k3"), 32, always);
        assert!(house.run(none).await.expect("an answer").is_empty());
        assert!(
            house
                .run(admin.message(&orders, "not an id"))
                .await
                .is_err()
        );
    });
}

#[test]
fn values_are_kept_for_everybody() {
    with_house(async |house| {
        let admin = house.client("admin").await.admin();
        assert_eq!(
            house
                .run(admin.value("space", "a"))
                .await
                .expect("an answer"),
            None
        );
        assert!(
            house
                .run(admin.values("space"))
                .await
                .expect("an answer")
                .is_empty()
        );
        for (key, value) in [("a", "1"), ("b", "{\"x\": 2}")] {
            house
                .run(admin.put_value("space", key, value))
                .await
                .expect("kept");
        }
        assert_eq!(
            house
                .run(admin.value("space", "b"))
                .await
                .expect("an answer")
                .as_deref(),
            Some("{\"x\": 2}")
        );
        house
            .run(admin.remove_value("space", "a"))
            .await
            .expect("forgotten");
        let values = house.run(admin.values("space")).await.expect("an answer");
        assert_eq!(values.into_keys().collect::<Vec<_>>(), ["b"]);
    });
}
