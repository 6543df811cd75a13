//! Serves one connection: reads what arrives, answers what can be answered, writes once.
//!
//! ```text
//! read ─► frames ─► polled once ─► answered ──────────────► one write
//!                        └─► still waiting (disk, message) ─► later ─┘
//! ```
//! A request runs to completion on the connection's own task. What has to wait is kept beside
//! and polled with the next read, so a held pull never holds up a send behind it.
//!
//! Nothing here grows by what a client does: it is not read on while it has too much under
//! way or does not take its answers, and it is not waited for without end.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use futures::stream::{FuturesUnordered, StreamExt};
use protocol::{Caller, Frame, Reply};
use runtime::{Clock, Shutdown, Stream, WriteHalf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bytes_in_flight::Share;
use crate::channel::Channel;
use crate::doorkeeper::Guest;
use crate::output::Output;
use crate::patience::{Awaited, Patience};
use crate::turned_away::Why;

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

/// Requests of one connection that may be under way before it is no longer read.
const IN_FLIGHT: usize = 65_536;
/// How much is read at once, unless a large frame is arriving.
const READ: usize = 64 << 10;
/// How much is read at once where a buffer has room for more.
const READ_AT_MOST: usize = 256 << 10;
/// How much is read at once from a client that said nothing for a while: what it costs while it
/// is silent.
const FIRST_READ: usize = 512;
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
    outbox: tokio::sync::mpsc::Receiver<Box<Frame>>,
    door: Arc<dyn Door>,
    guest: Guest,
    clock: Clock,
    shutdown: Shutdown,
) {
    let keeper = guest.keeper();
    let mut connection = Connection {
        channel: channel.clone(),
        door: door.clone(),
        gathered: Vec::new(),
        gathered_bytes: 0,
        waiting: FuturesUnordered::new(),
        bytes_in_flight: 0,
        share: keeper.in_flight.share(),
        patience: Patience::new(&keeper.limits, clock.now()),
        input: BytesMut::new(),
        output: Output::default(),
        guest,
        clock,
    };
    if let Err(why) = connection.run(stream, outbox, shutdown).await {
        connection.count(&why);
        tracing::debug!(peer = %channel.peer(), %why, "a connection ended");
    }
    door.closed(&channel);
}

struct Connection {
    channel: Channel,
    door: Arc<dyn Door>,
    guest: Guest,
    clock: Clock,
    patience: Patience,
    /// What arrived and is not a whole frame yet.
    input: BytesMut,
    /// Requests that arrived at once and are not started yet; empty between two reads.
    gathered: Vec<Frame>,
    gathered_bytes: usize,
    waiting: Waiting,
    bytes_in_flight: usize,
    share: Share,
    output: Output,
}

/// Why a connection ended, other than by its client leaving.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Socket(#[from] std::io::Error),
    #[error("{0}")]
    Protocol(#[from] protocol::Error),
    #[error("nothing was read or written for {} s", after.as_secs())]
    Idle { after: Duration },
    #[error(
        "a frame began and did not go on: there are {} s for its header and {} s for all of it",
        header.as_secs(),
        whole.as_secs()
    )]
    HalfFrame { header: Duration, whole: Duration },
    #[error("the client took none of its answers for {} s", after.as_secs())]
    NotDrained { after: Duration },
}

/// How far the requests that have arrived are started.
#[derive(PartialEq, Eq)]
enum Started {
    /// All that are whole, or as many as may be under way.
    All,
    /// There are answers to be written first.
    UntilWritten,
}

