//! Rows from a seed: the same again, at the set pace, as many as asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use connect_sdk::conformance::{
    description_is_consistent, rows_of, source_resumes_anywhere, source_survives_cancelled_polls,
};
use connect_sdk::{Connector, Context, Options, Positions, Source, TaskOptions};
use connector_datagen::DatagenSource;
use runtime::{Clock, Net, Rng, SimClock, SimDisk, Tasks};

fn context(clock: Clock) -> Context {
    Context {
        connector: "made-up".into(),
        task: 0,
        generation: 1,
        disk: SimDisk::new(Rng::seeded(1)).mount(),
        tasks: Tasks::new(clock.clone()),
        clock,
        net: Net::in_memory(),
        rng: Rng::seeded(1),
    }
}

fn options(pairs: &[(&str, &str)]) -> Options {
    let given: BTreeMap<String, String> = pairs
        .iter()
        .map(|(k, v)| ((*k).into(), (*v).into()))
        .collect();
    let (options, findings) = Options::check(DatagenSource.describe().options, &given);
    assert_eq!(findings, vec![]);
    options
}

async fn open(pairs: &[(&str, &str)], from: Positions, clock: Clock) -> Box<dyn Source> {
    let task = TaskOptions {
        options: options(pairs),
        part: String::new(),
    };
    DatagenSource
        .source(task, from, context(clock))
        .await
        .expect("it opens")
}

const FAST: &[(&str, &str)] = &[
    ("rows", "25"),
    ("rows.per.second", "0"),
    ("batch.rows", "4"),
    ("time.start", "978307200000"),
    ("text.keys", "3"),
    (
        "schema",
        "id BIGINT, at TIMESTAMP(3), day DATE, name STRING, ok BOOLEAN, small TINYINT, price DECIMAL(10, 2), part FLOAT, raw BYTES",
    ),
];

#[test]
fn the_description_keeps_the_rules() {
    description_is_consistent(&DatagenSource);
}

#[tokio::test]
async fn a_restart_goes_on_with_the_row_that_would_have_come() {
    let rows = source_resumes_anywhere(async |from| open(FAST, from, Clock::real()).await).await;
    assert_eq!(rows.len(), 25);
    assert!(
        rows[24].starts_with(r#"{"id":24,"at":"2001-01-01T00:00:24","day":"2001-01-01","name":""#),
        "{}",
        rows[24]
    );
    source_survives_cancelled_polls(async |from| open(FAST, from, Clock::real()).await).await;
}

#[tokio::test]
async fn another_seed_makes_other_rows_and_keys_are_few() {
    let mut other: Vec<(&str, &str)> = FAST.to_vec();
    other.push(("seed", "1"));
    let ours = source_resumes_anywhere(async |from| open(FAST, from, Clock::real()).await).await;
    let theirs =
        source_resumes_anywhere(async |from| open(&other, from, Clock::real()).await).await;
    assert_ne!(ours, theirs);
    let names: std::collections::BTreeSet<&str> = ours
        .iter()
        .filter_map(|row| row.split("\"name\":\"").nth(1)?.split('"').next())
        .collect();
    assert_eq!(names.len(), 3);
}

#[tokio::test]
async fn rows_come_at_their_pace() {
    let time = SimClock::new(0);
    let mut source = open(
        &[("rows.per.second", "100")],
        Positions::new(),
        time.clock(),
    )
    .await;
    time.advance(Duration::from_millis(35));
    let batch = source
        .poll()
        .await
        .expect("it goes on")
        .expect("it is endless");
    assert_eq!(rows_of(&batch.records).len(), 3);
    let polled = source.poll();
    tokio::pin!(polled);
    assert!(
        futures_poll(polled.as_mut()).await.is_none(),
        "the fourth row is not due"
    );
    time.advance(Duration::from_millis(5));
    let batch = polled.await.expect("it goes on").expect("it is endless");
    assert_eq!(rows_of(&batch.records).len(), 1);
}

/// Polls once.
async fn futures_poll<F: std::future::Future + Unpin>(mut future: F) -> Option<F::Output> {
    std::future::poll_fn(move |context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn options_that_do_not_fit_are_found_before_anything_runs() {
    let findings = |pairs| {
        DatagenSource
            .check(&options(pairs))
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    };
    assert_eq!(findings(&[]), "");
    assert!(findings(&[("sequence", "idd")]).contains("(did you mean \"id\"?)"));
    assert!(
        findings(&[("number.min", "5"), ("number.max", "4")]).contains("number.min is greater")
    );
}

#[tokio::test]
async fn a_number_too_great_for_its_column_is_an_error_and_no_null() {
    let pairs = &[
        ("schema", "small TINYINT"),
        ("sequence", "small"),
        ("sequence.start", "127"),
        ("rows.per.second", "0"),
    ];
    let error = open(pairs, Positions::new(), Clock::real())
        .await
        .poll()
        .await
        .expect_err("128 is no TINYINT");
    assert!(
        error
            .to_string()
            .starts_with("column \"small\" cannot hold the generated numbers"),
        "{error}"
    );
}
