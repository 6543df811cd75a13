//! One connection to a broker or name server: many requests under way, answers in any order.
//!
//! ```text
//! ask ─► outbox ─► writer task ─► socket ─► reader task ─► whoever asked (by opaque)
//!                      ▲                        └─► Incoming: requests of the broker's own
//!                      └──────── answers ───────────────┘
//! ```
//! Two tasks, because a peer that waits for us to read must not keep us from reading.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use protocol::{Caller, Flag, Frame, Reply};
use runtime::{Clock, Moment, ReadHalf, Shutdown, Stream, Tasks, WriteHalf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

/// Frames that may wait to be written; whoever asks next waits for room.
const OUTBOX: usize = 1_024;
/// How much is read at once.
const READ: usize = 64 << 10;
/// Gathered frames are written when they have so many bytes.
const WRITE: usize = 256 << 10;
/// Bodies from this size on are written from where they lie.
const LARGE_BODY: usize = 32 << 10;
/// A connection that was not used for so long is closed, before the server closes it at 120 s
/// under a request.
const IDLE: Duration = Duration::from_secs(90);

/// What answers the requests that brokers send to their clients.
pub(crate) trait Incoming: Send + Sync + 'static {
    /// The answer; it is written if the broker waits for one.
    fn answer(&self, request: &Frame) -> Reply;
}

/// Handle to a connection. Cheap to clone; the connection closes with its last handle.
#[derive(Clone)]
pub(crate) struct Connection {
    outbox: mpsc::Sender<Frame>,
    local: Option<IpAddr>,
    waiting: Arc<Waiting>,
}

/// Why an open connection gave no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// It is closed, or closed before the answer came.
    Closed(String),
    TimedOut,
}

/// Who waits for which answer.
struct Waiting {
    clock: Clock,
    next_opaque: AtomicI32,
    /// Guards plain data; released before anything is sent or awaited.
    state: Mutex<State>,
}

struct State {
    asked: BTreeMap<i32, oneshot::Sender<Frame>>,
    /// Why it closed, once it has.
    closed: Option<String>,
    active: Moment,
}

impl Connection {
    /// Starts the two tasks that serve the stream.
    pub(crate) fn start(
        stream: Stream,
        peer: &str,
        incoming: Arc<dyn Incoming>,
        tasks: &Tasks,
    ) -> Connection {
        let clock = tasks.clock().clone();
        let local = stream.local_addr().ok().map(|address| address.ip());
        let (outbox, frames) = mpsc::channel(OUTBOX);
        let state = State {
            asked: BTreeMap::new(),
            closed: None,
            active: clock.now(),
        };
        let waiting = Arc::new(Waiting {
            clock,
            next_opaque: AtomicI32::new(1),
            state: Mutex::new(state),
        });
        let (reading, writing) = stream.into_split();
        let (reader_lives, reader_gone) = oneshot::channel();
        let (writer_lives, writer_gone) = oneshot::channel();
        let reader = Reader {
            half: reading,
            waiting: waiting.clone(),
            incoming,
            answers: outbox.downgrade(),
            _lives: reader_lives,
        };
        let writer = Writer {
            half: writing,
            frames,
            _lives: writer_lives,
        };
        let shutdown = tasks.shutdown();
        tasks.spawn(format!("read from {peer}"), reader.run(writer_gone));
        let closing = waiting.clone();
        tasks.spawn(format!("write to {peer}"), async move {
            if let Err(why) = writer.run(reader_gone, shutdown).await {
                closing.close(why.to_string());
            }
        });
        Connection {
            outbox,
            local,
            waiting,
        }
    }

    /// Our side's address.
    pub(crate) fn local(&self) -> Option<IpAddr> {
        self.local
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.outbox.is_closed() || self.waiting.state.lock().closed.is_some()
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask(&self, mut request: Frame, limit: Duration) -> Result<Frame, NoAnswer> {
        let opaque = self.waiting.next_opaque.fetch_add(1, Ordering::Relaxed);
        request.header.opaque = opaque;
        let (answer, answered) = oneshot::channel();
        let _place = self.waiting.enter(opaque, answer)?;
        let outcome = self.waiting.clock.timeout(limit, async {
            self.outbox.send(request).await.ok()?;
            answered.await.ok()
        });
        match outcome.await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(NoAnswer::Closed(self.waiting.why_closed())),
            Err(_) => Err(NoAnswer::TimedOut),
        }
    }

    /// Sends a request that nobody answers. Resolves when it is queued for writing.
    pub(crate) async fn tell(&self, request: Frame, limit: Duration) -> Result<(), NoAnswer> {
        let mut request = request.oneway();
        request.header.opaque = self.waiting.next_opaque.fetch_add(1, Ordering::Relaxed);
        self.waiting.touch();
        let queued = self.outbox.send(request);
        match self.waiting.clock.timeout(limit, queued).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(NoAnswer::Closed(self.waiting.why_closed())),
            Err(_) => Err(NoAnswer::TimedOut),
        }
    }
}

