//! Every order in which those who wait and flushes can meet, within loom's bounds.
//!
//! A model in which somebody waits for ever fails by itself: loom finds nobody who could go on.

use std::sync::Arc;

use loom::future::block_on;
use loom::thread;
use tokio::sync::oneshot;

use super::*;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::explore;

/// A log, of which a flush makes durable what was appended when it began.
#[derive(Default)]
struct Log {
    appended: AtomicU64,
    durable: AtomicU64,
    waiters: Arc<Waiters>,
}

/// What becomes of a flush.
#[derive(Clone, Copy, PartialEq)]
enum Flush {
    Succeeds,
    Fails,
    /// Its thread or the tasks as a whole are gone.
    IsDropped,
}

impl Log {
    /// Appends a byte and waits for it, flushing for all if need be.
    fn append(self: &Arc<Self>, flush: Flush) -> Result<(), Error> {
        let end = self.appended.fetch_add(1, Ordering::AcqRel) + 1;
        let (done, mut answer) = oneshot::channel();
        let log = self.clone();
        let done = move |result: Result<(), Error>| {
            let durable = log.durable.load(Ordering::Acquire);
            assert!(
                result.is_err() || end <= durable,
                "{end} is promised too early"
            );
            done.send(result).expect("somebody waits");
        };
        if let Some(round) = self.waiters.add(end, Box::new(done)) {
            self.run(round, flush);
        }
        match answer.try_recv() {
            Ok(answer) => answer,
            Err(_) => block_on(answer).expect("everybody is answered"),
        }
    }

    fn run(&self, mut round: Round, flush: Flush) {
        while !round.has_ended() {
            if flush == Flush::IsDropped {
                return;
            }
            let appended = self.appended.load(Ordering::Acquire);
            let failed = flush == Flush::Fails;
            if !failed {
                self.durable.store(appended, Ordering::Release);
            }
            let durable = self.durable.load(Ordering::Acquire);
            round.settle(durable, failed, Duration::ZERO, || {
                failed.then_some(Error::Closed)
            });
        }
    }

    #[track_caller]
    fn check_nobody_is_left(&self) {
        let state = self.waiters.state.lock();
        assert!(!state.running, "a round is under way that nobody runs");
        assert!(state.waiters.is_empty(), "somebody waits for no one");
    }
}

/// Three appends at once, each of which would run flushes of its own kind.
fn appends(flushes: [Flush; 3], check: fn([Result<(), Error>; 3])) {
    explore(move || {
        let log = Arc::new(Log::default());
        let [first, second, third] = flushes;
        let others = [first, second].map(|flush| {
            let log = log.clone();
            thread::spawn(move || log.append(flush))
        });
        let third = log.append(third);
        let [first, second] = others.map(|other| other.join().expect("it comes to its end"));
        check([first, second, third]);
        log.check_nobody_is_left();
    });
}

#[test]
fn everybody_is_answered_once_and_not_before_its_bytes_are_durable() {
    appends([Flush::Succeeds; 3], |answers| {
        assert!(answers.iter().all(Result::is_ok), "no flush failed");
    });
}

#[test]
fn everybody_hears_of_a_round_that_is_dropped() {
    appends([Flush::Succeeds, Flush::Succeeds, Flush::IsDropped], drop);
    appends([Flush::IsDropped; 3], |answers| {
        assert!(answers.iter().all(Result::is_err), "nothing was flushed");
    });
}

#[test]
fn everybody_hears_of_a_flush_that_failed() {
    appends([Flush::Succeeds, Flush::Succeeds, Flush::Fails], drop);
}
