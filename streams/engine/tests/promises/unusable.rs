//! Rows that cannot be used become dead letters, are skipped, or stop the job before anything of
//! them is committed.

use dataflow::RowPolicy;
use engine::{Error, Sync};
use runtime::Rng;

use crate::{
    counts::windowed_counts,
    world::{Run, World, to},
};

#[tokio::test]
async fn an_unusable_record_becomes_a_dead_letter_with_its_bytes_and_origin() {
    let mut dataflow = windowed_counts();
    dataflow.policies.undecodable = RowPolicy::DeadLetter("undecodable".to_owned());
    dataflow.policies.function = RowPolicy::DeadLetter("failed".to_owned());
    let queue = vec![
        Some(("a", 5, 10)),
        None,
        Some(("b", 0, 20)),
        Some(("a", 10, 30)),
    ];
    let world = World {
        queues: vec![queue, Vec::new(), Vec::new()],
        ..World::default()
    };
    let run = Run::new(dataflow, world, &Rng::seeded(1), Sync::EveryEpoch);
    let mut job = run.open().await.expect("the job opens");
    let status = job.status();
    while !run.read_to_the_end() {
        job.epoch().await.expect("bad rows stop nothing");
    }
    job.drain().await.expect("the job drains");
    let world = run.broker.world();
    assert_eq!(to(&world, "output"), ["1000 a 2 30"]);
    assert_eq!(to(&world, "undecodable"), ["not a row"]);
    assert_eq!(to(&world, "failed"), [r#"("b", 0, 20)"#]);
    let failed = world
        .output
        .iter()
        .find(|record| record.destination == "failed")
        .expect("a dead letter");
    let property = |name: &str| {
        &failed
            .properties
            .iter()
            .find(|(found, _)| found == name)
            .expect("a property")
            .1
    };
    assert_eq!(property("MILLSTREAM_ORIGIN_QUEUE"), "0");
    assert_eq!(property("MILLSTREAM_ORIGIN_OFFSET"), "2");
    assert!(property("MILLSTREAM_ERROR_WHY").contains("Divide by zero"));
    let counters = status.borrow().counters.clone();
    let counted = [
        "rows in",
        "rows out",
        "undecodable",
        "failed",
        "dead letters",
    ]
    .map(|name| counters[name]);
    assert_eq!(counted, [3, 1, 1, 1, 2]);
}

#[tokio::test]
async fn a_job_that_may_not_skip_stops_before_the_bad_row_is_committed() {
    for (bad, named) in [
        (None, "record 1 of 0"),
        (Some(("b", 0, 20)), "record 1 of 0"),
    ] {
        let queue = vec![Some(("a", 5, 10)), bad];
        let world = World {
            queues: vec![queue, Vec::new(), Vec::new()],
            ..World::default()
        };
        let run = Run::new(windowed_counts(), world, &Rng::seeded(1), Sync::EveryEpoch);
        let mut job = run.open().await.expect("the job opens");
        let error = loop {
            if let Err(error) = job.epoch().await {
                break error.to_string();
            }
        };
        assert!(error.contains(named), "{error}");
        assert!(
            matches!(job.epoch().await, Err(Error::State(state::Error::Closed))),
            "it stays stopped"
        );
        assert!(run.broker.world().positions.get("0").copied().unwrap_or(0) <= 1);
    }
}

/// Windows of `input` with `10 / (rows - 2)`, which two rows have none of.
fn shares(policy: &str) -> String {
    format!(
        "SET 'errors.function' = '{policy}';
         SET 'errors.dead-letter.topic' = 'letters';
         CREATE TABLE output (k STRING, share BIGINT)
           WITH ('connector' = 'rocketmq', 'topic' = 'output', 'format' = 'json');
         INSERT INTO output SELECT k, 10 / (COUNT(*) - 2)
           FROM TABLE(TUMBLE(TABLE input, DESCRIPTOR(ts), INTERVAL '1' SECOND))
           GROUP BY k, window_start, window_end;"
    )
}

fn three_keys() -> World {
    let rows = ["a", "b", "b", "c", "c", "c"].map(|k| Some((k, 1, 5)));
    World {
        queues: vec![rows.to_vec(), Vec::new(), Vec::new()],
        ..World::default()
    }
}

#[tokio::test]
async fn a_row_made_of_many_is_left_out_alone_if_it_has_no_result() {
    for (policy, letters) in [("skip", 0), ("dead-letter", 1)] {
        let run = Run::of_script(&shares(policy), None, three_keys());
        let mut job = run.open().await.expect("the job opens");
        run.read(&mut job).await.expect("nothing is wrong yet");
        let status = job.status();
        job.drain().await.expect("the others have a result");
        let world = run.broker.world();
        assert_eq!(to(&world, "output"), ["a -10", "c 10"], "{policy}");
        assert_eq!(status.borrow().counters["failed"], 1);
        let kept = to(&world, "letters");
        assert_eq!(kept.len(), letters, "{policy}");
        assert!(kept.iter().all(|row| row.contains(r#""b""#)), "{kept:?}");
    }
}

#[tokio::test]
async fn a_row_made_of_many_stops_a_job_that_may_not_skip() {
    let run = Run::of_script(&shares("fail"), None, three_keys());
    let mut job = run.open().await.expect("the job opens");
    run.read(&mut job).await.expect("nothing is wrong yet");
    let error = job.drain().await.expect_err("b has no result").to_string();
    assert!(error.contains("Divide by zero"), "{error}");
    assert!(to(&run.broker.world(), "output").is_empty());
}
