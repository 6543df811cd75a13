//! The checks that every event meets.

use std::collections::HashMap;

use crate::event::{Event, Place, Promise, Queue};
use crate::groups::GroupState;
use crate::queue::{Held, QueueState, Suffix};
use crate::verdict::{Tally, Verdict, Violation};

/// Violations that are kept.
const KEPT: usize = 100;
/// The doubt of a message that may have been gone before it was heard of.
const UNSURE: u32 = u32::MAX;
/// Milliseconds within which a broker keeps committed offsets. RocketMQ:
/// `flushConsumerOffsetInterval`; with room for one round that was under way.
const OFFSETS_KEPT_MS: u64 = 6_000;

/// Takes in events and judges them.
#[derive(Debug)]
pub struct History {
    promise: Promise,
    now: u64,
    sent: HashMap<u64, Sent>,
    pub(crate) queues: Vec<QueueState>,
    pub(crate) groups: HashMap<u32, GroupState>,
    /// The next offset of every reader and queue.
    readers: HashMap<(u32, Queue), u64>,
    /// Last acknowledged offset of every producer and queue.
    producers: HashMap<(u32, Queue), u64>,
    pub(crate) caught: Vec<(u32, Queue)>,
    /// Messages that the broker is to deliver later, and when it said so.
    promised: HashMap<u64, u64>,
    pub(crate) losses: Vec<Suffix>,
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    producer: u32,
    queue: Option<Queue>,
    retried: bool,
    refused: bool,
    /// A loss of power took it: it must not come back.
    gone: bool,
    place: Option<Place>,
}

impl History {
    pub fn new(promise: Promise) -> History {
        History {
            promise,
            now: 0,
            sent: HashMap::new(),
            queues: Vec::new(),
            groups: HashMap::new(),
            readers: HashMap::new(),
            producers: HashMap::new(),
            caught: Vec::new(),
            promised: HashMap::new(),
            losses: Vec::new(),
            verdict: Verdict {
                violations: Vec::new(),
                tally: Tally::default(),
            },
        }
    }

    /// The number of the queue of this name.
    pub fn queue(&mut self, name: &str) -> Queue {
        let known = self.queues.iter().position(|queue| queue.name == name);
        let number = known.unwrap_or_else(|| {
            self.queues.push(QueueState::new(name));
            self.queues.len() - 1
        });
        Queue(number as u32)
    }

    /// What is wrong so far.
    pub fn violations(&self) -> &[Violation] {
        &self.verdict.violations
    }

    /// A message that is there and that a group has not finished, if there is one.
    pub fn unfinished(&self, group: u32) -> Option<String> {
        (0..self.queues.len() as u32).find_map(|queue| self.unfinished_in(group, Queue(queue)))
    }

    /// The same of one queue, where a group does not read them all.
    pub fn unfinished_in(&self, group: u32, queue: Queue) -> Option<String> {
        let nobody = GroupState::default();
        let state = self.groups.get(&group).unwrap_or(&nobody);
        let queue = &self.queues[queue.0 as usize];
        let mut held = queue.held.range(queue.min..);
        let (offset, held) = held.find(|(_, held)| state.lacks(held))?;
        Some(format!("{} at {} {offset}", held.message, queue.name))
    }

    /// Takes in what was observed at `at`, in milliseconds of any clock that goes forward.
    pub fn add(&mut self, at: u64, event: Event) {
        self.now = self.now.max(at);
        let tally = &mut self.verdict.tally;
        match event {
            Event::Sent {
                message,
                producer,
                queue,
                retried,
            } => {
                tally.sent += 1;
                let sent = Sent {
                    producer,
                    queue,
                    retried,
                    refused: false,
                    gone: false,
                    place: None,
                };
                if self.sent.insert(message, sent).is_some() {
                    self.breach("D4", format!("the driver sent message {message} twice"));
                }
            }
            Event::Acknowledged {
                message,
                place,
                log,
            } => {
                tally.acknowledged += 1;
                self.acknowledged(message, place, log);
            }
            Event::Promised { message } => {
                tally.acknowledged += 1;
                tally.delayed += 1;
                if self.known(message, "the broker took") {
                    self.promised.insert(message, at);
                }
            }
            Event::Came { message, due, at } if at < due => {
                self.breach("D12", format!("{message} came {} ms early", due - at));
            }
            Event::Came { .. } => {}
            Event::Refused { message } => {
                tally.refused += 1;
                if let Some(sent) = self.sent.get_mut(&message) {
                    sent.refused = true;
                    if let Some(place) = sent.place {
                        let at = self.name(place);
                        self.breach("D2", format!("message {message}, refused, was at {at}"));
                    }
                }
            }
            Event::Starts { reader, place } => {
                self.readers.insert((reader, place.queue), place.offset);
            }
            Event::Read {
                reader,
                place,
                message,
                log,
            } => {
                tally.read += 1;
                self.read(reader, place, message, log);
            }
            Event::Seen {
                place,
                message,
                log,
            } => {
                tally.read += 1;
                self.seen(place, message, log);
            }
            Event::Damaged { place } => {
                let at = self.name(place);
                self.breach("D2", format!("at {at} lies what nobody sent"));
            }
            Event::Finished { group, message } => {
                tally.finished += 1;
                self.groups
                    .entry(group)
                    .or_default()
                    .finished
                    .insert(message);
                self.known(message, "a group finished");
            }
            Event::Postponed { group, message } => {
                self.groups
                    .entry(group)
                    .or_default()
                    .postponed
                    .insert(message);
                self.known(message, "a group gave back");
            }
            Event::Committed {
                group,
                queue,
                offset,
                alone,
            } => self.committed(group, queue, offset, alone),
            Event::Bounds { queue, min, max } => self.bounds(queue, min, max),
            Event::Stopped => self.ended(0),
            Event::Killed => {
                tally.kills += 1;
                self.ended(OFFSETS_KEPT_MS);
            }
            Event::PowerLost => {
                tally.power_losses += 1;
                self.ended(OFFSETS_KEPT_MS);
                self.power_lost();
            }
            Event::Drained {
                place,
                message,
                log,
            } => {
                tally.drained += 1;
                self.holds(place, message, log, false);
                let drained = &mut self.queues[place.queue.0 as usize].drained;
                if let Some(before) = drained.insert(place.offset, message)
                    && before != message
                {
                    let at = self.name(place);
                    self.breach("D3", format!("{at} held {before}, then {message}"));
                }
            }
            Event::End { queue, min, max } => {
                self.bounds(queue, min, max);
                self.cut(queue, max);
            }
            Event::Caught { group, queue } => self.caught.push((group, queue)),
        }
    }