impl Connection {
    async fn run(
        &mut self,
        stream: Stream,
        mut outbox: tokio::sync::mpsc::Receiver<Box<Frame>>,
        shutdown: Shutdown,
    ) -> Result<(), Ended> {
        let (mut reader, mut writer) = stream.into_split();
        let mut end = pin!(shutdown.requested());
        let mut paused = false;
        // Set anew only when it rings, or would ring too late: a clock that is set for each
        // read wakes whoever sleeps by it.
        let mut rings = self.patience.wakes(Awaited::Frame);
        let mut alarm = pin!(self.clock.sleep_until(rings));
        loop {
            let started = self.start_requests().await?;
            if !self.output.is_empty() {
                self.drain(&mut writer).await?;
                if started == Started::UntilWritten {
                    continue;
                }
            }
            self.share.set_under_way(self.bytes_in_flight);
            let large = self.is_large()?;
            let in_turn = self.has_room();
            let reads = in_turn && self.may_read(large);
            if !reads {
                if in_turn && !paused {
                    self.guest.keeper().turned_away.count(Why::Paused);
                }
                paused = true;
            } else if std::mem::take(&mut paused) {
                self.patience.excuse(self.clock.now());
            }
            let awaited = self.awaited();
            let wakes = self.patience.wakes(awaited);
            if wakes < rings {
                rings = wakes;
                alarm.set(self.clock.sleep_until(rings));
            }
            let most = self.make_room_to_read(large);
            let all = self.share.all();
            let (input, clock) = (&mut self.input, &self.clock);
            let mut input = input.limit(most);
            tokio::select! {
                // A reply never waits behind one more request.
                biased;
                () = &mut end => return Ok(()),
                Some(done) = self.waiting.next(), if !self.waiting.is_empty() => self.finish(done).await,
                Some(frame) = outbox.recv() => {
                    frame.encode(self.output.buffer());
                    while let Ok(frame) = outbox.try_recv() {
                        frame.encode(self.output.buffer());
                    }
                }
                read = reader.read_buf(&mut input), if reads => {
                    if read? == 0 {
                        return Ok(());
                    }
                    self.patience.heard(clock.now());
                    if awaited == Awaited::Frame {
                        self.patience.began();
                    }
                }
                () = all.room(large.is_some()), if in_turn && !reads => {}
                () = &mut alarm => {
                    if clock.now() >= wakes {
                        self.waited(awaited, reads)?;
                    }
                    rings = self.patience.wakes(awaited);
                    alarm.set(self.clock.sleep_until(rings));
                }
            }
        }
    }

    /// Starts what has arrived, as far as it may be under way; most is answered before this
    /// returns.
    async fn start_requests(&mut self) -> Result<Started, Ended> {
        while self.has_room() {
            if self.output.len() >= WRITE {
                self.take_gathered().await;
                return Ok(Started::UntilWritten);
            }
            let before = self.input.len();
            let Some(frame) = Frame::decode(&mut self.input)? else {
                break;
            };
            let bytes = before - self.input.len();
            self.share.arrived();
            self.patience.began();
            let other = |last: &Frame| last.header.code != frame.header.code;
            if self.gathered.last().is_some_and(other) {
                // Together they would be stored in the order of their kinds.
                self.take_gathered().await;
            }
            if let Some(alone) = self.gather(frame, bytes) {
                // What came first is started first.
                self.take_gathered().await;
                self.take_alone(alone, bytes).await;
            }
        }
        self.take_gathered().await;
        Ok(Started::All)
    }

