//! A job stops when it is asked to, and what it was asked holds.

use engine::{Ended, Error, Job, Stop, Sync};
use runtime::Rng;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    counts::{arrivals, expected, windowed_counts},
    world::{Run, to},
};

fn run() -> Run {
    let rng = Rng::seeded(1);
    Run::new(
        windowed_counts(),
        arrivals(&rng, 20, false),
        &rng,
        Sync::EveryEpoch,
    )
}

fn start(job: Job) -> (watch::Sender<Stop>, JoinHandle<Result<Ended, Error>>) {
    let (stop, asked) = watch::channel(Stop::No);
    (stop, tokio::spawn(job.run(asked)))
}

/// Returns once the job waits for its broker to come back.
async fn waits(run: &Run) {
    while run.clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_job_whose_broker_is_away_stops_and_publishes_when_it_starts_again() {
    let mut run = run();
    run.settings.publish_retry = std::time::Duration::from_secs(3600);
    run.broker.world().away = true;
    let (stop, running) = start(run.open().await.expect("the job opens"));
    waits(&run).await;
    stop.send_replace(Stop::Now);
    let ended = running.await.expect("it does not panic");
    assert_eq!(ended.expect("it stops"), Ended::Stopped);
    assert!(run.broker.world().output.is_empty());

    run.broker.world().away = false;
    let mut job = run.open().await.expect("the job opens");
    run.read(&mut job).await.expect("the broker is back");
    job.drain().await.expect("the broker is back");
    let world = run.broker.world();
    assert_eq!(to(&world, "output"), expected(&world));
}

#[tokio::test]
async fn a_drained_job_says_that_it_is_when_it_is_started_again() {
    let run = run();
    let mut job = run.open().await.expect("the job opens");
    run.read(&mut job).await.expect("it steps");
    let (stop, running) = start(job);
    stop.send_replace(Stop::Drain);
    let ended = running.await.expect("it does not panic");
    assert_eq!(ended.expect("it drains"), Ended::Drained);
    let (_stop, again) = start(run.open().await.expect("the job opens"));
    let error = again.await.expect("it does not panic");
    assert!(matches!(error, Err(Error::Drained)), "{error:?}");
    let world = run.broker.world();
    assert_eq!(to(&world, "output"), expected(&world));
}

#[tokio::test]
async fn a_drain_that_was_never_published_is_no_drain_yet() {
    let mut run = run();
    run.settings.publish_retry = std::time::Duration::from_secs(3600);
    let mut job = run.open().await.expect("the job opens");
    run.read(&mut job).await.expect("it steps");
    run.broker.world().away = true;
    let (stop, running) = start(job);
    stop.send_replace(Stop::Drain);
    waits(&run).await;
    stop.send_replace(Stop::Now);
    let ended = running.await.expect("it does not panic");
    assert_eq!(ended.expect("it stops"), Ended::Stopped);

    run.broker.world().away = false;
    let (_stop, again) = start(run.open().await.expect("the job opens"));
    let error = again.await.expect("it does not panic");
    assert!(matches!(error, Err(Error::Drained)), "{error:?}");
    let world = run.broker.world();
    assert_eq!(to(&world, "output"), expected(&world));
}
