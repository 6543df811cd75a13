//! Epochs of jobs: outputs and offsets together, once, by one generation.

use std::time::Duration;

use client::{CommitEpoch, Error, JobState};
use model::{QueueId, QueueOffset, Topic};

use crate::house::{group, message, queue, text, with_house};

fn epoch(generation: u64, epoch: u64) -> CommitEpoch {
    CommitEpoch {
        job: "job".to_owned(),
        generation,
        shard: 0,
        epoch,
        group: None,
        offsets: Vec::new(),
        metadata: Vec::new(),
        outputs: Vec::new(),
    }
}

fn full_epoch(generation: u64, number: u64, results: &Topic, input: &QueueId) -> CommitEpoch {
    CommitEpoch {
        group: Some(group("job")),
        offsets: vec![(input.clone(), QueueOffset(number * 10))],
        metadata: vec![("file".to_owned(), format!("line {number}"))],
        outputs: vec![
            message(results, format!("{number} a")),
            message(results, format!("{number} b")),
        ],
        ..epoch(generation, number)
    }
}

#[test]
fn an_epoch_appears_with_all_its_parts_and_only_once() {
    with_house(async |house| {
        let results = house.make_topic("results", 1).await;
        let input = queue(&house.make_topic("input", 1).await, 0);
        let client = house.client("engine").await;
        let jobs = client.jobs(None);
        assert_eq!(
            house.run(jobs.state("job", 0)).await.expect("an answer"),
            JobState::default()
        );
        let generation = house.run(jobs.fence("job")).await.expect("a generation");
        let first = full_epoch(generation, 1, &results, &input);
        let committed = house
            .run(jobs.commit_epoch(&first))
            .await
            .expect("committed");
        assert!(!committed.repeated);
        assert_eq!(committed.appended, [(queue(&results, 0), QueueOffset(0))]);
        let again = house
            .run(jobs.commit_epoch(&first))
            .await
            .expect("a repetition");
        assert!(again.repeated);

        let consumer = client.pull_consumer(group("job"));
        let stored = house.contents(&consumer, &results).await;
        assert_eq!(stored.iter().map(text).collect::<Vec<_>>(), ["1 a", "1 b"]);
        let committed = house
            .run(consumer.committed(&input))
            .await
            .expect("an answer");
        assert_eq!(committed, Some(QueueOffset(10)));
        let state = house.run(jobs.state("job", 0)).await.expect("an answer");
        assert_eq!(state.epoch, 1);
        assert_eq!(
            state.positions,
            [("file".to_owned(), "line 1".to_owned())].into()
        );
    });
}

#[test]
fn a_job_that_was_taken_over_can_commit_no_more() {
    with_house(async |house| {
        let jobs = house.client("engine").await.jobs(None);
        let old = house.run(jobs.fence("job")).await.expect("a generation");
        house
            .run(jobs.commit_epoch(&epoch(old, 1)))
            .await
            .expect("committed");
        let new = house.run(jobs.fence("job")).await.expect("a generation");
        let why = house
            .run(jobs.commit_epoch(&epoch(old, 2)))
            .await
            .expect_err("fenced");
        assert!(
            matches!(&why, Error::Fenced { job, .. } if job == "job"),
            "{why}"
        );
        assert!(!why.is_transient());
        house
            .run(jobs.commit_epoch(&epoch(new, 2)))
            .await
            .expect("committed");
        let why = house
            .run(jobs.commit_epoch(&epoch(new, 1)))
            .await
            .expect_err("an old epoch");
        assert!(
            !matches!(why, Error::Fenced { .. }) && !why.is_transient(),
            "{why}"
        );
    });
}

#[test]
fn a_job_goes_on_where_it_was_after_the_broker_was_killed() {
    with_house(async |house| {
        let results = house.make_topic("results", 1).await;
        let input = queue(&house.make_topic("input", 1).await, 0);
        let client = house.client("engine").await;
        let jobs = client.jobs(Some("broker-a"));
        let generation = house.run(jobs.fence("job")).await.expect("a generation");
        for number in 1..=3 {
            let epoch = full_epoch(generation, number, &results, &input);
            house
                .run(jobs.commit_epoch(&epoch))
                .await
                .expect("committed");
        }
        house.kill_broker().await;
        let last = full_epoch(generation, 3, &results, &input);
        let why = house
            .run(jobs.commit_epoch(&last))
            .await
            .expect_err("nobody is there");
        assert!(why.is_transient(), "{why}");
        house.start_broker().await;
        let state = house.run(jobs.state("job", 0)).await.expect("an answer");
        assert_eq!((state.epoch, &*state.positions["file"]), (3, "line 3"));
        assert!(
            house
                .run(jobs.commit_epoch(&last))
                .await
                .expect("a repetition")
                .repeated
        );
        let consumer = client.pull_consumer(group("job"));
        let stored = house.contents(&consumer, &results).await;
        let expected = ["1 a", "1 b", "2 a", "2 b", "3 a", "3 b"];
        assert_eq!(stored.iter().map(text).collect::<Vec<_>>(), expected);
        let committed = house
            .run(consumer.committed(&input))
            .await
            .expect("an answer");
        assert_eq!(committed, Some(QueueOffset(30)));
    });
}

#[test]
fn a_forgotten_job_starts_over() {
    with_house(async |house| {
        let jobs = house.client("engine").await.jobs(None);
        let old = house.run(jobs.fence("job")).await.expect("a generation");
        house
            .run(jobs.commit_epoch(&epoch(old, 5)))
            .await
            .expect("committed");
        house.run(jobs.forget("job")).await.expect("forgotten");
        assert_eq!(
            house
                .run(jobs.state("job", 0))
                .await
                .expect("an answer")
                .epoch,
            0
        );
        let why = house
            .run(jobs.commit_epoch(&epoch(old, 6)))
            .await
            .expect_err("fenced");
        assert!(matches!(why, Error::Fenced { .. }), "{why}");
        let new = house.run(jobs.fence("job")).await.expect("a generation");
        house
            .run(jobs.commit_epoch(&epoch(new, 1)))
            .await
            .expect("committed");
    });
}

#[test]
fn waiting_readers_see_an_epoch_at_once() {
    with_house(async |house| {
        let results = house.make_topic("results", 1).await;
        let client = house.client("engine").await;
        let consumer = client.pull_consumer(group("readers"));
        let queue = queue(&results, 0);
        let waiting = house.tasks.spawn("pull", async move {
            let hold = Duration::from_secs(15);
            consumer
                .pull(&queue, QueueOffset(0), 32, &client::Filter::All, hold)
                .await
        });
        house.pass(Duration::from_secs(1)).await;
        let jobs = client.jobs(None);
        let generation = house.run(jobs.fence("job")).await.expect("a generation");
        let commit = CommitEpoch {
            outputs: vec![message(&results, "a"), message(&results, "b")],
            ..epoch(generation, 1)
        };
        house
            .run(jobs.commit_epoch(&commit))
            .await
            .expect("committed");
        let pulled = house
            .run(waiting)
            .await
            .expect("no panic")
            .expect("a queue");
        assert_eq!(
            pulled.messages.iter().map(text).collect::<Vec<_>>(),
            ["a", "b"]
        );
    });
}
