//! A real PostgreSQL gets the demo's rows, whoever is killed.

#[path = "../../connect/connectors/postgres/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::Cluster;
use tokio_postgres::Client;

use crate::{LOOK, check, kill, kill_when, start};

/// The topic, which the demo compares with the batch, and the table, compared with it too.
const PROVEN: &str = "table airport_delays read back from PostgreSQL: 17473 rows, all equal";

/// How long PostgreSQL stays away in the middle of a demo.
const OUTAGE: Duration = Duration::from_secs(10);

fn demo(data: &Path, url: &str) -> Command {
    let mut command = crate::demo(data);
    command.args(["--postgres", url]);
    command
}

/// The demo ends well, by its own comparison and by ours.
async fn ends_with_the_batchs_rows(mut demo: Command, client: &Client) {
    let output = tokio::task::spawn_blocking(move || demo.output());
    let output = output.await.expect("no panic").expect("the demo starts");
    check(&output);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(PROVEN), "{said}");
    let counted = client
        .query_one(
            "SELECT count(*), count(DISTINCT (hour_start, origin)) FROM airport_delays",
            &[],
        )
        .await
        .expect("the table can be read");
    let (all, distinct): (i64, i64) = (counted.get(0), counted.get(1));
    assert_eq!((all, distinct), (17_473, 17_473));
}

/// Rows that are committed; none while there is no table.
async fn rows(client: &Client) -> i64 {
    let counted = client
        .query_one("SELECT count(*) FROM airport_delays", &[])
        .await;
    counted.map_or(0, |counted| counted.get(0))
}

/// Whether the sink has written rows that are not yet committed.
async fn is_written_to(client: &Client) -> bool {
    let writing = client
        .query(
            "SELECT FROM pg_stat_activity WHERE application_name = 'millstream' AND backend_xid IS NOT NULL",
            &[],
        )
        .await;
    !writing.expect("the activity can be read").is_empty()
}

#[tokio::test]
async fn the_table_holds_exactly_the_batchs_rows() {
    let cluster = Cluster::start();
    let client = cluster.database("demo").await;
    let data = tempfile::tempdir().expect("a temporary folder");
    let url = cluster.url("demo");
    ends_with_the_batchs_rows(demo(data.path(), &url), &client).await;
    // Again over the same data: the job is drained already, and nothing is written twice.
    ends_with_the_batchs_rows(demo(data.path(), &url), &client).await;
    let other = tempfile::tempdir().expect("a temporary folder");
    let refused = demo(other.path(), &url).output().expect("the demo starts");
    assert_eq!(refused.status.code(), Some(4));
    insta::assert_snapshot!(String::from_utf8_lossy(&refused.stderr), @"
    error: table airport_delays already holds rows  [demo.table]
      why: a demo with new data writes into a new table, so that it can prove what came
      fix: drop what the earlier run made:  DROP TABLE IF EXISTS airport_delays, airport_delays_offsets
           or go on where that run was, with its folder:  --data DIR
    ");
}

#[tokio::test]
async fn killed_at_any_stage_the_demo_goes_on_to_the_batchs_rows() {
    let cluster = Cluster::start();
    let client = cluster.database("demo").await;
    let data = tempfile::tempdir().expect("a temporary folder");
    let (data, url) = (data.path(), cluster.url("demo"));
    kill_when(demo(data, &url), data, "the source at work", |progress| {
        progress.flights > 0
    });
    kill_when(demo(data, &url), data, "the job at work", |progress| {
        progress.results > 0
    });
    let before = rows(&client).await;
    let running = start(demo(data, &url));
    while !is_written_to(&client).await {
        tokio::time::sleep(LOOK).await;
    }
    kill(running, "rows written and not committed");
    println!("killed while writing, with {before} rows before it started");
    let before = rows(&client).await;
    let running = start(demo(data, &url));
    while rows(&client).await <= before {
        tokio::time::sleep(LOOK).await;
    }
    kill(running, "rows committed");
    println!("killed with {} rows committed", rows(&client).await);
    ends_with_the_batchs_rows(demo(data, &url), &client).await;
}

#[tokio::test]
async fn a_postgresql_killed_in_the_middle_ends_with_the_batchs_rows() {
    let mut cluster = Cluster::start();
    let client = cluster.database("demo").await;
    let data = tempfile::tempdir().expect("a temporary folder");
    let mut demo = demo(data.path(), &cluster.url("demo"));
    let running = tokio::task::spawn_blocking(move || demo.output());
    while !is_written_to(&client).await {
        tokio::time::sleep(LOOK).await;
    }
    cluster.kill();
    // Longer than the sink takes for many attempts.
    tokio::time::sleep(OUTAGE).await;
    cluster.run();
    let client = cluster.client("demo").await;
    let before = rows(&client).await;
    while rows(&client).await <= before {
        tokio::time::sleep(LOOK).await;
    }
    println!("killed again with {} rows", rows(&client).await);
    cluster.kill();
    cluster.run();
    let client = cluster.client("demo").await;
    let output = running.await.expect("no panic").expect("the demo starts");
    check(&output);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(PROVEN), "{said}");
    assert_eq!(rows(&client).await, 17_473);
}

#[tokio::test]
async fn a_demo_without_its_postgresql_gives_up_when_it_was_told_to() {
    let mut cluster = Cluster::start();
    let client = cluster.database("demo").await;
    let data = tempfile::tempdir().expect("a temporary folder");
    let url = cluster.url("demo");
    let mut impatient = demo(data.path(), &url);
    impatient.args(["--retry", "1s"]);
    let running = tokio::task::spawn_blocking(move || impatient.output());
    while !is_written_to(&client).await {
        tokio::time::sleep(LOOK).await;
    }
    cluster.kill();
    let output = running.await.expect("no panic").expect("the demo starts");
    let failed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{failed}");
    assert!(
        failed.contains("error: connector airport-delays-postgres failed  [demo.connector]"),
        "{failed}"
    );
    cluster.run();
    let client = cluster.client("demo").await;
    ends_with_the_batchs_rows(demo(data.path(), &url), &client).await;
}
