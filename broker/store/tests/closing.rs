//! A store closes cleanly whatever has ended before it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use model::record::Unplaced;
use model::{Checksum, Message, Topic};
use runtime::{Clock, RealDisk, Tasks};
use store::{MessageStore, Settings};

#[tokio::test]
async fn a_store_whose_tasks_were_stopped_closes_and_is_clean_at_the_next_start() {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let open = |tasks: Tasks| {
        let root = directory.path().join("store");
        let clock = Clock::real();
        MessageStore::open(root, Settings::default(), RealDisk::new(), clock, tasks)
            .expect("a sound store opens")
    };
    let tasks = Tasks::new(Clock::real());
    let (store, _) = open(tasks.clone());
    let message = Message::new(Topic::parse("orders").expect("a topic"), 0, "body");
    let record = Unplaced::encode(&message, message.born_host, Checksum::Record);
    let appended = store.append(record.expect("a record")).await;
    appended.expect("it is appended");
    tasks.stop(Duration::from_secs(10)).await;
    store.close().await.expect("it closes");

    let (_, report) = open(Tasks::new(Clock::real()));
    assert!(report.clean, "{report:?}");
}
