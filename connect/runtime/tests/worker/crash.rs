//! The process is killed at every commit in turn, before and after it is carried out, and at the
//! end every record has arrived exactly once.

use std::sync::Arc;

use runtime::{Disk, Rng};

use crate::broker_in_memory::{Cut, MemoryBroker};
use crate::files::{lines, sim_disk, write};
use crate::process::{Process, until};

const ROWS: usize = 60;

fn csv() -> String {
    let rows: String = (0..ROWS).map(|n| format!("{n},name {n}\n")).collect();
    format!("id,name\n{rows}")
}

fn expected() -> Vec<String> {
    let mut rows: Vec<String> = (0..ROWS)
        .map(|n| format!("{{\"id\":{n},\"name\":\"name {n}\"}}"))
        .collect();
    rows.sort();
    rows
}

async fn start_both(process: &Process) {
    process
        .put(
            "in",
            &[
                ("connector.class", "file-source"),
                ("path", "/in/f.csv"),
                ("mode", "bounded"),
                ("topic", "rows"),
                ("topic.queues", "2"),
                ("schema", "id INT, name STRING"),
                ("batch.rows", "7"),
            ],
        )
        .await;
    process
        .put(
            "out",
            &[
                ("connector.class", "file-sink"),
                ("topics", "rows"),
                ("path", "/out"),
                ("tasks.max", "2"),
                ("flush.rows", "5"),
                ("flush.interval", "1ms"),
                ("errors.retry.delay.max.ms", "5"),
            ],
        )
        .await;
}

/// Waits until all rows are in the files, or until the process is cut off.
async fn delivered_or_cut(broker: &Arc<MemoryBroker>, disk: Arc<dyn Disk>) -> bool {
    let mut was_cut = broker.was_cut.subscribe();
    tokio::select! {
        _ = was_cut.wait_for(|cut| *cut) => false,
        () = until("all rows are in files", || lines(disk.as_ref(), "/out").len() >= ROWS) => true,
    }
}

/// Runs file to topic to files, cut off at the given commits, each in a life of its own.
async fn run(cuts: &[(u64, Cut)], seed: u64) -> u64 {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(seed));
    write(disk.mount().as_ref(), "/in/f.csv", &csv());
    let mut first_life = true;
    for &(after, cut) in cuts {
        broker.cut_at(broker.commits() + after, cut);
        let process = Process::start(&broker, disk.mount()).await;
        if std::mem::take(&mut first_life) {
            start_both(&process).await;
        }
        delivered_or_cut(&broker, disk.mount()).await;
        process.kill().await;
        // The machine goes down with the process in half of the lives.
        if after % 2 == 0 {
            disk.crash()
        } else {
            disk.kill()
        }
    }
    broker.cut_at(u64::MAX, Cut::Before);
    let process = Process::start(&broker, disk.mount()).await;
    if first_life {
        start_both(&process).await;
    }
    process.worker.finished("in").await;
    until("all rows are in files", || {
        lines(disk.mount().as_ref(), "/out").len() >= ROWS
    })
    .await;
    // Nothing more comes, and still the group learns what the files hold.
    let committed = async || {
        let offsets = process.worker.offsets("out").await;
        let offsets = offsets.expect("the broker is asked");
        (0..2)
            .filter_map(|queue| offsets.queue("rows", queue))
            .sum::<u64>()
    };
    while committed().await < ROWS as u64 {
        tokio::task::yield_now().await;
    }
    process.stop().await;
    let mut in_topic = broker.bodies("rows");
    in_topic.sort();
    assert_eq!(
        in_topic,
        expected(),
        "in the topic after {cuts:?}, seed {seed}"
    );
    assert_eq!(
        lines(disk.mount().as_ref(), "/out"),
        expected(),
        "in files after {cuts:?}, seed {seed}"
    );
    broker.commits()
}

#[tokio::test]
async fn a_kill_at_every_commit_loses_and_repeats_nothing() {
    let commits = run(&[], 0).await;
    for commit in 0..commits {
        for cut in [Cut::Before, Cut::After] {
            run(&[(commit, cut)], commit).await;
        }
    }
}

#[tokio::test]
async fn kill_after_kill_loses_and_repeats_nothing() {
    for seed in 0..30 {
        let rng = Rng::seeded(seed);
        let cuts: Vec<(u64, Cut)> = (0..4)
            .map(|_| {
                (
                    rng.range(0..8),
                    if rng.chance(0.5) {
                        Cut::Before
                    } else {
                        Cut::After
                    },
                )
            })
            .collect();
        run(&cuts, seed).await;
    }
}
