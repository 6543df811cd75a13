//! The same over TCP, with threads, a real clock and files.

use std::sync::Arc;
use std::time::Duration;

use client::{
    Batch, Client, ConsumeFrom, Filter, NewTopic, Outcome, ProducerSettings, PushSettings, Settings,
};
use metadata::{MemoryTables, Metadata};
use parking_lot::Mutex;
use runtime::{Clock, Net, RealDisk, Rng, Tasks};
use server::{Broker, BrokerSettings, NameServer};
use store::MessageStore;
use tokio::sync::Notify;

use crate::house::{counted, group, message, text, topic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_messages_go_over_tcp_and_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (net, tasks) = (Net::real(), Tasks::new(Clock::real()));
    let names = Metadata::over(Arc::new(MemoryTables::default())).expect("empty tables");
    let any = "127.0.0.1:0".parse().expect("an address");
    let name_server = NameServer::start(&net, any, names.key_values, &tasks).await;
    let name_server = name_server.expect("a free port").address.to_string();
    let settings = store::Settings {
        segment_bytes: 16 << 20,
        refuse_percent: 101,
        clean_percent: 101,
        ..store::Settings::default()
    };
    let disk = RealDisk::new();
    let root = folder.path().join("store");
    let (store, _) = MessageStore::open(root, settings, disk, Clock::real(), tasks.clone())
        .expect("the store opens");
    let metadata = Metadata::open(&folder.path().join("metadata")).expect("the tables open");
    // Routes tell the advertised address, so the port has to be known before.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("its address");
    drop(free);
    let settings = BrokerSettings {
        cluster: "DefaultCluster".to_owned(),
        name: "broker-a".to_owned(),
        id: 0,
        listen: address,
        advertised: address,
        name_servers: vec![name_server.clone()],
        auto_create_topics: true,
        auto_create_groups: true,
        body_limit: 4 << 20,
        limits: Default::default(),
    };
    let rng = Rng::seeded(1);
    let broker = Broker::open(settings, store, metadata, &rng, tasks.clone()).await;
    let broker = broker.expect("the broker opens");
    broker.start(&net).await.expect("the port is free");

    let clients = Tasks::new(Clock::real());
    let settings = Settings::new(&name_server, net, clients.clone());
    let client = Client::connect(settings)
        .await
        .expect("the name server is there");
    let orders = topic("orders");
    // The broker may still be on its way to the name server.
    while let Err(why) = client
        .admin()
        .create_topic(&NewTopic::new(orders.clone(), 4))
        .await
    {
        assert!(why.is_transient(), "{why}");
        tokio::task::yield_now().await;
    }
    let producer = client.producer(ProducerSettings::default());
    let sends: Vec<_> = (0..1_000)
        .map(|number| {
            let (producer, message) = (producer.clone(), message(&orders, number.to_string()));
            clients.spawn("send", async move { producer.send(message).await })
        })
        .collect();
    for send in sends {
        send.await.expect("no panic").expect("acknowledged");
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::new(Notify::new());
    let listener = {
        let (seen, all) = (seen.clone(), all.clone());
        move |batch: Batch| {
            let mut seen = seen.lock();
            seen.extend(batch.iter().map(text));
            if seen.len() >= 1_000 {
                all.notify_one();
            }
            async { Outcome::Done }
        }
    };
    let settings = PushSettings {
        from: ConsumeFrom::Start,
        ..PushSettings::new(group("workers"))
    };
    let consumer = client
        .push_consumer(settings)
        .subscribe(orders, Filter::All);
    let consumer = consumer.start(listener).await.expect("started");
    all.notified().await;
    consumer.shutdown(Duration::from_secs(30)).await;
    assert_eq!(
        counted(seen.lock().clone()),
        counted((0..1_000).map(|number| number.to_string()))
    );
    assert!(
        clients
            .stop(Duration::from_secs(30))
            .await
            .unfinished
            .is_empty()
    );
    assert!(
        tasks
            .stop(Duration::from_secs(30))
            .await
            .unfinished
            .is_empty()
    );
    broker.close().await.expect("a sound disk");
}
