//! A broker whose metadata was damaged and is back from its last copy.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::PathBuf;

use metadata::{Metadata, TopicConfig};
use model::record::Unplaced;
use model::{Checksum, Message, Topic};
use runtime::{Clock, Rng, SimDisk, Tasks};
use server::{Broker, BrokerSettings};
use store::MessageStore;

const QUEUES: u32 = 4;

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("a topic")
}

#[tokio::test]
async fn a_topic_with_messages_is_made_anew_where_the_copy_does_not_know_it() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("metadata");
    let metadata = Metadata::open(&folder).expect("an empty folder opens");
    let known = TopicConfig::with_queues(7);
    metadata
        .topics
        .put(topic("known"), known.clone())
        .expect("it is kept");
    metadata.close().expect("it is copied");
    drop(metadata);
    std::fs::remove_dir_all(&folder).expect("it is there");

    let clock = Clock::real();
    let tasks = Tasks::new(clock.clone());
    let rng = Rng::seeded(1);
    let (store, _) = MessageStore::open(
        PathBuf::from("/store"),
        store::Settings {
            segment_bytes: 1 << 20,
            ..store::Settings::default()
        },
        SimDisk::new(rng.split("disk")).mount(),
        clock,
        tasks.clone(),
    )
    .expect("an empty store opens");
    let host = "127.0.0.1:10911".parse().expect("an address");
    for (name, queue) in [("late", 0), ("late", QUEUES - 1), ("known", 0)] {
        let message = Message::new(topic(name), queue, "kept");
        let record = Unplaced::encode(&message, host, Checksum::Record).expect("it is small");
        store.append(record).await.expect("there is room");
    }

    let metadata = Metadata::open(&folder).expect("the copy is there");
    assert!(metadata.is_restored());
    let settings = BrokerSettings {
        cluster: "c".to_owned(),
        name: "b".to_owned(),
        id: 0,
        listen: host,
        advertised: host,
        name_servers: Vec::new(),
        auto_create_topics: false,
        auto_create_groups: false,
        body_limit: 4 << 20,
        limits: Default::default(),
    };
    Broker::open(settings, store, metadata.clone(), &rng, tasks)
        .await
        .expect("the broker opens");
    let queues = |name| Some(metadata.topics.get(name)?.read_queues);
    assert_eq!(queues("late"), Some(QUEUES));
    assert_eq!(metadata.topics.get("known").as_deref(), Some(&known));
    assert!(!metadata.is_restored(), "it was looked what is missing");
}
