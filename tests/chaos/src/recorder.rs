//! Writes down what clients observe, in the order and at the time the broker lived through it.
//!
//! A real process ends while answers of it are still on their way. What an answer proves
//! depends on the life it came from, so every observation carries the time at which it was
//! asked for: an answer from before a loss of power says nothing of what is there now.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use history::{Event, History, Place, Promise, Queue, Violation};
use model::QueueId;
use parking_lot::{Condvar, Mutex};
use runtime::{Clock, Moment};

/// Handle to a round's history. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    start: Moment,
    state: Mutex<State>,
    /// Something was acknowledged, or read, or refused.
    progress: Condvar,
}

/// Guarded by one lock, held for one event at a time.
struct State {
    history: History,
    next: u64,
    /// Since when the broker does not live, if it does not.
    still: Option<Moment>,
    /// For how long it has not lived so far.
    stood: Duration,
    /// When a life last ended, and when power was last lost, in milliseconds since 1970.
    ended: i64,
    powerless: i64,
    acknowledged: HashMap<u64, Acknowledged>,
    /// When messages that were sent to come later are due, in milliseconds since 1970.
    due: HashMap<u64, i64>,
    /// Messages found at the end.
    drained: HashSet<u64>,
    /// Every loss of power, in milliseconds of the broker's life.
    losses: Vec<u64>,
    counts: Counts,
    /// A time, and when a message sent since then was acknowledged.
    watch: Option<(i64, Option<i64>)>,
    remark: Option<String>,
}

/// An acknowledged message.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    pub place: Place,
    /// When, in milliseconds of the broker's life.
    pub at: u64,
}

/// How much was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub acknowledged: u64,
    pub read: u64,
    pub committed: u64,
    /// Sends refused for want of room.
    pub no_room: u64,
}

impl Recorder {
    pub fn new(clock: Clock, promise: Promise) -> Recorder {
        Recorder {
            shared: Arc::new(Shared {
                start: clock.now(),
                clock,
                state: Mutex::new(State {
                    history: History::new(promise),
                    next: 1,
                    still: None,
                    stood: Duration::ZERO,
                    ended: 0,
                    powerless: 0,
                    acknowledged: HashMap::new(),
                    due: HashMap::new(),
                    drained: HashSet::new(),
                    losses: Vec::new(),
                    counts: Counts::default(),
                    watch: None,
                    remark: None,
                }),
                progress: Condvar::new(),
            }),
        }
    }

    /// Milliseconds since 1970: what an observation is asked at.
    pub fn wall(&self) -> i64 {
        self.shared.clock.wall()
    }

    pub fn queue(&self, queue: &QueueId) -> Queue {
        self.queue_named(&queue.to_string())
    }

    pub fn queue_named(&self, name: &str) -> Queue {
        self.shared.state.lock().history.queue(name)
    }

    pub fn place(&self, queue: &QueueId, offset: u64) -> Place {
        let queue = self.queue(queue);
        Place { queue, offset }
    }

    /// A number that no message has yet.
    pub fn number(&self) -> u64 {
        let mut state = self.shared.state.lock();
        state.next += 1;
        state.next - 1
    }

    /// Notes what is true whenever it is heard.
    pub fn add(&self, event: Event) {
        self.with(|state, now| {
            if let Event::Drained { message, .. } = event {
                state.drained.insert(message);
            }
            state.history.add(now, event);
        });
    }

    /// Notes what was asked for at `asked`, unless power has been lost since.
    pub fn add_of_this_power(&self, asked: i64, event: Event) {
        self.with(|state, now| {
            if asked > state.powerless {
                if matches!(event, Event::Read { .. }) {
                    state.counts.read += 1;
                }
                state.history.add(now, event);
            }
        });
    }

    /// Notes what was asked for at `asked`, unless the broker's life has ended since.
    pub fn add_of_this_life(&self, asked: i64, event: Event) {
        self.with(|state, now| {
            if asked > state.ended {
                if matches!(event, Event::Committed { .. }) {
                    state.counts.committed += 1;
                }
                state.history.add(now, event);
            }
        });
    }

    /// The broker acknowledged at `at` a message sent at `asked`.
    pub fn acknowledged(&self, asked: i64, at: i64, message: u64, place: Place, log: Option<u64>) {
        self.with(|state, now| {
            if asked <= state.powerless {
                return;
            }
            state.counts.acknowledged += 1;
            let entry = Acknowledged { place, at: now };
            state.acknowledged.insert(message, entry);
            state.history.add(
                now,
                Event::Acknowledged {
                    message,
                    place,
                    log,
                },
            );
            if let Some((since, first @ None)) = &mut state.watch
                && asked >= *since
            {
                *first = Some(at);
            }
        });
    }

    /// A message is about to be sent that is not to come before `due`, in milliseconds since 1970.
    pub fn is_due(&self, message: u64, due: i64) {
        self.shared.state.lock().due.insert(message, due);
    }

