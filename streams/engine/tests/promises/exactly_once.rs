//! Whatever stops a job, and wherever, every result is published exactly once.
//!
//! A seed decides how rows arrive, where power is cut, which commits tear, and which answers of
//! the broker are lost. What stands in the output afterwards is compared with a plain count.

use dataflow::RowPolicy;
use engine::{Error, Sync};
use runtime::Rng;
use std::time::Duration;

use crate::{
    counts::{arrivals, expected, windowed_counts},
    world::{Fault, QUEUES, Run, World, to},
};

/// One run of the job, until something stops it or everything is read.
async fn live(run: &Run, rng: &Rng) -> Result<(), Error> {
    let mut job = run.open().await?;
    for _ in 0..rng.range(1..12) {
        match rng.range(0..12) {
            0 => run.disk.tear_next_commit(true),
            1 => run.disk.tear_next_commit(false),
            2 => run.broker.world().fault = Some(Fault::LostRequest),
            3 => run.broker.world().fault = Some(Fault::LostAnswer),
            4 => run.broker.world().fault = Some(Fault::Busy),
            5 => run.broker.world().fault = Some(Fault::LostAnswerThenRetry),
            _ => {}
        }
        job.epoch().await?;
        run.clock.advance(Duration::from_millis(1));
    }
    Ok(())
}

async fn crash_until_done(seed: u64) {
    let rng = Rng::seeded(seed);
    let faulty = rng.chance(0.5);
    let sync = if rng.chance(0.5) {
        Sync::EveryEpoch
    } else {
        Sync::Every(Duration::from_millis(rng.range(1..4)))
    };
    let mut dataflow = windowed_counts();
    dataflow.policies.undecodable = RowPolicy::DeadLetter("bad".to_owned());
    dataflow.policies.function = RowPolicy::DeadLetter("bad".to_owned());
    let run = Run::new(dataflow, arrivals(&rng, 120, faulty), &rng, sync);
    while !run.read_to_the_end() {
        // However it ends, the power goes too.
        let _ = live(&run, &rng).await;
        let survivors = rng.range(0..run.disk.unsynced() as u64 + 1);
        run.disk.crash(survivors as usize);
    }
    run.broker.world().fault = None;
    let mut job = run.open().await.expect("nothing goes wrong any more");
    job.drain().await.expect("nothing goes wrong any more");
    let world = run.broker.world();
    assert_eq!(to(&world, "output"), expected(&world), "seed {seed}");
    let bad = world
        .queues
        .iter()
        .flatten()
        .filter(|row| row.is_none_or(|(_, v, _)| v == 0));
    assert_eq!(to(&world, "bad").len(), bad.count(), "seed {seed}");
}

#[tokio::test]
async fn every_result_is_published_once_wherever_the_job_is_stopped() {
    for seed in 0..60 {
        crash_until_done(seed).await;
    }
}

#[tokio::test]
async fn an_epoch_without_news_is_not_committed() {
    let world = World {
        queues: vec![Vec::new(); QUEUES],
        ..World::default()
    };
    let run = Run::new(windowed_counts(), world, &Rng::seeded(1), Sync::EveryEpoch);
    let mut job = run.open().await.expect("the job opens");
    assert!(
        job.epoch().await.expect("it steps"),
        "the first one says where reading starts"
    );
    for _ in 0..3 {
        assert!(!job.epoch().await.expect("it steps"));
    }
    assert_eq!(run.broker.world().epoch, 1);
}
