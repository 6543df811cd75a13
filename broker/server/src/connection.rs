//! Serves one connection: reads what arrives, answers what can be answered, writes once.
//!
//! ```text
//! read ─► frames ─► polled once ─► answered ──────────────► one write
//!                        └─► still waiting (disk, message) ─► later ─┘
//! ```
//! A request runs to completion on the connection's own task. What has to wait is kept beside
//! and polled with the next read, so a held pull never holds up a send behind it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use futures::stream::{FuturesUnordered, StreamExt};
use protocol::{Caller, Frame, Reply};
use runtime::{Clock, Shutdown, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::channel::Channel;

/// What stands behind a listener.
pub trait Door: Send + Sync + 'static {
    /// Answers one request. Dropped unfinished when the connection closes.
    fn answer(self: Arc<Self>, channel: Channel, request: Frame) -> Answer;
    /// The client is gone.
    fn closed(&self, channel: &Channel);
}

/// An answer under way.
pub type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// A connection without a byte in either direction for so long is closed.
const IDLE: Duration = Duration::from_secs(120);
/// Requests of one connection that may be under way before it is no longer read.
const IN_FLIGHT: usize = 65_536;
/// Bytes of requests under way before the connection is no longer read.
const BYTES_IN_FLIGHT: usize = 64 << 20;
/// How much is read at once.
const READ: usize = 64 << 10;
/// Replies are written when so many bytes are gathered, even if more could be.
const WRITE: usize = 256 << 10;

type Waiting = FuturesUnordered<Pin<Box<dyn Future<Output = (Caller, usize, Reply)> + Send>>>;

/// Serves until the client leaves, breaks the protocol, falls silent, or the server stops.
pub async fn serve(
    stream: Stream,
    channel: Channel,
    outbox: tokio::sync::mpsc::Receiver<Frame>,
    door: Arc<dyn Door>,
    clock: Clock,
    shutdown: Shutdown,
) {
    let mut connection = Connection {
        channel: channel.clone(),
        door: door.clone(),
        waiting: FuturesUnordered::new(),
        bytes_in_flight: 0,
        output: BytesMut::new(),
    };
    if let Err(why) = connection.run(stream, outbox, clock, shutdown).await {
        tracing::debug!(peer = %channel.peer(), %why, "a connection ended");
    }
    door.closed(&channel);
}

struct Connection {
    channel: Channel,
    door: Arc<dyn Door>,
    waiting: Waiting,
    bytes_in_flight: usize,
    output: BytesMut,
}

/// Why a connection ended, other than by its client leaving.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Socket(#[from] std::io::Error),
    #[error("{0}")]
    Protocol(#[from] protocol::Error),
    #[error("nothing was read or written for {} s", IDLE.as_secs())]
    Idle,
}

impl Connection {
    async fn run(
        &mut self,
        stream: Stream,
        mut outbox: tokio::sync::mpsc::Receiver<Frame>,
        clock: Clock,
        shutdown: Shutdown,
    ) -> Result<(), Ended> {
        let (mut reader, mut writer) = stream.into_split();
        let mut input = BytesMut::with_capacity(READ);
        let mut active = clock.now();
        loop {
            while self.has_room() {
                let Some(frame) = Frame::decode(&mut input)? else {
                    break;
                };
                self.take(frame).await;
            }
            if !self.output.is_empty() {
                writer.write_all(&self.output).await?;
                self.output.clear();
                active = clock.now();
            }
            input.reserve(READ);
            tokio::select! {
                read = reader.read_buf(&mut input), if self.has_room() => {
                    if read? == 0 {
                        return Ok(());
                    }
                    active = clock.now();
                }
                Some(done) = self.waiting.next(), if !self.waiting.is_empty() => self.finish(done).await,
                Some(frame) = outbox.recv() => {
                    frame.encode(&mut self.output);
                    while let Ok(frame) = outbox.try_recv() {
                        frame.encode(&mut self.output);
                    }
                }
                () = clock.sleep_until(active + IDLE) => {
                    if self.waiting.is_empty() {
                        return Err(Ended::Idle);
                    }
                    active = clock.now();
                }
                () = shutdown.requested() => return Ok(()),
            }
        }
    }

    fn has_room(&self) -> bool {
        self.waiting.len() < IN_FLIGHT && self.bytes_in_flight < BYTES_IN_FLIGHT
    }

    /// Starts one request; most are answered before this returns.
    async fn take(&mut self, frame: Frame) {
        if frame.header.flag.is_response() {
            self.channel.answered(frame);
            return;
        }
        let caller = Caller::of(&frame);
        let bytes = frame.body.len();
        let mut answer = self.door.clone().answer(self.channel.clone(), frame);
        match futures::poll!(answer.as_mut()) {
            Poll::Ready(reply) => self.write(&caller, &reply),
            Poll::Pending => {
                self.bytes_in_flight += bytes;
                self.waiting
                    .push(Box::pin(async move { (caller, bytes, answer.await) }));
            }
        }
    }

    /// Writes a late answer, and those that are ready beside it.
    async fn finish(&mut self, done: (Caller, usize, Reply)) {
        let mut next = Some(done);
        while let Some((caller, bytes, reply)) = next {
            self.bytes_in_flight -= bytes;
            self.write(&caller, &reply);
            next = match self.output.len() < WRITE {
                true => match futures::poll!(self.waiting.next()) {
                    Poll::Ready(done) => done,
                    Poll::Pending => None,
                },
                false => None,
            };
        }
    }

    fn write(&mut self, caller: &Caller, reply: &Reply) {
        if caller.waits() {
            reply.encode(caller, &mut self.output);
        }
    }
}