    /// The broker took a message sent at `asked`, which is to come later.
    pub fn promised(&self, asked: i64, message: u64) {
        self.with(|state, now| {
            if asked > state.powerless {
                state.history.add(now, Event::Promised { message });
            }
        });
    }

    /// A message was put into its queue at `at`, in milliseconds since 1970: too early?
    pub fn came(&self, message: u64, at: i64) {
        self.with(|state, now| {
            if let Some(due) = state.due.get(&message).copied() {
                state.history.add(now, Event::Came { message, due, at });
            }
        });
    }

    /// A message that was promised and has not come.
    pub fn awaited(&self) -> Option<u64> {
        self.shared.state.lock().history.never_came().next()
    }

    /// A send was refused because there is no room.
    pub fn no_room(&self, remark: &str) {
        self.with(|state, _| {
            state.counts.no_room += 1;
            state.remark = Some(remark.to_owned());
        });
    }

    /// What the last refusal for want of room said.
    pub fn last_remark(&self) -> Option<String> {
        self.shared.state.lock().remark.clone()
    }

    /// The broker's time stands still: it is down, or stopped.
    pub fn hold(&self) {
        let mut state = self.shared.state.lock();
        state.still.get_or_insert(self.shared.clock.now());
    }

    /// The broker lives on.
    pub fn go_on(&self) {
        let now = self.shared.clock.now();
        let mut state = self.shared.state.lock();
        if let Some(since) = state.still.take() {
            state.stood += now.since(since);
        }
    }

    /// A life has ended; whatever is asked from now on is asked of the next one.
    pub fn ended(&self, how: Event) {
        let wall = self.wall();
        self.with(|state, now| {
            state.ended = wall;
            if how == Event::PowerLost {
                state.powerless = wall;
                state.losses.push(now);
            }
            state.history.add(now, how);
        });
        // An answer asked for within this very millisecond would be taken for an old one.
        std::thread::sleep(Duration::from_millis(2));
    }

    /// From now on the first acknowledgement of a message sent at `since` or later is wanted.
    pub fn watch(&self, since: i64) {
        self.shared.state.lock().watch = Some((since, None));
    }

    /// Waits for what is watched for: when it came, in milliseconds since 1970.
    pub fn first_acknowledgement(&self, patience: Duration) -> Option<i64> {
        let found = |state: &State| state.watch.is_some_and(|(_, first)| first.is_some());
        self.wait(patience, found);
        self.shared.state.lock().watch.and_then(|(_, first)| first)
    }

    /// Waits until the counts are as wanted; whether they came to be.
    pub fn wait_for(&self, patience: Duration, wanted: impl Fn(&Counts) -> bool) -> bool {
        self.wait(patience, |state| wanted(&state.counts))
    }

    pub fn counts(&self) -> Counts {
        self.shared.state.lock().counts
    }

    /// Everything that was acknowledged so far.
    pub fn acknowledged_so_far(&self) -> HashMap<u64, Acknowledged> {
        self.shared.state.lock().acknowledged.clone()
    }

    /// At the end: how many acknowledged messages are not there, and how long before a loss of
    /// power the oldest of them was acknowledged, in milliseconds.
    pub fn missing(&self) -> (u64, Option<u64>) {
        let state = self.shared.state.lock();
        let mut missing = 0;
        let mut oldest = None;
        for (message, entry) in &state.acknowledged {
            if state.drained.contains(message) {
                continue;
            }
            missing += 1;
            let loss = state.losses.iter().find(|loss| **loss >= entry.at);
            oldest = oldest.max(loss.map(|loss| loss - entry.at));
        }
        (missing, oldest)
    }

    pub fn violations(&self) -> Vec<Violation> {
        self.shared.state.lock().history.violations().to_vec()
    }

    /// A message of a queue that a group has not finished.
    pub fn unfinished(&self, group: u32, queue: &QueueId) -> Option<String> {
        let queue = self.queue(queue);
        let state = self.shared.state.lock();
        state.history.unfinished_in(group, queue)
    }

    /// The history, which is empty from then on.
    pub fn take(&self) -> History {
        let mut state = self.shared.state.lock();
        let empty = History::new(Promise::SurvivesPowerLoss);
        std::mem::replace(&mut state.history, empty)
    }

    fn with(&self, act: impl FnOnce(&mut State, u64)) {
        let moment = self.shared.clock.now();
        let mut state = self.shared.state.lock();
        let moment = state.still.unwrap_or(moment);
        let lived = moment.since(self.shared.start).saturating_sub(state.stood);
        act(&mut state, lived.as_millis() as u64);
        drop(state);
        self.shared.progress.notify_all();
    }

    fn wait(&self, patience: Duration, wanted: impl Fn(&State) -> bool) -> bool {
        let begun = self.shared.clock.now();
        let mut state = self.shared.state.lock();
        while !wanted(&state) {
            let gone = self.shared.clock.now().since(begun);
            let Some(left) = patience.checked_sub(gone).filter(|left| !left.is_zero()) else {
                return false;
            };
            self.shared.progress.wait_for(&mut state, left);
        }
        true
    }
}
