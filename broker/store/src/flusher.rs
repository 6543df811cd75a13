//! Makes written bytes durable, many appends with one `fdatasync`.
//!
//! While one flush runs the next group gathers; no timer is involved. A flush that failed is
//! never repeated: the kernel may have dropped the pages and say yes the second time.

use std::sync::Arc;

use parking_lot::Mutex;
use runtime::{Planted, Tasks};
use tokio::sync::oneshot;

use crate::Error;
use crate::health::Health;
use crate::publisher::Publisher;
use crate::segments::Segments;

pub(crate) struct Flusher {
    segments: Arc<Segments>,
    publisher: Arc<Publisher>,
    health: Arc<Health>,
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
}

struct Waiter {
    end: u64,
    done: Box<dyn FnOnce(Result<(), Error>) + Send>,
}

/// A flush on its way to a thread. If it never runs, because the tasks are over, or does not
/// come to its end, those who wait hear of it.
struct Job {
    flusher: Arc<Flusher>,
    run: bool,
}

impl Job {
    fn run(mut self) {
        self.flusher.run();
        self.run = true;
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.run {
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
        tasks: Tasks,
    ) -> Self {
        Self {
            segments,
            publisher,
            health,
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
            let job = Job {
                flusher: self.clone(),
                run: false,
            };
            // The job ends by itself when nobody waits any more.
            drop(self.tasks.blocking("flush", move || job.run()));
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

    /// Flushes until nobody waits.
    fn run(&self) {
        loop {
            let result = self.flush();
            let durable = self.publisher.mark.durable();
            let (done, again) = {
                let mut state = self.state.lock();
                let all = std::mem::take(&mut state.waiters);
                let (done, rest): (Vec<_>, Vec<_>) = all
                    .into_iter()
                    .partition(|waiter| result.is_err() || waiter.end <= durable);
                state.running = !rest.is_empty();
                state.waiters = rest;
                (done, state.running)
            };
            for waiter in done {
                let failed = if waiter.end > durable {
                    self.health.read_only()
                } else {
                    None
                };
                (waiter.done)(failed.map_or(Ok(()), Err));
            }
            if !again {
                return;
            }
        }
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
