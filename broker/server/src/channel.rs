//! One client's connection as the rest of the server sees it: somebody who can be asked things.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use protocol::Frame;
use runtime::Clock;
use tokio::sync::{mpsc, oneshot};

/// Requests to one client that are not written yet; further ones are dropped.
const OUTBOX: usize = 1_024;

/// Handle to a connection. Cheap to clone; two clones are the same channel.
#[derive(Clone)]
pub struct Channel {
    inner: Arc<Inner>,
}

struct Inner {
    number: u64,
    peer: SocketAddr,
    /// Boxed: a queue has room for many from its first day on, and most never hold one.
    outbox: mpsc::Sender<Box<Frame>>,
    next_opaque: AtomicI32,
    /// Guards a plain map of the requests a client has not answered.
    asked: Mutex<BTreeMap<i32, oneshot::Sender<Frame>>>,
}

/// Why a client gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("the connection is closed or its output is full")]
    Gone,
    #[error("the client did not answer in time")]
    TimedOut,
}

impl Channel {
    pub fn new(number: u64, peer: SocketAddr) -> (Channel, mpsc::Receiver<Box<Frame>>) {
        let (outbox, frames) = mpsc::channel(OUTBOX);
        let inner = Inner {
            number,
            peer,
            outbox,
            next_opaque: AtomicI32::new(1),
            asked: Mutex::default(),
        };
        (
            Channel {
                inner: Arc::new(inner),
            },
            frames,
        )
    }

    /// Unique among all connections of this process.
    pub fn number(&self) -> u64 {
        self.inner.number
    }

    pub fn peer(&self) -> SocketAddr {
        self.inner.peer
    }

    /// Tells the client something; nobody waits for an answer, and a client that does not read
    /// misses it.
    pub fn tell(&self, mut frame: Frame) {
        frame.header.opaque = self.inner.next_opaque.fetch_add(1, Ordering::Relaxed);
        if self
            .inner
            .outbox
            .try_send(Box::new(frame.oneway()))
            .is_err()
        {
            tracing::debug!(peer = %self.peer(), "a notice to a client was dropped");
        }
    }

    /// Asks the client and waits for its answer.
    pub async fn ask(
        &self,
        mut frame: Frame,
        clock: &Clock,
        limit: Duration,
    ) -> Result<Frame, NoAnswer> {
        let opaque = self.inner.next_opaque.fetch_add(1, Ordering::Relaxed);
        frame.header.opaque = opaque;
        let (answer, answered) = oneshot::channel();
        self.inner.asked.lock().insert(opaque, answer);
        let outcome = if self.inner.outbox.try_send(Box::new(frame)).is_err() {
            Err(NoAnswer::Gone)
        } else {
            match clock.timeout(limit, answered).await {
                Ok(answer) => answer.map_err(|_| NoAnswer::Gone),
                Err(_) => Err(NoAnswer::TimedOut),
            }
        };
        self.inner.asked.lock().remove(&opaque);
        outcome
    }

    /// Hands a client's answer to whoever asked; an answer nobody waits for is dropped.
    pub fn answered(&self, frame: Frame) {
        if let Some(answer) = self.inner.asked.lock().remove(&frame.header.opaque) {
            answer.send(frame).ok();
        }
    }
}

impl PartialEq for Channel {
    fn eq(&self, other: &Channel) -> bool {
        self.inner.number == other.inner.number
    }
}
