//! Brokers and name servers that are not there, and connections that break.

use std::sync::Arc;
use std::time::Duration;

use client::{Client, Error, Filter, ProducerSettings, PushSettings};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::house::{BROKER, counted, group, message, text, topic, with_house, with_houses};
use crate::inbox::Inbox;

#[test]
fn an_unreachable_name_server_is_named_with_where_it_came_from() {
    with_house(async |house| {
        let mut settings = house.settings("lost");
        settings.name_servers = vec!["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()];
        let why = house
            .run(Client::connect(settings))
            .await
            .err()
            .expect("nobody is there");
        let why = why.to_string();
        assert!(
            why.contains("name server 127.0.0.1:2 (from the settings) cannot be reached"),
            "{why}"
        );
    });
}

#[test]
fn one_name_server_of_several_is_enough() {
    with_house(async |house| {
        let mut settings = house.settings("lucky");
        settings.name_servers.insert(0, "127.0.0.1:1".to_owned());
        let client = house
            .run(Client::connect(settings))
            .await
            .expect("the second is there");
        let producer = client.producer(ProducerSettings::default());
        house.send(&producer, message(&topic("orders"), "x")).await;
    });
}

#[test]
fn a_client_without_name_servers_is_refused() {
    with_house(async |house| {
        let mut settings = house.settings("nowhere");
        settings.name_servers.clear();
        let why = house
            .run(Client::connect(settings))
            .await
            .err()
            .expect("no name server");
        assert!(matches!(why, Error::Illegal { .. }), "{why}");
    });
}

#[test]
fn a_send_survives_broken_connections() {
    with_house(async |house| {
        let orders = house.make_topic("orders", 1).await;
        let producer = house.producer().await;
        for number in 0..20 {
            house.net.cut(BROKER.parse().expect("an address"));
            let message = message(&orders, number.to_string());
            house
                .run(producer.send(message))
                .await
                .expect("tried again");
        }
        let consumer = house.client("reader").await.pull_consumer(group("readers"));
        let stored = counted(house.contents(&consumer, &orders).await.iter().map(text));
        assert_eq!(stored.len(), 20, "{stored:?}");
    });
}

#[test]
fn a_send_to_a_broker_that_is_away_fails_in_time_and_says_where_it_went() {
    with_house(async |house| {
        let (orders, producer) = (topic("orders"), house.producer().await);
        house.send(&producer, message(&orders, "x")).await;
        house.net.refuse(BROKER.parse().expect("an address"), true);
        house.net.cut(BROKER.parse().expect("an address"));
        let start = house.clock.now();
        let why = house
            .run(producer.send(message(&orders, "y")))
            .await
            .expect_err("it is away");
        assert!(house.clock.now() - start <= Duration::from_secs(4));
        assert!(matches!(why, Error::Unsent { attempts: 3, .. }), "{why}");
        let why = why.to_string();
        assert!(
            why.contains(
                "127.0.0.1:10911 (from name server 127.0.0.1:9876's route of topic orders)"
            ),
            "{why}"
        );
        house.net.refuse(BROKER.parse().expect("an address"), false);
        house
            .run(producer.send(message(&orders, "z")))
            .await
            .expect("it is back");
    });
}

#[test]
fn an_idle_connection_is_closed_and_opened_again() {
    with_house(async |house| {
        let client = house.client("reader").await;
        let before = house.net.open_connections();
        let (orders, producer) = (topic("orders"), house.producer().await);
        house.send(&producer, message(&orders, "x")).await;
        let consumer = client.pull_consumer(group("readers"));
        assert_eq!(house.contents(&consumer, &orders).await.len(), 1);
        drop(producer);
        house.pass(Duration::from_secs(600)).await;
        assert!(house.net.open_connections() <= before + 1);
        assert_eq!(house.contents(&consumer, &orders).await.len(), 1);
    });
}

#[test]
fn the_tasks_of_a_client_end_with_its_last_handle() {
    with_house(async |house| {
        let running = house.tasks.running().len();
        let client = house.client("short").await;
        let producer = client.producer(ProducerSettings::default());
        house.send(&producer, message(&topic("orders"), "x")).await;
        assert!(house.tasks.running().len() > running);
        drop((client, producer));
        house.pass(Duration::from_secs(120)).await;
        assert_eq!(
            house.tasks.running().len(),
            running,
            "{:?}",
            house.tasks.running()
        );
    });
}

#[test]
fn the_tasks_of_a_consumer_end_when_it_is_dropped() {
    with_house(async |house| {
        let orders = topic("orders");
        let producer = house.producer().await;
        house.send(&producer, message(&orders, "x")).await;
        drop(producer);
        house.pass(Duration::from_secs(120)).await;
        let running = house.tasks.running().len();
        for ordered in [false, true] {
            let client = house.client("short").await;
            let settings = PushSettings {
                ordered,
                ..PushSettings::new(group("workers"))
            };
            let consumer = client
                .push_consumer(settings)
                .subscribe(orders.clone(), Filter::All);
            let consumer = house
                .run(consumer.start(Inbox::new()))
                .await
                .expect("started");
            house
                .until("a queue", || !consumer.queues().is_empty())
                .await;
            drop((client, consumer));
            house.pass(Duration::from_secs(120)).await;
            assert_eq!(
                house.tasks.running().len(),
                running,
                "{:?}",
                house.tasks.running()
            );
        }
    });
}

#[test]
fn acknowledged_messages_survive_a_broker_that_is_killed_under_load() {
    with_houses(3, async |house| {
        let orders = topic("orders");
        let settings = ProducerSettings {
            timeout: Duration::from_secs(30),
            retries: 20,
            ..ProducerSettings::default()
        };
        let producer = house.client("producer").await.producer(settings);
        house.send(&producer, message(&orders, "first")).await;
        let acknowledged = Arc::new(Mutex::new(vec!["first".to_owned()]));
        for sender in 0..8 {
            let (producer, orders) = (producer.clone(), orders.clone());
            let (acknowledged, clock) = (acknowledged.clone(), house.clock.clock());
            house.tasks.spawn("send", async move {
                for number in 0..60 {
                    let body = format!("{sender} {number}");
                    if producer.send(message(&orders, body.clone())).await.is_ok() {
                        acknowledged.lock().push(body);
                    }
                    clock.sleep(Duration::from_millis(50)).await;
                }
            });
        }
        for _ in 0..3 {
            house.pass(Duration::from_millis(700)).await;
            house.kill_broker().await;
            house.pass(Duration::from_millis(300)).await;
            house.start_broker().await;
        }
        house.pass(Duration::from_secs(120)).await;
        let consumer = house.client("reader").await.pull_consumer(group("readers"));
        let stored = counted(house.contents(&consumer, &orders).await.iter().map(text));
        let acknowledged = acknowledged.lock();
        assert_eq!(acknowledged.len(), 8 * 60 + 1);
        for body in acknowledged.iter() {
            assert!(
                stored.contains_key(body),
                "{body} was acknowledged and is gone"
            );
        }
    });
}

#[test]
fn a_peer_that_speaks_nonsense_is_an_error_and_not_the_end() {
    with_house(async |house| {
        let answers: [&'static [u8]; 4] = [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            &[0xff; 64],
            &[0, 0, 0, 8, 0, 0, 0, 4, b'{', b'"', b'}', b'{'],
            &[0, 0, 0, 0],
        ];
        for (number, answer) in answers.into_iter().enumerate() {
            let at = format!("127.0.0.2:{}", 1_000 + number);
            let listener = house
                .net
                .net()
                .listen(at.parse().expect("an address"))
                .await;
            let listener = listener.expect("it is free");
            house.tasks.spawn("nonsense", async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    stream.write_all(answer).await.ok();
                    let mut rest = Vec::new();
                    stream.read_to_end(&mut rest).await.ok();
                }
            });
            let mut settings = house.settings("lost");
            settings.name_servers = vec![at];
            let client = house
                .run(Client::connect(settings))
                .await
                .expect("somebody listens");
            let why = house
                .run(client.route(&topic("orders")))
                .await
                .expect_err("nonsense");
            assert!(
                matches!(why, Error::Unreachable { .. } | Error::TimedOut { .. }),
                "{why}"
            );
        }
    });
}