    /// Writes all answers there are. Meanwhile nothing is read: who does not take answers
    /// gives no requests.
    async fn drain(&mut self, writer: &mut WriteHalf) -> Result<(), Ended> {
        let after = self.guest.keeper().limits.write;
        while !self.output.is_empty() {
            let mut at_once = pin!(writer.write_buf(&mut self.output));
            let written = match futures::poll!(at_once.as_mut()) {
                Poll::Ready(written) => written?,
                Poll::Pending => {
                    self.output.own();
                    let write = writer.write_buf(&mut self.output);
                    let waited = self.clock.timeout(after, write).await;
                    self.patience.excuse(self.clock.now());
                    waited.map_err(|_| Ended::NotDrained { after })??
                }
            };
            if written == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into());
            }
        }
        self.patience.said(self.clock.now());
        Ok(())
    }

    fn has_room(&self) -> bool {
        let limit = self.guest.keeper().limits.bytes_in_flight_of_connection;
        self.waiting.len() < IN_FLIGHT && self.bytes_in_flight < limit
    }

    /// The length of the frame that is half here, if it is a large one.
    fn is_large(&self) -> Result<Option<usize>, Ended> {
        if self.input.is_empty() {
            return Ok(None);
        }
        Ok(Frame::length(&self.input)?.filter(|length| *length > READ))
    }

    /// Whether all connections together leave room for what comes next.
    fn may_read(&mut self, large: Option<usize>) -> bool {
        match large {
            None => self.share.all().has_room(),
            Some(_) if self.share.is_arriving() => true,
            Some(length) => self.share.all().has_room() && self.share.announce(length),
        }
    }

    fn awaited(&self) -> Awaited {
        match self.input[..] {
            [] => Awaited::Frame,
            [_, _, _, _, _, high, middle, low, ..] => {
                let header = u32::from_be_bytes([0, high, middle, low]) as usize;
                match self.input.len() < header + 8 {
                    true => Awaited::Header,
                    false => Awaited::Body,
                }
            }
            _ => Awaited::Header,
        }
    }

    /// Makes room for the next read, and says how much it may be.
    fn make_room_to_read(&mut self, large: Option<usize>) -> usize {
        let most = match large {
            Some(length) if self.share.is_arriving() => {
                length.saturating_sub(self.input.len()).max(FIRST_READ)
            }
            _ if self.patience.resting => FIRST_READ,
            _ => READ,
        };
        self.input.reserve(most);
        // A buffer that is larger anyway takes more with one call.
        let spare = self.input.capacity() - self.input.len();
        most.max(spare.min(READ_AT_MOST))
    }

    /// It was waited for something that did not come.
    fn waited(&mut self, awaited: Awaited, reads: bool) -> Result<(), Ended> {
        let now = self.clock.now();
        if !reads {
            self.patience.excuse(now);
            return Ok(());
        }
        let limits = &self.guest.keeper().limits;
        if now < self.patience.ends(awaited) {
            // A silent client keeps no buffers.
            self.input = BytesMut::new();
            self.output = Output::default();
            self.gathered = Vec::new();
            self.patience.resting = true;
        } else if awaited != Awaited::Frame {
            let (header, whole) = (limits.header, limits.idle);
            return Err(Ended::HalfFrame { header, whole });
        } else if self.waiting.is_empty() {
            return Err(Ended::Idle { after: limits.idle });
        } else {
            self.patience.excuse(now);
        }
        Ok(())
    }

    fn count(&self, why: &Ended) {
        let why = match why {
            Ended::Socket(_) => return,
            Ended::Protocol(_) => Why::Frame,
            Ended::Idle { .. } => Why::Idle,
            Ended::HalfFrame { .. } => Why::HalfFrame,
            Ended::NotDrained { .. } => Why::NotDrained,
        };
        self.guest.keeper().turned_away.count(why);
    }

    /// Keeps a request that may go with others; gives back one that has to go alone.
    fn gather(&mut self, frame: Frame, bytes: usize) -> Option<Frame> {
        if frame.header.flag.is_response() {
            self.channel.answered(frame);
            return None;
        }
        if self.door.gathers(&frame) {
            self.gathered.push(frame);
            self.gathered_bytes += bytes;
            return None;
        }
        Some(frame)
    }

    /// Starts one request; most are answered before this returns.
    async fn take_alone(&mut self, frame: Frame, bytes: usize) {
        let caller = Caller::of(&frame);
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
        let bytes = std::mem::take(&mut self.gathered_bytes);
        let frames = match self.gathered.len() {
            0 => return,
            1 => match self.gathered.pop() {
                Some(frame) => return self.take_alone(frame, bytes).await,
                None => return,
            },
            count => {
                // The next ones will be about as many.
                let next = Vec::with_capacity(count.next_power_of_two());
                std::mem::replace(&mut self.gathered, next)
            }
        };
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
            Answered::One(caller, reply) => self.output.reply(reply, &caller),
            Answered::Gathered(replies) => self.output.frames(replies),
        }
    }
}
