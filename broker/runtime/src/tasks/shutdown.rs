//! The signal that everything should end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Signal;
use crate::Clock;

/// Tells whether the end was requested, and waits for it. Cheap to clone.
#[derive(Clone)]
pub struct Shutdown {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    requested: Signal,
    /// The same fact once more, for threads that wait without a runtime.
    flag: Mutex<bool>,
    raised: Condvar,
}

impl Shutdown {
    pub(super) fn new(clock: Clock) -> Shutdown {
        let shared = Shared {
            clock,
            requested: Signal::default(),
            flag: Mutex::new(false),
            raised: Condvar::new(),
        };
        Shutdown {
            shared: Arc::new(shared),
        }
    }

    /// Asks everything to end, without waiting for it.
    pub fn request(&self) {
        // First: a thread that the flag wakes finds it requested.
        self.shared.requested.raise();
        *self.shared.flag.lock() = true;
        self.shared.raised.notify_all();
    }

    pub fn is_requested(&self) -> bool {
        self.shared.requested.is_raised()
    }

    /// Resolves once the end is requested.
    pub async fn requested(&self) {
        self.shared.requested.raised().await;
    }

    /// Blocks the thread until the end is requested.
    pub fn wait(&self) {
        let mut flag = self.shared.flag.lock();
        while !*flag {
            self.shared.raised.wait(&mut flag);
        }
    }

    /// Blocks the thread until the end is requested or `limit` has passed by the clock of the
    /// tasks; returns whether it was requested.
    pub fn wait_for(&self, limit: Duration) -> bool {
        if self.shared.clock.is_real() {
            let mut flag = self.shared.flag.lock();
            self.shared
                .raised
                .wait_while_for(&mut flag, |flag| !*flag, limit);
            *flag
        } else {
            block_on(self.shared.clock.timeout(limit, self.requested())).is_ok()
        }
    }
}

/// Polls a future on this thread, which needs no runtime for it.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark {
        thread: thread::current(),
    }));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark {
    thread: Thread,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.thread.unpark();
    }
}