    fn acknowledged(&mut self, message: u64, place: Place, log: Option<u64>) {
        if !self.known(message, "the broker acknowledged") {
            return;
        }
        self.holds(place, message, log, true);
        let producer = self.sent[&message].producer;
        let before = self
            .producers
            .insert((producer, place.queue), place.offset)
            .filter(|before| *before >= place.offset);
        if let Some(before) = before {
            let at = self.name(place);
            self.breach(
                "D6",
                format!("producer {producer} was at offset {before}, then {message} at {at}"),
            );
        }
    }

    fn read(&mut self, reader: u32, place: Place, message: u64, log: Option<u64>) {
        if let Some(expected) = self.readers.insert((reader, place.queue), place.offset + 1)
            && expected != place.offset
        {
            let at = self.name(place);
            self.breach(
                "D5",
                format!("reader {reader} was given {at} instead of offset {expected}"),
            );
        }
        self.holds(place, message, log, false);
    }

    /// Whether somebody sent this message and it may be anywhere.
    fn known(&mut self, message: u64, who: &str) -> bool {
        let what = match self.sent.get(&message) {
            None => format!("{who} {message}, which nobody sent"),
            Some(sent) if sent.refused => format!("{who} {message}, which was refused"),
            Some(_) => return true,
        };
        self.breach("D2", what);
        false
    }

    /// A message was seen at a place.
    fn holds(&mut self, place: Place, message: u64, log: Option<u64>, acknowledged: bool) {
        if !self.known(message, "there is") {
            return;
        }
        let at = self.name(place);
        let sent = self.sent[&message];
        if sent.gone {
            self.breach("D2", format!("{message} was gone and is back at {at}"));
        }
        if sent.queue.is_some_and(|queue| queue != place.queue) {
            self.breach("D2", format!("{message} was not sent to {at}"));
        }
        match sent.place {
            Some(before) if before != place && !sent.retried => {
                let before = self.name(before);
                self.breach(
                    "D4",
                    format!("{message} was sent once and is at {before} and {at}"),
                );
            }
            _ => {}
        }
        if let Some(sent) = self.sent.get_mut(&message) {
            sent.place = Some(place);
        }
        let now = self.now;
        let queue = &mut self.queues[place.queue.0 as usize];
        let new = Held {
            message,
            log,
            acknowledged,
            since: now,
            doubt: 0,
            reused: false,
        };
        let Some(before) = queue.held.insert(place.offset, new) else {
            return;
        };
        if before.message == message {
            let moved = before.log.zip(log).filter(|(before, log)| before != log);
            let held = queue.held.entry(place.offset).or_insert(new);
            held.acknowledged |= before.acknowledged;
            held.since = before.since;
            held.log = log.or(before.log);
            held.reused = before.reused;
            self.kept(before);
            if let Some((before, log)) = moved {
                self.breach(
                    "D3",
                    format!("{message} at {at} moved from {before} to {log}"),
                );
            }
        } else if before.doubt > 0 {
            queue.held.entry(place.offset).or_insert(new).reused = true;
            self.gone(before);
        } else {
            self.breach(
                "D3",
                format!("{at} held {}, then {message}", before.message),
            );
        }
    }

