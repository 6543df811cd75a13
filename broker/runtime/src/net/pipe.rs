//! One direction of a connection inside this process: a bounded buffer between two tasks.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use tokio::io::ReadBuf;
use tokio::task::coop;

/// Bytes on their way before the writer has to wait.
const CAPACITY: usize = 64 * 1024;

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
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    pub(super) fn new() -> Pipe {
        Pipe {
            state: Arc::default(),
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
        if state.bytes.is_empty() {
            if state.ended {
                return Poll::Ready(Ok(()));
            }
            let earlier = state.reader.replace(context.waker().clone());
            drop(state);
            drop(earlier);
            return Poll::Pending;
        }
        let taken = state.bytes.len().min(into.remaining());
        let (front, back) = state.bytes.as_slices();
        let from_front = taken.min(front.len());
        into.put_slice(&front[..from_front]);
        into.put_slice(&back[..taken - from_front]);
        state.bytes.drain(..taken);
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
        });
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

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
