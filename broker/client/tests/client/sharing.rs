//! Members of a group share its queues, and share again when somebody comes or goes.

use std::time::Duration;

use client::{ConsumeFrom, PushConsumer, PushSettings};
use model::Topic;

use crate::house::{House, counted, group, message, with_house, with_houses};
use crate::inbox::Inbox;

const LIMIT: Duration = Duration::from_secs(30);

async fn join(house: &House, name: &str, topic: &Topic, inbox: &Inbox) -> PushConsumer {
    let settings = PushSettings {
        from: ConsumeFrom::Start,
        ..PushSettings::new(group("workers"))
    };
    house.consume(name, settings, topic, inbox).await
}

/// Numbers of the topic's queues in the consumer's hands.
fn share(consumer: &PushConsumer, topic: &Topic) -> Vec<u32> {
    let queues = consumer
        .queues()
        .into_iter()
        .filter(|queue| queue.topic == *topic);
    queues.map(|queue| queue.number).collect()
}

#[test]
fn two_members_share_and_one_takes_over_at_once_when_the_other_leaves() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 8).await;
        let (inbox, other) = (Inbox::new(), Inbox::new());
        let first = join(house, "a", &orders, &inbox).await;
        house
            .until("all queues", || share(&first, &orders).len() == 8)
            .await;
        let second = join(house, "b", &orders, &other).await;
        let shared =
            || share(&first, &orders) == [0, 1, 2, 3] && share(&second, &orders) == [4, 5, 6, 7];
        let joined = house.clock.now();
        house.until("half of the queues each", shared).await;
        assert!(house.clock.now() - joined < Duration::from_secs(5));
        let left = house.clock.now();
        house.run(second.shutdown(LIMIT)).await;
        house
            .until("all queues again", || share(&first, &orders).len() == 8)
            .await;
        assert!(house.clock.now() - left < Duration::from_secs(5));
        house.run(first.shutdown(LIMIT)).await;
    });
}

#[test]
fn a_member_that_vanishes_is_replaced() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 8).await;
        let (inbox, other) = (Inbox::new(), Inbox::new());
        let first = join(house, "a", &orders, &inbox).await;
        let second = join(house, "b", &orders, &other).await;
        house
            .until("half of the queues", || share(&first, &orders).len() == 4)
            .await;
        drop(second);
        house
            .until("all queues", || share(&first, &orders).len() == 8)
            .await;
        house.run(first.shutdown(LIMIT)).await;
    });
}

#[test]
fn no_message_is_lost_while_members_come_and_go() {
    with_houses(5, async |house| {
        let orders = house.make_topic("orders", 8).await;
        let producer = house.producer().await;
        let inbox = Inbox::new();
        let mut members = vec![join(house, "m0", &orders, &inbox).await];
        let mut sent = 0;
        for round in 1..8 {
            for _ in 0..50 {
                let message = message(&orders, sent.to_string());
                house.send(&producer, message).await;
                sent += 1;
            }
            members.push(join(house, &format!("m{round}"), &orders, &inbox).await);
            house.pass(Duration::from_secs(round)).await;
            if round % 2 == 0 {
                house.run(members.remove(0).shutdown(LIMIT)).await;
            }
        }
        house
            .until("every message", || counted(inbox.texts()).len() == sent)
            .await;
        let brought = inbox.len();
        house.pass(Duration::from_secs(60)).await;
        assert_eq!(inbox.len(), brought, "what is done stays done");
        for member in members {
            house.run(member.shutdown(LIMIT)).await;
        }
    });
}

#[test]
fn a_topic_that_grows_is_shared_with_its_new_queues() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 2).await;
        let inbox = Inbox::new();
        let first = join(house, "a", &orders, &inbox).await;
        house
            .until("two queues", || share(&first, &orders).len() == 2)
            .await;
        house.make_topic("orders", 5).await;
        house
            .until("five queues", || share(&first, &orders).len() == 5)
            .await;
        house.run(first.shutdown(LIMIT)).await;
    });
}

#[test]
fn administrators_see_who_is_in_a_group() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 2).await;
        let first = join(house, "a", &orders, &Inbox::new()).await;
        house
            .until("two queues", || share(&first, &orders).len() == 2)
            .await;
        let admin = house.client("admin").await.admin();
        let connections = house.run(admin.group_connections(&group("workers"))).await;
        let connections = connections.expect("an answer");
        let [(broker, here)] = &connections[..] else {
            panic!("one broker: {connections:?}");
        };
        assert_eq!(broker, "broker-a");
        assert_eq!(here.connection_set[0].client_id, "127.0.0.1@a");
        let subscribed: Vec<&str> = here
            .subscription_table
            .iter()
            .map(|(topic, _)| &**topic)
            .collect();
        assert_eq!(subscribed, ["%RETRY%workers", "orders"]);
        house.run(first.shutdown(LIMIT)).await;
        let connections = house.run(admin.group_connections(&group("workers"))).await;
        assert!(connections.expect("an answer").is_empty());
    });
}

#[test]
fn a_consumer_tells_what_it_is_doing_when_a_broker_asks() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 2).await;
        let producer = house.producer().await;
        let first = join(house, "a", &orders, &Inbox::new()).await;
        house.send_numbers(&producer, &orders, 0..10).await;
        house.pass(Duration::from_secs(10)).await;
        let admin = house.client("admin").await.admin();
        let workers = group("workers");
        let info = admin.running_info(&workers, "127.0.0.1@a");
        let info = house.run(info).await.expect("an answer");
        let of_topic = info
            .mq_table
            .iter()
            .filter(|(queue, _)| queue.topic == "orders");
        let ends: Vec<i64> = of_topic.map(|(_, state)| state.commit_offset).collect();
        assert_eq!(ends, [5, 5]);
        assert_eq!(info.subscription_set.len(), 2);
        let nobody = admin.running_info(&workers, "127.0.0.1@b");
        assert!(house.run(nobody).await.is_err());
        house.run(first.shutdown(LIMIT)).await;
    });
}
