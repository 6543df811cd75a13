//! Every consumer group that a job names knows how far the job has come.

use client::CommitEpoch;
use engine::{Outbox, Publisher, TopicPublisher};
use model::QueueOffset;
use state::{Epoch, MemoryDisk, QueueName};

use crate::{
    house::{group, queue, topic, with_house},
    script::{committed, open, plan, read, table},
};

/// Three sources, two of them of one group, whose offsets come before the other's.
fn union() -> String {
    let source = |name: &str, group: &str| {
        let options = format!("'format' = 'raw', 'consumerGroup' = '{group}'");
        table(name, "k STRING", &options)
    };
    [
        &source("a", "first"),
        &source("b", "second"),
        &source("c", "first"),
        &table("out", "k STRING", "'format' = 'raw'"),
        "INSERT INTO out SELECT k FROM a UNION ALL SELECT k FROM b UNION ALL SELECT k FROM c;",
    ]
    .concat()
}

#[test]
fn an_epoch_commits_the_offsets_of_every_group() {
    with_house(async |house| {
        let producer = house.producer().await;
        for (name, rows) in [("a", 1), ("b", 2), ("c", 3)] {
            let topic = house.make_topic(name, 1).await;
            house.send_numbers(&producer, &topic, 0..rows).await;
        }
        let client = house.client("engine").await;
        let mut job = open(house, &client, &union(), &MemoryDisk::new()).await;
        read(house, &mut job, 6).await;
        for (name, of, next) in [("first", "a", 1), ("second", "b", 2), ("first", "c", 3)] {
            assert_eq!(committed(house, &client, name, of).await, Some(next));
        }
    });
}

#[test]
fn a_group_that_a_crash_left_behind_is_brought_up_by_the_epochs_repetition() {
    with_house(async |house| {
        for name in ["a", "b", "c"] {
            house.make_topic(name, 1).await;
        }
        let client = house.client("engine").await;
        let dataflow = plan(&union()).dataflow;
        let (jobs, name) = (client.jobs(None), &dataflow.name);
        let generation = house.run(jobs.fence(name)).await.expect("a generation");
        // What a run that died here has committed: all of the epoch but the further group.
        let half = CommitEpoch {
            job: name.clone(),
            generation,
            shard: 0,
            epoch: 1,
            group: Some(group("first")),
            offsets: vec![(queue(&topic("a"), 0), QueueOffset(1))],
            metadata: Vec::new(),
            outputs: Vec::new(),
        };
        house
            .run(jobs.commit_epoch(&half))
            .await
            .expect("committed");
        let position = |(node, source): (dataflow::NodeId, &dataflow::Source)| {
            let name = QueueName {
                source: dataflow.node(node).operator.to_string(),
                queue: format!("{}/0", source.table.name),
            };
            (name, 1_u64.to_be_bytes().to_vec())
        };
        let outbox = Outbox {
            epoch: Epoch(1),
            positions: dataflow.sources().map(position).collect(),
            ..Outbox::default()
        };
        let publisher = house.run(TopicPublisher::open(client.clone(), &dataflow));
        let mut publisher = publisher.await.expect("the job is taken over");
        for _ in 0..2 {
            let published = house.run(publisher.publish(&outbox)).await;
            published.expect("published, or published already");
            assert_eq!(committed(house, &client, "second", "b").await, Some(1));
        }
    });
}
