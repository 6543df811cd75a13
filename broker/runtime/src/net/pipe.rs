//! One direction of a connection inside this process: a bounded buffer between two tasks.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::ReadBuf;
use tokio::task::coop;

use crate::{Clock, Moment, Rng};

/// Bytes on their way before the writer has to wait.
const CAPACITY: usize = 64 * 1024;

/// How long bytes travel: drawn anew for each write, and never past an earlier one.
#[derive(Clone)]
pub(super) struct Latency {
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    /// In microseconds.
    pub(super) range: Range<u64>,
}

/// The buffer. One side writes, the other reads.
#[derive(Clone)]
pub(super) struct Pipe {
    state: Arc<Mutex<State>>,
}

/// Guarded by one lock, never held while a waker runs.
#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    /// The writer will send no more.
    ended: bool,
    /// The reader is gone.
    abandoned: bool,
    /// The connection broke: both sides see a reset, what was on its way is lost.
    cut: bool,
    /// Nothing arrives until this is lifted.
    held: bool,
    latency: Option<Latency>,
    /// With latency: when each part of `bytes` arrives, and how many bytes it has.
    on_their_way: VecDeque<(Moment, usize)>,
    /// Wakes the reader for the first part that has not arrived yet.
    arrival: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    pub(super) fn new(latency: Option<Latency>) -> Pipe {
        let state = State {
            latency,
            ..State::default()
        };
        Pipe {
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(super) fn poll_read(
        &self,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // As a socket does: a task that finds bytes every time still lets others run.
        let turn = ready!(coop::poll_proceed(context));
        let mut state = self.state.lock();
        if state.cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let arrived = state.arrived(context);
        if arrived == 0 {
            if state.bytes.is_empty() && state.ended && !state.held {
                return Poll::Ready(Ok(()));
            }
            let earlier = state.reader.replace(context.waker().clone());
            drop(state);
            drop(earlier);
            return Poll::Pending;
        }
        let taken = arrived.min(into.remaining());
        let (front, back) = state.bytes.as_slices();
        let from_front = taken.min(front.len());
        into.put_slice(&front[..from_front]);
        into.put_slice(&back[..taken - from_front]);
        state.bytes.drain(..taken);
        state.leave_the_way(taken);
        let writer = state.writer.take();
        drop(state);
        wake(writer);
        turn.made_progress();
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_write(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let turn = ready!(coop::poll_proceed(context));
        let mut state = self.state.lock();
        if state.cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if state.abandoned || state.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut room = CAPACITY - state.bytes.len();
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        if room == 0 && offered > 0 {
            let earlier = state.writer.replace(context.waker().clone());
            drop(state);
            drop(earlier);
            return Poll::Pending;
        }
        let taken = offered.min(room);
        for slice in slices {
            let part = slice.len().min(room);
            state.bytes.extend(&slice[..part]);
            room -= part;
        }
        state.set_off(taken);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        turn.made_progress();
        Poll::Ready(Ok(taken))
    }

    /// The writer is done: the reader gets what is on its way, then the end.
    pub(super) fn end(&self) {
        self.change(|state| state.ended = true);
    }

    /// The reader is gone: the writer gets a broken pipe.
    pub(super) fn abandon(&self) {
        self.change(|state| state.abandoned = true);
    }

    pub(super) fn cut(&self) {
        self.change(|state| {
            state.cut = true;
            state.bytes.clear();
            state.on_their_way.clear();
        });
    }

    /// Keeps everything on its way, the end too, until this is called with `false`.
    pub(super) fn hold(&self, held: bool) {
        self.change(|state| state.held = held);
    }

    pub(super) fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.cut || (state.ended && state.abandoned)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let (reader, writer) = {
            let mut state = self.state.lock();
            change(&mut state);
            (state.reader.take(), state.writer.take())
        };
        wake(reader);
        wake(writer);
    }
}

impl State {
    /// How many bytes the reader may have now; if none, it is woken when some arrive.
    fn arrived(&mut self, context: &mut Context<'_>) -> usize {
        if self.held {
            return 0;
        }
        let Some(latency) = &self.latency else {
            return self.bytes.len();
        };
        let now = latency.clock.now();
        let arrived = |(due, bytes): &(Moment, usize)| (*due <= now).then_some(*bytes);
        let bytes = self.on_their_way.iter().map_while(arrived).sum();
        self.arrival = None;
        if bytes == 0
            && let Some((due, _)) = self.on_their_way.front()
        {
            let mut arrival: Pin<Box<dyn Future<Output = ()> + Send>> =
                Box::pin(latency.clock.sleep_until(*due));
            // It lies ahead; polled once, it knows whom to wake.
            let _ = arrival.as_mut().poll(context);
            self.arrival = Some(arrival);
        }
        bytes
    }

    /// Bytes just written begin their way.
    fn set_off(&mut self, bytes: usize) {
        let Some(latency) = self.latency.as_ref().filter(|_| bytes > 0) else {
            return;
        };
        let way = Duration::from_micros(latency.rng.range(latency.range.clone()));
        let last = self.on_their_way.back().map(|(due, _)| *due);
        let due = latency.clock.now() + way;
        self.on_their_way
            .push_back((last.map_or(due, |last| last.max(due)), bytes));
    }

    /// The reader took bytes that had arrived.
    fn leave_the_way(&mut self, mut bytes: usize) {
        while bytes > 0
            && let Some((_, part)) = self.on_their_way.front_mut()
        {
            let taken = bytes.min(*part);
            *part -= taken;
            bytes -= taken;
            if *part == 0 {
                self.on_their_way.pop_front();
            }
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
