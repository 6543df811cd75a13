//! Topics on two brokers: spread over both, read from both, and served by one while the other
//! is away.

use std::time::Duration;

use client::{ConsumeFrom, Error, Filter, PushSettings};
use model::{QueueOffset, Topic};

use crate::house::{House, counted, group, message, queue, text, with_house};
use crate::inbox::Inbox;

const LIMIT: Duration = Duration::from_secs(30);

async fn on_two_brokers(house: &mut House) -> Topic {
    house.add_broker("broker-b", "127.0.0.1:10921").await;
    house.make_topic("orders", 2).await
}

#[test]
fn messages_are_spread_over_brokers_and_a_queue_is_named_with_its_broker() {
    with_house(async |house| {
        let orders = on_two_brokers(house).await;
        let producer = house.producer().await;
        let mut queues = Vec::new();
        for number in 0..40 {
            let message = message(&orders, number.to_string());
            let receipt = house.send(&producer, message).await;
            queues.push(receipt.queue.to_string());
        }
        let spread = counted(queues);
        assert_eq!(
            spread.values().copied().collect::<Vec<_>>(),
            [10; 4],
            "{spread:?}"
        );

        let consumer = house.client("reader").await.pull_consumer(group("readers"));
        let why = house
            .run(consumer.max_offset(&queue(&orders, 0)))
            .await
            .expect_err("which?");
        assert!(matches!(why, Error::Ambiguous { .. }), "{why}");
        assert!(why.to_string().contains("broker-a, broker-b"), "{why}");
        let mut texts = Vec::new();
        for broker in ["broker-a", "broker-b"] {
            let consumer = consumer.on_broker(broker);
            let end = house.run(consumer.max_offset(&queue(&orders, 0))).await;
            assert_eq!(end.expect("an answer"), QueueOffset(10));
            texts.extend(house.contents(&consumer, &orders).await.iter().map(text));
        }
        assert_eq!(
            counted(texts),
            counted((0..40).map(|number| number.to_string()))
        );
    });
}

#[test]
fn sends_go_to_the_other_broker_while_one_is_away() {
    with_house(async |house| {
        let orders = on_two_brokers(house).await;
        let producer = house.producer().await;
        house.send(&producer, message(&orders, "first")).await;
        house.stop("broker-a").await;
        let start = house.clock.now();
        for number in 0..10 {
            let message = message(&orders, number.to_string());
            let receipt = house
                .run(producer.send(message))
                .await
                .expect("the other is there");
            assert_eq!(&*receipt.queue.broker, "broker-b");
        }
        assert!(house.clock.now() - start < Duration::from_secs(1));
    });
}

#[test]
fn a_group_reads_from_every_broker_that_is_there() {
    with_house(async |house| {
        let orders = on_two_brokers(house).await;
        let producer = house.producer().await;
        let inbox = Inbox::new();
        let settings = PushSettings {
            from: ConsumeFrom::Start,
            ..PushSettings::new(group("workers"))
        };
        let client = house.client("first").await;
        let consumer = client
            .push_consumer(settings)
            .subscribe(orders.clone(), Filter::All);
        let consumer = house
            .run(consumer.start(inbox.clone()))
            .await
            .expect("started");
        let mut sent = 0;
        let stops: [(Option<&'static str>, usize); 3] =
            [(None, 20), (Some("broker-a"), 20), (None, 20)];
        for (away, count) in stops {
            if let Some(name) = away {
                house.stop(name).await;
            }
            for _ in 0..count {
                let message = message(&orders, sent.to_string());
                house.send(&producer, message).await;
                sent += 1;
            }
            house.until("what was sent", || inbox.len() >= sent).await;
            if let Some(name) = away {
                house.start(name).await;
                house.pass(Duration::from_secs(60)).await;
            }
        }
        house.pass(Duration::from_secs(60)).await;
        assert_eq!(
            counted(inbox.texts()),
            counted((0..60).map(|number| number.to_string()))
        );
        house.run(consumer.shutdown(LIMIT)).await;
    });
}

#[test]
fn a_job_has_to_say_on_which_of_several_brokers_it_lives() {
    with_house(async |house| {
        on_two_brokers(house).await;
        let client = house.client("engine").await;
        let why = house
            .run(client.jobs(None).fence("job"))
            .await
            .expect_err("which?");
        assert!(why.to_string().contains("(broker-a, broker-b)"), "{why}");
        let why = house
            .run(client.jobs(Some("broker-x")).fence("job"))
            .await
            .expect_err("no such");
        assert!(
            why.to_string().contains("no master broker broker-x"),
            "{why}"
        );
        let jobs = client.jobs(Some("broker-b"));
        assert_eq!(house.run(jobs.fence("job")).await.expect("a generation"), 1);
        house
            .run(client.jobs(Some("broker-a")).fence("job"))
            .await
            .expect("a job of its own");
        assert_eq!(house.run(jobs.fence("job")).await.expect("a generation"), 2);
    });
}
