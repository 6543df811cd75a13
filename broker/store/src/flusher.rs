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

mod waiters;

use std::sync::Arc;
use std::time::Duration;

use runtime::{Clock, Planted, Tasks};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use waiters::{Done, Round, Waiters};

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
    waiters: Arc<Waiters>,
    /// Held while a flush runs.
    flushing: Mutex<()>,
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
            waiters: Arc::default(),
            flushing: Mutex::default(),
        }
    }

    /// Calls `done` once the log is durable up to `end`, or cannot become so.
    pub(crate) fn when_durable(
        self: &Arc<Self>,
        end: u64,
        done: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) {
        let done: Done = if Planted::AckBeforeFlush.is_active() {
            done(Ok(()));
            Box::new(drop)
        } else {
            Box::new(done)
        };
        if let Some(round) = self.waiters.add(end, done) {
            // It ends by itself when nobody waits any more.
            drop(self.tasks.spawn("flushes", self.clone().run(round)));
        }
    }

    /// Flushes until nobody waits.
    async fn run(self: Arc<Self>, mut round: Round) {
        while !round.has_ended() {
            self.gather().await;
            let began = self.clock.now();
            let flusher = self.clone();
            let flush = self.tasks.blocking("flush", move || flusher.flush());
            let Ok(result) = flush.await else { return };
            let took = self.clock.now().since(began);
            let durable = self.publisher.mark.durable();
            round.settle(durable, result.is_err(), took, || self.health.read_only());
        }
    }

    /// Resolves once the log is durable up to `end`.
    pub(crate) async fn durable(self: &Arc<Self>, end: u64) -> Result<(), Error> {
        if self.publisher.mark.durable() >= end {
            // Whoever flushed may not have shown it yet, and what is promised can be read.
            self.publisher.advance();
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
        let last = self.waiters.last_group();
        let began = self.clock.now();
        let (mut waiting, mut quiet) = (0, 0);
        loop {
            let before = std::mem::replace(&mut waiting, self.waiters.count());
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
