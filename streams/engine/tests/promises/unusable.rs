//! Rows that cannot be used become dead letters, are skipped, or stop the job before anything of
//! them is committed.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::Int64Type;
use dataflow::RowPolicy;
use engine::{Error, OutputRecord, Sync};
use planner::{FunctionLoader, ScalarBody};
use plugin_host::{CallError, RowError, Signature};
use runtime::Rng;
use std::sync::Arc;

use crate::{
    counts::windowed_counts,
    world::{Cell, Run, World, to},
};

/// What has no result, in a script whose windows are fed through a projection and a filter.
fn hundreds(kind: &str, policy: &str) -> String {
    format!(
        "SET 'errors.{kind}' = '{policy}';
         SET 'errors.dead-letter.topic' = 'letters';
         CREATE TABLE output (k STRING, n BIGINT)
           WITH ('connector' = 'rocketmq', 'topic' = 'output', 'format' = 'json');
         CREATE VIEW shares AS SELECT 100 / v AS share, ts, k FROM input WHERE k <> 'x';
         INSERT INTO output SELECT k, SUM(share)
           FROM TABLE(TUMBLE(TABLE shares, DESCRIPTOR(ts), INTERVAL '1' SECOND))
           GROUP BY k, window_start, window_end;"
    )
}

/// Record 2 of queue 1 comes when windows up to 5 s are closed, and cannot be used.
async fn check(kind: &str, counter: &str, bad: Cell, original: &str, why: &str) {
    for policy in ["fail", "skip", "dead-letter"] {
        let good = vec![Some(("x", 1, 5_000)), Some(("a", 10, 5_000))];
        let world = World {
            queues: vec![good; 3],
            ..World::default()
        };
        let run = Run::of_script(&hundreds(kind, policy), None, world);
        let mut job = run.open().await.expect("the job opens");
        run.read(&mut job).await.expect("nothing is wrong yet");
        let later = [bad, Some(("b", 5, 5_500))];
        run.broker.world().queues[1].extend(later);
        let read = run.read(&mut job).await;
        if policy == "fail" {
            let error = read.expect_err("the job may not skip").to_string();
            assert!(error.contains(why), "{error}");
            assert!(run.broker.world().positions["1"] <= 2, "{kind}");
            continue;
        }
        read.expect("the job goes on");
        let status = job.status();
        job.drain().await.expect("the job drains");
        let world = run.broker.world();
        assert_eq!(to(&world, "output"), ["a 30", "b 20"], "{kind} {policy}");
        assert_eq!(status.borrow().counters[counter], 1, "{kind} {policy}");
        let letters = world
            .output
            .iter()
            .filter(|record| record.destination == "letters");
        let letters: Vec<&OutputRecord> = letters.collect();
        if policy == "skip" {
            assert!(letters.is_empty(), "{kind}");
            continue;
        }
        assert_eq!(to(&world, "letters"), [original], "{kind}");
        for (name, value) in [
            ("MILLSTREAM_JOB", "job"),
            ("MILLSTREAM_ERROR", kind),
            ("MILLSTREAM_ORIGIN_QUEUE", "1"),
            ("MILLSTREAM_ORIGIN_OFFSET", "2"),
        ] {
            let told = (name.to_owned(), value.to_owned());
            assert!(letters[0].properties.contains(&told), "{kind} {told:?}");
        }
    }
}

#[tokio::test]
async fn a_record_that_does_not_decode_stops_the_job_is_skipped_or_kept_as_it_came() {
    check(
        "undecodable",
        "undecodable",
        None,
        "not a row",
        "record 2 of 1",
    )
    .await;
}

#[tokio::test]
async fn a_row_that_is_too_late_stops_the_job_is_skipped_or_kept_as_it_came() {
    let late = Some(("c", 1, 20));
    check(
        "late",
        "late",
        late,
        r#"("c", 1, 20)"#,
        "1 rows came too late for aggregate, the first (record 2 of 1, read by input): \
         the watermark 1970-01-01T00:00:05 has closed the window of its event time \
         1970-01-01T00:00:00.020",
    )
    .await;
}

#[tokio::test]
async fn a_row_without_a_result_stops_the_job_is_skipped_or_kept_as_it_came() {
    let zero = Some(("c", 0, 5_000));
    check(
        "function",
        "failed",
        zero,
        r#"("c", 0, 5000)"#,
        "Divide by zero",
    )
    .await;
}

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

/// A function of a module that refuses row 0 of every batch, or breaks off without saying which.
struct Refuses;

impl ScalarBody for Refuses {
    fn call(&self, arguments: &[ArrayRef], _: usize) -> Result<ArrayRef, CallError> {
        match arguments[0].as_primitive::<Int64Type>().value(0) {
            0 => Err(CallError::Stopped),
            _ => Err(CallError::Rows(vec![RowError {
                row: 0,
                why: "not today".to_owned(),
            }])),
        }
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn version(&self) -> Option<String> {
        Some("0123456789ab".to_owned())
    }
}

struct Modules;

impl FunctionLoader for Modules {
    fn load(&self, _: &Signature, _: &str) -> Result<Arc<dyn ScalarBody>, String> {
        Ok(Arc::new(Refuses))
    }
}

/// A job that calls the function with one value.
fn refusing(policy: &str, value: i64) -> Run {
    let script = format!(
        "SET 'errors.function' = '{policy}';
         SET 'errors.dead-letter.topic' = 'letters';
         CREATE FUNCTION f(v BIGINT) RETURNS BIGINT LANGUAGE wasm AS 'f.wasm';
         CREATE TABLE output (v BIGINT)
           WITH ('connector' = 'rocketmq', 'topic' = 'output', 'format' = 'json');
         INSERT INTO output SELECT f(v) FROM input;"
    );
    let world = World {
        queues: vec![vec![Some(("a", value, 5))], Vec::new(), Vec::new()],
        ..World::default()
    };
    Run::of_script(&script, Some(Arc::new(Modules)), world)
}

#[tokio::test]
async fn what_a_function_fails_with_names_the_build_of_its_module() {
    for (value, why) in [
        (1, "f(v): module 0123456789ab: not today"),
        (
            0,
            "function f of module 0123456789ab failed: functions no longer run",
        ),
    ] {
        let run = refusing("fail", value);
        let mut job = run.open().await.expect("the job opens");
        let error = run.read(&mut job).await.expect_err("the job may not skip");
        assert!(error.to_string().contains(why), "{error}");
    }
    let run = refusing("dead-letter", 1);
    let mut job = run.open().await.expect("the job opens");
    run.read(&mut job).await.expect("the job goes on");
    let world = run.broker.world();
    let why = world.output[0].properties.iter();
    let mut why = why.filter(|(name, _)| name == "MILLSTREAM_ERROR_WHY");
    let (_, why) = why.next().expect("a reason");
    assert_eq!(why, "f(v): module 0123456789ab: not today");
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
