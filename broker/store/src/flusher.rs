//! Makes written bytes durable, many appends with one `fdatasync`.
//!
//! ```text
//!  appends ─► wait ─┬─► gather ─► fdatasync ─► answered together ─┐
//!                   └────────────── once more, while somebody waits ◄┘
//! ```
//! While one flush runs the next group gathers. It also gathers while senders that have just
//! been answered come back: a flush for two of sixty costs the disk as much as one for all. No
//! timer is involved: a flush waits for whoever has something to do on its thread, for no longer
//! than the last one took, and begins at once when nobody has.
//!
//! A flush that failed is never repeated: the kernel may have dropped the pages and say yes the
//! second time.

use std::sync::Arc;
use std::time::Duration;

use runtime::{Clock, Planted, Tasks};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::Error;
use crate::health::Health;
use crate::publisher::Publisher;
use crate::segments::Segments;
use crate::sync::Mutex;

/// Turns of the scheduler that bring nobody new, after which a group is complete that is
/// smaller than the one before.
const QUIET_TURNS: u32 = 8;
/// Longest time a group gathers, however long the disk takes.
const GATHER_AT_MOST: Duration = Duration::from_millis(2);

pub(crate) struct Flusher {
    segments: Arc<Segments>,
    publisher: Arc<Publisher>,
    health: Arc<Health>,
    clock: Clock,
    tasks: Tasks,
    state: Mutex<State>,
    /// Held while a flush runs.
    flushing: Mutex<()>,
}

/// Guards who waits for what.
#[derive(Default)]
struct State {
    waiters: Vec<Waiter>,
    running: bool,
    last: Group,
}

struct Waiter {
    end: u64,
    done: Box<dyn FnOnce(Result<(), Error>) + Send>,
}

/// Those whom one flush was for, and how long it took.
#[derive(Clone, Copy, Default)]
struct Group {
    waiters: usize,
    took: Duration,
}

/// Flushes under way. If they do not come to their end, because the tasks are over or one of
/// them panicked, those who wait hear of it.
struct Round {
    flusher: Arc<Flusher>,
    ended: bool,
}

impl Round {
    /// Flushes until nobody waits.
    async fn run(mut self) {
        while !self.ended {
            self.flusher.gather().await;
            let began = self.flusher.clock.now();
            let flusher = self.flusher.clone();
            let flush = self
                .flusher
                .tasks
                .blocking("flush", move || flusher.flush());
            let Ok(result) = flush.await else { return };
            let took = self.flusher.clock.now().since(began);
            self.ended = self.flusher.settle(&result, took);
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let waiters = {
            let mut state = self.flusher.state.lock();
            state.running = false;
            std::mem::take(&mut state.waiters)
        };
        for waiter in waiters {
            (waiter.done)(Err(Error::Closed));
        }
    }
}

impl Flusher {
    pub(crate) fn new(
        segments: Arc<Segments>,
        publisher: Arc<Publisher>,
        health: Arc<Health>,
        clock: Clock,
        tasks: Tasks,
    ) -> Self {
        Self {
            segments,
            publisher,
            health,
            clock,
            tasks,
            state: Mutex::default(),
            flushing: Mutex::default(),
        }
    }

    /// Calls `done` once the log is durable up to `end`, or cannot become so.
    pub(crate) fn when_durable(
        self: &Arc<Self>,
        end: u64,
        done: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) {
        let done: Box<dyn FnOnce(Result<(), Error>) + Send> = if Planted::AckBeforeFlush.is_active()
        {
            done(Ok(()));
            Box::new(drop)
        } else {
            Box::new(done)
        };
        let start = {
            let mut state = self.state.lock();
            state.waiters.push(Waiter { end, done });
            !std::mem::replace(&mut state.running, true)
        };
        if start {
            let round = Round {
                flusher: self.clone(),
                ended: false,
            };
            // It ends by itself when nobody waits any more.
            drop(self.tasks.spawn("flushes", round.run()));
        }
    }

    /// Resolves once the log is durable up to `end`.
    pub(crate) async fn durable(self: &Arc<Self>, end: u64) -> Result<(), Error> {
        if self.publisher.mark.durable() >= end {
            return Ok(());
        }
        let (done, durable) = oneshot::channel();
        self.when_durable(end, |result| {
            // Whoever asked may have gone.
            let _ = done.send(result);
        });
        durable.await.map_err(|_| Error::Closed)?
    }

    /// Resolves when the next group is complete.
    async fn gather(&self) {
        let last = self.state.lock().last;
        let began = self.clock.now();
        let (mut waiting, mut quiet) = (0, 0);
        loop {
            let before = std::mem::replace(&mut waiting, self.state.lock().waiters.len());
            quiet = if waiting > before { 0 } else { quiet + 1 };
            let turns = if waiting < last.waiters {
                QUIET_TURNS
            } else {
                1
            };
            let waited = self.clock.now().since(began);
            if quiet >= turns || waited > last.took.min(GATHER_AT_MOST) {
                return;
            }
            yield_now().await;
        }
    }

    /// Answers those whose bytes are durable now, or cannot become so; true if nobody is left.
    fn settle(&self, result: &Result<(), Error>, took: Duration) -> bool {
        let durable = self.publisher.mark.durable();
        let (done, over) = {
            let mut state = self.state.lock();
            let all = std::mem::take(&mut state.waiters);
            let (done, rest): (Vec<_>, Vec<_>) = all
                .into_iter()
                .partition(|waiter| result.is_err() || waiter.end <= durable);
            state.running = !rest.is_empty();
            state.waiters = rest;
            state.last = Group {
                waiters: done.len(),
                took,
            };
            (done, !state.running)
        };
        for waiter in done {
            let failed = if waiter.end > durable {
                self.health.read_only()
            } else {
                None
            };
            (waiter.done)(failed.map_or(Ok(()), Err));
        }
        over
    }

    /// Makes all that is written now durable. Waits for the disk.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let _flushing = self.flushing.lock();
        if let Some(error) = self.health.unflushable() {
            return Err(error);
        }
        let mark = &self.publisher.mark;
        let (durable, appended) = (mark.durable(), mark.appended());
        if durable < appended {
            let segments = self.segments.all();
            let dirty = segments
                .iter()
                .filter(|segment| segment.start < appended && segment.end() > durable);
            for segment in dirty {
                let mut flushed = segment.file.fdatasync();
                if flushed.is_err() && Planted::RetryFlush.is_active() {
                    flushed = segment.file.fdatasync();
                }
                if let Err(source) = flushed {
                    self.health
                        .break_flushing(format!("flushing {:?} failed: {source}", segment.path));
                    return Err(Error::Disk {
                        doing: "flushing the log",
                        source,
                    });
                }
            }
            mark.set_durable(appended);
        }
        self.publisher.advance();
        Ok(())
    }
}
