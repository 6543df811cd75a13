//! Queues that a topic gets while a job reads it.

use std::time::Duration;

use client::{Client, NewTopic};
use model::Topic;
use state::MemoryDisk;

use crate::{
    house::{House, message, with_house},
    script::{open, read, table},
};

const INPUT: &str = "k STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts";
const COUNTS: &str = "INSERT INTO out SELECT COUNT(*)
  FROM TABLE(TUMBLE(TABLE input, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;";

/// A job that counts rows by the minute and begins as this says.
fn counts(start: &str) -> String {
    let options = format!("'format' = 'json', 'scanStartupMode' = '{start}'");
    let input = table("input", INPUT, &options);
    [
        &input,
        &table("out", "n BIGINT", "'format' = 'json'"),
        COUNTS,
    ]
    .concat()
}

/// Gives the topic so many queues.
async fn grow(house: &House, client: &Client, topic: &Topic, queues: u32) {
    let more = NewTopic::new(topic.clone(), queues);
    let grown = house.run(client.admin().create_topic(&more)).await;
    grown.expect("the broker makes them");
}

/// Sends a row of 12:00 and so many seconds to one queue.
async fn send(house: &House, topic: &Topic, queue: u32, second: u32) {
    let (minute, second) = (second / 60, second % 60);
    let row = format!(r#"{{"k":"a","ts":"2024-01-01 12:{minute:02}:{second:02}"}}"#);
    let producer = house.producer().await;
    let queues = house.run(producer.queues(topic)).await.expect("a topic");
    let queue = queues.iter().find(|known| known.number == queue);
    let queue = queue.expect("a queue of the topic");
    let sent = house.run(producer.send_to(queue, message(topic, row)));
    sent.await.expect("acknowledged");
}

#[test]
fn queues_that_a_topic_gets_are_read_from_their_start_while_the_job_runs() {
    with_house(async |house| {
        let topic = house.make_topic("input", 1).await;
        let client = house.client("engine").await;
        let disk = MemoryDisk::new();
        let script = counts("latest");
        let mut job = open(house, &client, &script, &disk).await;
        house
            .run(job.epoch())
            .await
            .expect("it says where reading starts");
        send(house, &topic, 0, 10).await;
        read(house, &mut job, 1).await;

        grow(house, &client, &topic, 3).await;
        send(house, &topic, 2, 20).await;
        let began = house.clock.now();
        read(house, &mut job, 2).await;
        let took = house.clock.now() - began;
        assert!(took <= Duration::from_secs(31), "{took:?}");

        // Its position is committed like the others': nothing is read twice.
        let mut job = open(house, &client, &script, &disk).await;
        send(house, &topic, 1, 30).await;
        read(house, &mut job, 3).await;
    });
}

#[test]
fn a_new_queue_holds_the_watermark_back_until_it_has_spoken() {
    with_house(async |house| {
        let topic = house.make_topic("input", 1).await;
        let client = house.client("engine").await;
        let mut job = open(house, &client, &counts("earliest"), &MemoryDisk::new()).await;
        send(house, &topic, 0, 10).await;
        read(house, &mut job, 1).await;
        grow(house, &client, &topic, 2).await;
        send(house, &topic, 1, 20).await;
        house.pass(Duration::from_secs(31)).await;
        // The other queue is far ahead when the new one is read for the first time.
        send(house, &topic, 0, 90).await;
        read(house, &mut job, 3).await;
        send(house, &topic, 1, 30).await;
        read(house, &mut job, 4).await;
        let status = job.status();
        assert!(!status.borrow().counters.contains_key("late"));
        send(house, &topic, 1, 90).await;
        read(house, &mut job, 5).await;
        assert_eq!(status.borrow().counters.get("rows out"), Some(&1));
    });
}

#[test]
fn a_queue_that_came_while_the_job_stood_still_is_read_from_its_start() {
    with_house(async |house| {
        let topic = house.make_topic("input", 1).await;
        let client = house.client("engine").await;
        let script = counts("latest");
        let disk = MemoryDisk::new();
        let mut job = open(house, &client, &script, &disk).await;
        house
            .run(job.epoch())
            .await
            .expect("it says where reading starts");
        drop(job);
        grow(house, &client, &topic, 2).await;
        send(house, &topic, 1, 10).await;
        let mut job = open(house, &client, &script, &disk).await;
        read(house, &mut job, 1).await;
    });
}
