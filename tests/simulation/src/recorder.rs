//! Writes down what clients observe, and gives messages their numbers.

use std::sync::Arc;

use history::{Event, History, Place, Promise, Queue, Violation};
use model::{Message, QueueId, Topic};
use parking_lot::Mutex;
use runtime::{Moment, SimClock};

/// Handle to the run's history. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recorder {
    clock: SimClock,
    start: Moment,
    state: Arc<Mutex<State>>,
}

/// Guarded by one lock, held for one event at a time.
struct State {
    history: History,
    next: u64,
    /// Everything that was observed, folded into one number.
    trace: u64,
}

impl Recorder {
    pub(crate) fn new(clock: SimClock, promise: Promise) -> Recorder {
        Recorder {
            start: clock.now(),
            clock,
            state: Arc::new(Mutex::new(State {
                history: History::new(promise),
                next: 1,
                trace: 0xcbf2_9ce4_8422_2325,
            })),
        }
    }

    pub(crate) fn queue(&self, queue: &QueueId) -> Queue {
        self.state.lock().history.queue(&queue.to_string())
    }

    pub(crate) fn place(&self, queue: &QueueId, offset: u64) -> Place {
        let queue = self.queue(queue);
        Place { queue, offset }
    }

    pub(crate) fn add(&self, event: Event) {
        let now = self.clock.now().since(self.start).as_millis() as u64;
        let mut state = self.state.lock();
        let text = format!("{now} {event:?}");
        for byte in text.bytes() {
            state.trace = (state.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if std::env::var_os("SIMULATION_TRACE").is_some() {
            eprintln!("{text}");
        }
        state.history.add(now, event);
    }

    /// A message of its own number, with so many bytes besides.
    pub(crate) fn message(&self, topic: &Topic, padding: usize) -> (u64, Message) {
        let number = {
            let mut state = self.state.lock();
            state.next += 1;
            state.next - 1
        };
        let body = format!("{number} {}", "x".repeat(padding));
        (number, Message::new(topic.clone(), 0, body))
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.state.lock().history.violations().to_vec()
    }

    pub(crate) fn unfinished(&self, group: u32) -> Option<String> {
        self.state.lock().history.unfinished(group)
    }

    /// The history, which is empty from then on, and the trace.
    pub(crate) fn take(&self) -> (History, u64) {
        let mut state = self.state.lock();
        let empty = History::new(Promise::SurvivesPowerLoss);
        (std::mem::replace(&mut state.history, empty), state.trace)
    }
}

/// The number a body begins with; `None` for a body that nobody sent.
pub(crate) fn number_of(body: &[u8]) -> Option<u64> {
    let (digits, padding) = std::str::from_utf8(body).ok()?.split_once(' ')?;
    let whole = padding.bytes().all(|byte| byte == b'x');
    whole.then(|| digits.parse().ok()).flatten()
}