    /// A message that somebody may have been given some time ago: if power was lost since, it
    /// proves nothing of what is there now.
    fn seen(&mut self, place: Place, message: u64, log: Option<u64>) {
        let lost = !self.losses.is_empty();
        let queue = &self.queues[place.queue.0 as usize];
        match queue.held.get(&place.offset) {
            Some(held) if held.message == message => {}
            Some(_) if lost => {}
            known => {
                let new = known.is_none();
                self.holds(place, message, log, false);
                let queue = &mut self.queues[place.queue.0 as usize];
                if let Some(held) = queue.held.get_mut(&place.offset)
                    && new
                    && lost
                {
                    held.doubt = UNSURE;
                }
            }
        }
    }

    /// What a loss of power might have taken is still there.
    fn kept(&mut self, held: Held) {
        if let (Some(log), Some(loss)) = (held.log, self.loss(held.doubt)) {
            loss.last_kept = Some(loss.last_kept.map_or(log, |last| last.max(log)));
        }
    }

    fn gone(&mut self, held: Held) {
        if let (Some(log), Some(loss)) = (held.log, self.loss(held.doubt)) {
            loss.first_gone = Some(loss.first_gone.map_or(log, |first| first.min(log)));
        }
        self.verdict.tally.forfeited += u64::from(held.acknowledged);
        if let Some(sent) = self.sent.get_mut(&held.message) {
            sent.gone = !sent.retried;
            sent.place = None;
        }
    }

    fn loss(&mut self, doubt: u32) -> Option<&mut Suffix> {
        self.losses.get_mut((doubt as usize).checked_sub(1)?)
    }

    /// One observer's view: what others have heard since may be newer.
    fn bounds(&mut self, queue: Queue, min: u64, max: u64) {
        let state = &mut self.queues[queue.0 as usize];
        let (name, low, high) = (state.name.clone(), state.min, state.max);
        state.min = low.max(min);
        state.max = max;
        if min < low {
            self.breach("D16", format!("{name} began at {low}, then at {min}"));
        }
        if max < high {
            self.breach("D3", format!("{name} ended at {high}, then at {max}"));
        }
    }

    /// What lay behind a queue's end is not there any more.
    fn cut(&mut self, queue: Queue, max: u64) {
        let state = &mut self.queues[queue.0 as usize];
        state.ended = true;
        state.max = max;
        let name = state.name.clone();
        for held in state.held.split_off(&max).into_values() {
            if held.doubt > 0 {
                self.gone(held);
            } else {
                let message = held.message;
                let what = format!("{message} lay in {name}, which now ends at {max}");
                self.breach(if held.acknowledged { "D1" } else { "D7" }, what);
            }
        }
    }

    /// A process ended that may have forgotten the offsets of the last `interval` milliseconds.
    fn ended(&mut self, interval: u64) {
        let now = self.now;
        for group in self.groups.values_mut() {
            group.ended(now, interval);
        }
        // Whoever was reading begins anew.
        self.readers.clear();
    }

    fn power_lost(&mut self) {
        let Promise::SurvivesKills { flush_ms } = self.promise else {
            return;
        };
        self.losses.push(Suffix::default());
        let doubt = self.losses.len() as u32;
        let young = self.now.saturating_sub(flush_ms);
        self.promised.retain(|_, since| *since < young);
        for queue in &mut self.queues {
            queue.max = 0;
            let young = |held: &&mut Held| held.doubt == 0 && held.since >= young;
            for held in queue.held.values_mut().filter(young) {
                held.doubt = doubt;
            }
        }
        // A queue that lost its end gives offsets a second time.
        self.producers.clear();
        for group in self.groups.values_mut() {
            group.forgive();
        }
    }

    fn committed(&mut self, group: u32, queue: Queue, offset: u64, alone: bool) {
        let now = self.now;
        let state = self.groups.entry(group).or_default();
        let name = &self.queues[queue.0 as usize].name;
        let mut breaches = Vec::new();
        if alone && let Some(floor) = state.committed(now, queue, offset) {
            breaches.push(format!(
                "group {group} was at {floor} in {name}, now {offset}"
            ));
        }
        let held = &self.queues[queue.0 as usize].held;
        if let Some((at, message)) = state.passed_over(queue, held, offset) {
            breaches.push(format!(
                "group {group} is at {offset} in {name} and never finished {message} at {at}"
            ));
        }
        for what in breaches {
            self.breach("D11", what);
        }
    }

    /// Messages that are to come later and have not come so far.
    pub fn never_came(&self) -> impl Iterator<Item = u64> {
        let promised = self.promised.keys().copied();
        promised.filter(|message| self.sent[message].place.is_none())
    }

    fn name(&self, place: Place) -> String {
        format!(
            "{} {}",
            self.queues[place.queue.0 as usize].name, place.offset
        )
    }

    pub(crate) fn breach(&mut self, promise: &'static str, what: String) {
        if self.verdict.violations.len() < KEPT {
            self.verdict.violations.push(Violation { promise, what });
        }
    }
}
