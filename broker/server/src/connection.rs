//! Serves one connection: reads what arrives, answers what can be answered, writes once.
//!
//! ```text
//! read ─► frames ─► polled once ─► answered ──────────────► one write
//!                        └─► still waiting (disk, message) ─► later ─┘
//! ```
//! A request runs to completion on the connection's own task. What has to wait is kept beside
//! and polled with the next read, so a held pull never holds up a send behind it.

use std::future::Future;
use std::pin::{Pin, pin};
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
    /// Whether requests like this one are gathered when several arrive at once.
    fn gathers(&self, _request: &Frame) -> bool {
        false
    }
    /// Answers gathered requests, each as if it had come alone.
    fn answer_all(self: Arc<Self>, channel: Channel, requests: Vec<Frame>) -> Answers {
        Box::pin(async move {
            let mut replies = BytesMut::new();
            for request in requests {
                let caller = Caller::of(&request);
                let reply = self.clone().answer(channel.clone(), request).await;
                reply.encode_for(&caller, &mut replies);
            }
            replies
        })
    }
    /// The client is gone.
    fn closed(&self, channel: &Channel);
}

/// An answer under way.
pub type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Answers to gathered requests under way: in the end, the frames of their replies, for those
/// who wait for one.
pub type Answers = Pin<Box<dyn Future<Output = BytesMut> + Send>>;

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

type Waiting = FuturesUnordered<Pin<Box<dyn Future<Output = Late> + Send>>>;

/// Answers that did not come at once.
struct Late {
    answered: Answered,
    /// Bytes of the requests.
    bytes: usize,
}

enum Answered {
    One(Caller, Reply),
    Gathered(BytesMut),
}

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
        gathered: Vec::new(),
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
    /// Requests that arrived at once and are not started yet; empty between two reads.
    gathered: Vec<Frame>,
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
        let mut end = pin!(shutdown.requested());
        loop {
            while self.has_room() {
                let Some(frame) = Frame::decode(&mut input)? else {
                    break;
                };
                if let Some(alone) = self.gather(frame) {
                    // What came first is started first.
                    self.take_gathered().await;
                    self.take_alone(alone).await;
                }
            }
            self.take_gathered().await;
            if !self.output.is_empty() {
                writer.write_all(&self.output).await?;
                self.output.clear();
                active = clock.now();
            }
            input.reserve(READ);
            tokio::select! {
                // A reply never waits behind one more request.
                biased;
                () = &mut end => return Ok(()),
                Some(done) = self.waiting.next(), if !self.waiting.is_empty() => self.finish(done).await,
                Some(frame) = outbox.recv() => {
                    frame.encode(&mut self.output);
                    while let Ok(frame) = outbox.try_recv() {
                        frame.encode(&mut self.output);
                    }
                }
                read = reader.read_buf(&mut input), if self.has_room() => {
                    if read? == 0 {
                        return Ok(());
                    }
                    active = clock.now();
                }
                () = clock.sleep_until(active + IDLE) => {
                    if self.waiting.is_empty() {
                        return Err(Ended::Idle);
                    }
                    active = clock.now();
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        self.waiting.len() < IN_FLIGHT && self.bytes_in_flight < BYTES_IN_FLIGHT
    }

    /// Keeps a request that may go with others; gives back one that has to go alone.
    fn gather(&mut self, frame: Frame) -> Option<Frame> {
        if frame.header.flag.is_response() {
            self.channel.answered(frame);
            return None;
        }
        if self.door.gathers(&frame) {
            self.gathered.push(frame);
            return None;
        }
        Some(frame)
    }

    /// Starts one request; most are answered before this returns.
    async fn take_alone(&mut self, frame: Frame) {
        let caller = Caller::of(&frame);
        let bytes = frame.body.len();
        let mut answer = self.door.clone().answer(self.channel.clone(), frame);
        match futures::poll!(answer.as_mut()) {
            Poll::Ready(reply) => self.write(Answered::One(caller, reply)),
            Poll::Pending => {
                self.bytes_in_flight += bytes;
                self.waiting.push(Box::pin(async move {
                    let answered = Answered::One(caller, answer.await);
                    Late { answered, bytes }
                }));
            }
        }
    }

    async fn take_gathered(&mut self) {
        let frames = match self.gathered.len() {
            0 => return,
            1 => match self.gathered.pop() {
                Some(frame) => return self.take_alone(frame).await,
                None => return,
            },
            count => {
                // The next ones will be about as many.
                let next = Vec::with_capacity(count.next_power_of_two());
                std::mem::replace(&mut self.gathered, next)
            }
        };
        let bytes = frames.iter().map(|frame| frame.body.len()).sum();
        let mut answers = self.door.clone().answer_all(self.channel.clone(), frames);
        match futures::poll!(answers.as_mut()) {
            Poll::Ready(replies) => self.write(Answered::Gathered(replies)),
            Poll::Pending => {
                self.bytes_in_flight += bytes;
                self.waiting.push(Box::pin(async move {
                    let answered = Answered::Gathered(answers.await);
                    Late { answered, bytes }
                }));
            }
        }
    }

    /// Writes late answers, and those that are ready beside them.
    async fn finish(&mut self, done: Late) {
        let mut next = Some(done);
        while let Some(late) = next {
            self.bytes_in_flight -= late.bytes;
            self.write(late.answered);
            next = match self.output.len() < WRITE {
                true => match futures::poll!(self.waiting.next()) {
                    Poll::Ready(done) => done,
                    Poll::Pending => None,
                },
                false => None,
            };
        }
    }

    fn write(&mut self, answered: Answered) {
        match answered {
            Answered::One(caller, reply) => reply.encode_for(&caller, &mut self.output),
            Answered::Gathered(replies) if self.output.is_empty() => self.output = replies,
            Answered::Gathered(replies) => self.output.extend_from_slice(&replies),
        }
    }
}
