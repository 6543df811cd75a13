//! What is visible at once has a limit, and no job is stuck for it.

use engine::{Error, PublishLimits};

use crate::world::{Cell, Run, World, to};

const COPY: &str = "
CREATE TABLE output (k STRING, v BIGINT)
  WITH ('connector' = 'rocketmq', 'topic' = 'output', 'format' = 'json');
INSERT INTO output SELECT k, v FROM input;
";
const COUNT: &str = "
CREATE TABLE output (v BIGINT, rows BIGINT)
  WITH ('connector' = 'rocketmq', 'topic' = 'output', 'format' = 'json');
INSERT INTO output SELECT v, COUNT(*)
  FROM TABLE(TUMBLE(TABLE input, DESCRIPTOR(ts), INTERVAL '1' SECOND))
  GROUP BY v, window_start, window_end;
";

/// A job over 60 rows of different values, whose broker takes so much at once.
fn run(script: &str, limits: PublishLimits) -> Run {
    let queue = |first: i64| (first..first + 20).map(|v| -> Cell { Some(("a", v, 5)) });
    let world = World {
        queues: [0, 20, 40].map(|first| queue(first).collect()).to_vec(),
        limits,
        ..World::default()
    };
    Run::of_script(script, None, world)
}

/// Publishes all rows of a copy in parts of at most four, each row once.
async fn copies_in_parts(limits: PublishLimits) {
    let run = run(COPY, limits);
    let mut job = run.open().await.expect("the job opens");
    run.read(&mut job).await.expect("every part fits");
    let world = run.broker.world();
    let sizes = &world.sizes;
    assert!(sizes.iter().all(|size| *size <= 4), "{sizes:?}");
    let mut expected: Vec<String> = (0..60).map(|v| format!("a {v}")).collect();
    expected.sort();
    assert_eq!(to(&world, "output"), expected);
}

#[tokio::test]
async fn an_epoch_that_publishes_too_much_is_done_again_with_less_input() {
    copies_in_parts(PublishLimits {
        records: 4,
        ..PublishLimits::default()
    })
    .await;
}

#[tokio::test]
async fn bytes_count_as_records_do() {
    copies_in_parts(PublishLimits {
        bytes: 300,
        ..PublishLimits::default()
    })
    .await;
}

#[tokio::test]
async fn no_row_is_late_because_an_epoch_was_done_again() {
    let limits = PublishLimits {
        records: 2,
        ..PublishLimits::default()
    };
    let run = run(COUNT, limits);
    for queue in &mut run.broker.world().queues {
        let row = |row: i64| -> Cell { Some(("a", row % 2, row * 400)) };
        *queue = (0..40).map(row).collect();
    }
    let mut job = run.open().await.expect("the job opens");
    run.read(&mut job).await.expect("it steps");
    let status = job.status();
    job.drain().await.expect("it drains");
    assert!(!status.borrow().counters.contains_key("late"));
    let counted = to(&run.broker.world(), "output");
    let rows = |line: &String| -> i64 {
        let (_, rows) = line.split_once(' ').expect("a value and its rows");
        rows.parse().expect("a number")
    };
    assert_eq!(counted.iter().map(rows).sum::<i64>(), 3 * 40);
}

#[tokio::test]
async fn a_window_that_says_too_much_leaves_whole_in_the_middle_of_reading() {
    let limits = PublishLimits {
        records: 10,
        ..PublishLimits::default()
    };
    let run = run(COUNT, limits);
    for queue in &mut run.broker.world().queues {
        // A thousand rows close nothing, the thousand after them one window of many values.
        let row = |row: i64| -> Cell { Some(("a", row % 50, row / 1_000 * 1_000)) };
        *queue = (0..2_000).map(row).collect();
    }
    let mut job = run.open().await.expect("the job opens");
    run.read(&mut job).await.expect("it steps");
    job.drain().await.expect("it drains");
    let world = run.broker.world();
    let large = world.sizes.iter().filter(|size| **size > 10).count();
    assert_eq!(large, 2, "each window left at once: {:?}", world.sizes);
    assert_eq!(to(&world, "output").len(), 100);
}

#[tokio::test]
async fn windows_that_close_together_leave_together_however_many_they_are() {
    let limits = PublishLimits {
        records: 4,
        ..PublishLimits::default()
    };
    let run = run(COUNT, limits);
    let mut job = run.open().await.expect("the job opens");
    run.read(&mut job).await.expect("no window closes yet");
    job.drain()
        .await
        .expect("no input is left to do it with less of");
    assert_eq!(to(&run.broker.world(), "output").len(), 60);
}

#[tokio::test]
async fn a_record_that_nobody_would_take_stops_the_job_before_it_is_committed() {
    let limits = PublishLimits {
        bytes: 50,
        ..PublishLimits::default()
    };
    let run = run(COPY, limits);
    let mut job = run.open().await.expect("the job opens");
    let error = loop {
        if let Err(error) = job.epoch().await {
            break error;
        }
    };
    assert!(
        matches!(error, Error::RecordTooLarge { limit: 50, .. }),
        "{error}"
    );
    assert!(run.broker.world().positions.values().all(|at| *at == 0));
}
