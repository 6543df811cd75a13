//! Tasks are named, stop together, and do not panic in silence.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use runtime::{Clock, Panic, Report, Rng, SimClock, TaskError, Tasks};
use tokio::sync::oneshot;

const LONG: Duration = Duration::from_secs(3600);

fn panic(task: &str, message: &str) -> Panic {
    Panic {
        task: task.to_owned(),
        message: message.to_owned(),
    }
}

#[tokio::test]
async fn every_kind_of_work_gives_its_output() {
    let tasks = Tasks::new(Clock::real());
    assert_eq!(tasks.spawn("future", async { 1 }).await, Ok(1));
    assert_eq!(tasks.blocking("job", || 2).await, Ok(2));
    let (done, result) = oneshot::channel();
    tasks.thread("thread", |_| done.send(3).unwrap()).unwrap();
    assert_eq!(result.await, Ok(3));
    assert_eq!(tasks.stop(LONG).await, Report::default());
}

#[tokio::test]
async fn a_task_runs_on_when_its_handle_is_dropped() {
    let tasks = Tasks::new(Clock::real());
    let (done, result) = oneshot::channel();
    drop(tasks.spawn("left alone", async move { done.send(()).unwrap() }));
    assert_eq!(result.await, Ok(()));
}

#[tokio::test]
async fn running_tasks_are_known_by_name() {
    let tasks = Tasks::new(Clock::real());
    let one = tasks.spawn("one", pending::<()>());
    let _two = tasks.spawn(format!("connection {}", 2), pending::<()>());
    assert_eq!(tasks.running(), ["one", "connection 2"]);
    one.abort();
    assert_eq!(
        one.await,
        Err(TaskError::Stopped {
            task: "one".to_owned()
        })
    );
    assert_eq!(tasks.running(), ["connection 2"]);
}

#[tokio::test]
async fn a_guard_takes_its_task_along() {
    struct Told(Option<oneshot::Sender<()>>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }
    let tasks = Tasks::new(Clock::real());
    let (told, dropped) = oneshot::channel();
    let guard = Told(Some(told));
    let task = tasks.spawn("guarded", async move {
        let _held = guard;
        pending::<()>().await;
    });
    drop(task.abort_on_drop());
    assert_eq!(dropped.await, Ok(()));
}

#[tokio::test]
async fn a_panic_reaches_whoever_waits_and_whoever_watches() {
    let tasks = Tasks::new(Clock::real());
    let seen: Arc<Mutex<Vec<Panic>>> = Arc::default();
    let sink = seen.clone();
    tasks.on_panic(move |panic| sink.lock().unwrap().push(panic.clone()));
    let text = "the number was 7";
    let future = tasks.spawn("future", async { panic!("the number was {}", 7) });
    let failed: Result<(), _> = future.await;
    assert_eq!(
        failed,
        Err(TaskError::Panicked {
            task: "future".to_owned(),
            message: text.to_owned()
        })
    );
    let failed: Result<(), _> = tasks.blocking("job", || panic!("no good")).await;
    assert_eq!(
        failed.unwrap_err().to_string(),
        "task job panicked: no good"
    );
    tasks
        .thread("thread", |_| std::panic::panic_any(5))
        .unwrap();
    let report = tasks.stop(LONG).await;
    let expected = [
        panic("future", text),
        panic("job", "no good"),
        panic("thread", "(no message)"),
    ];
    assert_eq!(
        report,
        Report {
            unfinished: vec![],
            panics: expected.to_vec()
        }
    );
    assert_eq!(*seen.lock().unwrap(), expected);
    assert!(!report.is_clean());
}