impl Waiting {
    fn enter(&self, opaque: i32, answer: oneshot::Sender<Frame>) -> Result<Place<'_>, NoAnswer> {
        let mut state = self.state.lock();
        if let Some(why) = &state.closed {
            return Err(NoAnswer::Closed(why.clone()));
        }
        state.active = self.clock.now();
        state.asked.insert(opaque, answer);
        Ok(Place {
            waiting: self,
            opaque,
        })
    }

    fn touch(&self) {
        self.state.lock().active = self.clock.now();
    }

    fn answered(&self, answer: Frame) {
        let asked = {
            let mut state = self.state.lock();
            state.active = self.clock.now();
            state.asked.remove(&answer.header.opaque)
        };
        // Whoever gave up waiting has taken its place away.
        if let Some(asked) = asked {
            asked.send(answer).ok();
        }
    }

    fn close(&self, why: String) {
        let mut state = self.state.lock();
        state.closed.get_or_insert(why);
        state.asked.clear();
    }

    /// Closes the connection if it was not used for long and nobody waits; else says how long
    /// it may still rest.
    fn close_if_idle(&self) -> Option<Moment> {
        let mut state = self.state.lock();
        let now = self.clock.now();
        if !state.asked.is_empty() {
            return Some(now + IDLE);
        }
        let end = state.active + IDLE;
        if now < end {
            return Some(end);
        }
        state
            .closed
            .get_or_insert_with(|| "it was not used".to_owned());
        None
    }

    fn why_closed(&self) -> String {
        let why = self.state.lock().closed.clone();
        why.unwrap_or_else(|| "the connection is closed".to_owned())
    }
}

/// A request that waits for its answer; leaving takes it off the list.
struct Place<'a> {
    waiting: &'a Waiting,
    opaque: i32,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.state.lock().asked.remove(&self.opaque);
    }
}

struct Reader {
    half: ReadHalf,
    waiting: Arc<Waiting>,
    incoming: Arc<dyn Incoming>,
    answers: mpsc::WeakSender<Frame>,
    /// Dropped with the reader, which tells the writer.
    _lives: oneshot::Sender<()>,
}

impl Reader {
    async fn run(mut self, mut writer_gone: oneshot::Receiver<()>) {
        let mut input = BytesMut::with_capacity(READ);
        let mut rest_until = self.waiting.clock.now() + IDLE;
        let why = loop {
            match self.take_all(&mut input) {
                Ok(()) => {}
                Err(why) => break why.to_string(),
            }
            input.reserve(READ);
            tokio::select! {
                biased;
                read = self.half.read_buf(&mut input) => match read {
                    Ok(0) => break "the other side closed the connection".to_owned(),
                    Ok(_) => {}
                    Err(why) => break why.to_string(),
                },
                _ = &mut writer_gone => break "the connection is closed".to_owned(),
                () = self.waiting.clock.sleep_until(rest_until) => {
                    match self.waiting.close_if_idle() {
                        Some(later) => rest_until = later,
                        None => return,
                    }
                }
            }
        };
        self.waiting.close(why);
    }

    fn take_all(&self, input: &mut BytesMut) -> Result<(), protocol::Error> {
        while let Some(frame) = Frame::decode(input)? {
            if frame.header.flag.is_response() {
                self.waiting.answered(frame);
                continue;
            }
            let caller = Caller::of(&frame);
            let reply = self.incoming.answer(&frame);
            if caller.waits()
                && let Some(answers) = self.answers.upgrade()
            {
                let mut answer = reply.into_frame(&caller);
                answer.header.flag = Flag::RESPONSE;
                // A broker that does not read gets no answer, and takes us for slow.
                answers.try_send(answer).ok();
            }
        }
        Ok(())
    }
}

struct Writer {
    half: WriteHalf,
    frames: mpsc::Receiver<Frame>,
    /// Dropped with the writer, which tells the reader.
    _lives: oneshot::Sender<()>,
}

impl Writer {
    async fn run(
        mut self,
        mut reader_gone: oneshot::Receiver<()>,
        shutdown: Shutdown,
    ) -> io::Result<()> {
        let mut output = BytesMut::new();
        loop {
            let first = tokio::select! {
                biased;
                () = shutdown.requested() => return Ok(()),
                frame = self.frames.recv() => frame,
                _ = &mut reader_gone => return Ok(()),
            };
            let Some(mut frame) = first else {
                return Ok(());
            };
            loop {
                frame.encode_head(&mut output);
                if frame.body.len() >= LARGE_BODY {
                    self.half.write_all(&output).await?;
                    output.clear();
                    self.half.write_all(&frame.body).await?;
                } else {
                    output.extend_from_slice(&frame.body);
                }
                if output.len() >= WRITE {
                    break;
                }
                match self.frames.try_recv() {
                    Ok(next) => frame = next,
                    Err(_) => break,
                }
            }
            if !output.is_empty() {
                self.half.write_all(&output).await?;
                output.clear();
            }
        }
    }
}