#[tokio::test]
async fn a_stop_lets_tasks_finish_what_they_do() {
    let tasks = Tasks::new(Clock::real());
    let finished = Arc::new(AtomicBool::new(false));
    let (shutdown, flag, inner) = (tasks.shutdown(), finished.clone(), tasks.clone());
    assert!(!shutdown.is_requested());
    drop(tasks.spawn("careful", async move {
        shutdown.requested().await;
        // Even with help from a new task.
        flag.store(
            inner.blocking("last words", || true).await.unwrap(),
            Ordering::SeqCst,
        );
    }));
    let report = tasks.stop(LONG).await;
    assert!(
        report.is_clean() && finished.load(Ordering::SeqCst),
        "{report:?}"
    );
    assert!(tasks.shutdown().is_requested());
    tasks.shutdown().requested().await;
}

#[tokio::test]
async fn threads_wait_for_the_shutdown_without_a_runtime() {
    for sim in [None, Some(SimClock::new(0))] {
        let tasks = Tasks::new(sim.as_ref().map_or_else(Clock::real, SimClock::clock));
        let (seen, order) = mpsc::channel();
        let (waits, limited) = (seen.clone(), seen);
        tasks
            .thread("waits", move |shutdown| {
                shutdown.wait();
                waits.send(shutdown.is_requested()).unwrap();
            })
            .unwrap();
        tasks
            .thread("limited", move |shutdown| {
                limited.send(shutdown.wait_for(LONG)).unwrap()
            })
            .unwrap();
        assert!(!tasks.shutdown().wait_for(Duration::ZERO));
        assert!(order.try_recv().is_err());
        assert!(tasks.stop(LONG).await.is_clean());
        assert_eq!(order.try_iter().collect::<Vec<_>>(), [true, true]);
    }
}

#[tokio::test]
async fn a_limited_wait_ends_by_the_simulated_clock() {
    let sim = SimClock::new(0);
    let tasks = Tasks::new(sim.clock());
    let (done, result) = oneshot::channel();
    tasks
        .thread("limited", move |shutdown| {
            done.send(shutdown.wait_for(LONG)).unwrap()
        })
        .unwrap();
    while sim.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    sim.advance(LONG);
    assert_eq!(result.await, Ok(false));
}

#[tokio::test]
async fn who_does_not_end_in_time_is_named_and_futures_are_dropped() {
    let sim = SimClock::new(0);
    let tasks = Tasks::new(sim.clock());
    let stubborn = tasks.spawn("stubborn", pending::<()>());
    let (release, released) = mpsc::channel::<()>();
    tasks.thread("stuck", move |_| _ = released.recv()).unwrap();
    let (report, ()) = tokio::join!(tasks.stop(LONG), sim.run(LONG));
    assert_eq!(report.unfinished, ["stubborn", "stuck"]);
    assert_eq!(
        stubborn.await,
        Err(TaskError::Stopped {
            task: "stubborn".to_owned()
        })
    );
    assert_eq!(tasks.running(), ["stuck"]);
    drop(release);
    assert!(tasks.stop(LONG).await.is_clean());
    let late = tasks.spawn("late", async {}).await;
    assert_eq!(
        late,
        Err(TaskError::Stopped {
            task: "late".to_owned()
        }),
        "nothing starts after a stop"
    );
}

#[tokio::test]
async fn simulated_tasks_run_in_an_order_that_the_seed_decides() {
    async fn order(seed: u64) -> Vec<u32> {
        let tasks = Tasks::simulated(SimClock::new(0).clock(), Rng::seeded(seed));
        let seen: Arc<Mutex<Vec<u32>>> = Arc::default();
        for number in 0..8 {
            let sink = seen.clone();
            if number % 2 == 0 {
                drop(tasks.spawn("future", async move { sink.lock().unwrap().push(number) }));
            } else {
                drop(tasks.blocking("job", move || sink.lock().unwrap().push(number)));
            }
        }
        tasks.shutdown().request();
        while !tasks.running().is_empty() {
            tokio::task::yield_now().await;
        }
        seen.lock().unwrap().clone()
    }
    assert_eq!(order(1).await, order(1).await);
    let mut all = order(1).await;
    assert_ne!(all, order(2).await);
    all.sort();
    assert_eq!(all, (0..8).collect::<Vec<_>>());
}
