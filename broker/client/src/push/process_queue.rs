//! One queue in a consumer's hands: what was fetched, what is done, what may be committed.

use std::collections::BTreeMap;

use model::{QueueOffset, StoredMessage};
use parking_lot::Mutex;
use protocol::body::ProcessQueueInfo;
use runtime::{Moment, Planted, Signal};
use tokio::sync::Notify;

use crate::route::BrokerQueue;

/// A queue this consumer reads. The offset to commit is that of the first message not yet done.
pub(crate) struct ProcessQueue {
    pub(crate) queue: BrokerQueue,
    /// Guards plain data.
    state: Mutex<State>,
    dropped: Signal,
    /// Signalled when a message is done.
    room: Notify,
}

struct State {
    /// Counts how often the queue was moved: what was fetched before does not count any more.
    era: u64,
    /// Bytes of each message that is fetched and not done.
    held: BTreeMap<QueueOffset, usize>,
    bytes: usize,
    /// Where the next pull begins.
    next: QueueOffset,
    /// What was last committed.
    kept: Option<QueueOffset>,
    /// Until when the broker's lock on the queue is relied on.
    locked_until: Option<Moment>,
    /// Wall time in milliseconds.
    pulled_at: i64,
    consumed_at: i64,
}

impl ProcessQueue {
    /// A queue to be read from `next` on. `locked_until` is set where a lock is needed.
    pub(crate) fn new(
        queue: BrokerQueue,
        next: QueueOffset,
        locked_until: Option<Moment>,
    ) -> ProcessQueue {
        let state = State {
            era: 0,
            held: BTreeMap::new(),
            bytes: 0,
            next,
            kept: None,
            locked_until,
            pulled_at: 0,
            consumed_at: 0,
        };
        ProcessQueue {
            queue,
            state: Mutex::new(state),
            dropped: Signal::default(),
            room: Notify::new(),
        }
    }

    /// Nobody here reads it any more: what is under way counts no longer.
    pub(crate) fn drop_it(&self) {
        self.dropped.raise();
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.is_raised()
    }

    /// Resolves once it is dropped.
    pub(crate) async fn dropped(&self) {
        self.dropped.raised().await;
    }

    pub(crate) fn next(&self) -> QueueOffset {
        self.state.lock().next
    }

    /// Takes in what a pull brought; returns the era in which these messages can be done.
    /// `None` when the queue was moved since the pull began at `from`: they do not count.
    pub(crate) fn fetched(
        &self,
        from: QueueOffset,
        messages: &[StoredMessage],
        next: QueueOffset,
        wall: i64,
    ) -> Option<u64> {
        let mut state = self.state.lock();
        if state.next != from {
            return None;
        }
        for message in messages {
            let bytes = message.message.body.len();
            if state.held.insert(message.queue_offset, bytes).is_none() {
                state.bytes += bytes;
            }
        }
        state.next = next;
        state.pulled_at = wall;
        Some(state.era)
    }

    /// These messages are done with.
    pub(crate) fn done(&self, era: u64, messages: &[StoredMessage], wall: i64) {
        let mut state = self.state.lock();
        if state.era != era {
            return;
        }
        for message in messages {
            if let Some(bytes) = state.held.remove(&message.queue_offset) {
                state.bytes -= bytes;
            }
        }
        state.consumed_at = wall;
        drop(state);
        self.room.notify_one();
    }

    /// Goes on at `next`; what was fetched before counts no longer.
    pub(crate) fn move_to(&self, next: QueueOffset) {
        let mut state = self.state.lock();
        state.era += 1;
        state.held.clear();
        state.bytes = 0;
        state.next = next;
        state.kept = None;
        drop(state);
        self.room.notify_one();
    }

    pub(crate) fn is_current(&self, era: u64) -> bool {
        !self.is_dropped() && self.state.lock().era == era
    }

    /// Resolves while fewer than so many messages and bytes are held.
    pub(crate) async fn has_room(&self, messages: usize, bytes: usize) {
        loop {
            let changed = self.room.notified();
            {
                let state = self.state.lock();
                if state.held.len() < messages.max(1) && state.bytes < bytes.max(1) {
                    return;
                }
            }
            changed.await;
        }
    }

    /// The first offset that is not done.
    pub(crate) fn commit_point(&self) -> QueueOffset {
        let state = self.state.lock();
        if Planted::CommitPastGap.is_active() {
            return state.next;
        }
        state.held.keys().next().copied().unwrap_or(state.next)
    }

    /// The offset to commit, unless that has been done.
    pub(crate) fn to_keep(&self) -> Option<QueueOffset> {
        let point = self.commit_point();
        (self.state.lock().kept != Some(point)).then_some(point)
    }

    pub(crate) fn kept(&self, offset: QueueOffset) {
        self.state.lock().kept = Some(offset);
    }

    pub(crate) fn locked(&self, until: Moment) {
        self.state.lock().locked_until = Some(until);
    }

    /// Whether a lock that is needed is held at `now`.
    pub(crate) fn may_go_on(&self, now: Moment) -> bool {
        self.state
            .lock()
            .locked_until
            .is_none_or(|until| now < until)
    }

    pub(crate) fn info(&self) -> ProcessQueueInfo {
        let commit_offset = wire(self.commit_point());
        let state = self.state.lock();
        ProcessQueueInfo {
            cached_msg_count: i32::try_from(state.held.len()).unwrap_or(i32::MAX),
            cached_msg_max_offset: state.held.keys().next_back().map_or(0, |at| wire(*at)),
            cached_msg_min_offset: state.held.keys().next().map_or(0, |at| wire(*at)),
            cached_msg_size_in_mib: i32::try_from(state.bytes >> 20).unwrap_or(i32::MAX),
            commit_offset,
            droped: self.is_dropped(),
            last_consume_timestamp: state.consumed_at,
            last_pull_timestamp: state.pulled_at,
            locked: state.locked_until.is_some(),
            ..ProcessQueueInfo::default()
        }
    }
}

fn wire(offset: QueueOffset) -> i64 {
    i64::try_from(offset.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use model::record::{Unplaced, decode};
    use model::{Checksum, LogOffset, Message, Timestamp, Topic};

    use super::*;

    fn message(at: u64) -> StoredMessage {
        let topic = Topic::parse("t").expect("a topic's name");
        let host = "127.0.0.1:1".parse().expect("an address");
        let record = Unplaced::encode(&Message::new(topic, 0, "12345"), host, Checksum::Body);
        let placed = record.expect("a small message").place(
            QueueOffset(at),
            LogOffset(at * 100),
            Timestamp(1),
        );
        decode(&Bytes::from(placed.slices().concat())).expect("our own record")
    }

    fn queue(next: u64) -> ProcessQueue {
        let queue = BrokerQueue {
            topic: Topic::parse("t").expect("a topic's name"),
            broker: "a".into(),
            number: 0,
        };
        ProcessQueue::new(queue, QueueOffset(next), None)
    }

    fn fetch(queue: &ProcessQueue, offsets: &[u64], next: u64) -> (u64, Vec<StoredMessage>) {
        let messages: Vec<StoredMessage> = offsets.iter().map(|at| message(*at)).collect();
        let era = queue.fetched(queue.next(), &messages, QueueOffset(next), 0);
        (era.expect("nothing was moved"), messages)
    }

    #[test]
    fn the_commit_point_never_passes_a_message_that_is_not_done() {
        let queue = queue(5);
        let (era, messages) = fetch(&queue, &[5, 6, 8], 10);
        queue.done(era, &messages[1..], 0);
        assert_eq!(queue.commit_point(), QueueOffset(5));
        queue.done(era, &messages[..1], 0);
        assert_eq!(queue.commit_point(), QueueOffset(10));
    }

    #[test]
    fn what_was_fetched_before_a_move_counts_no_longer() {
        let queue = queue(0);
        let (era, messages) = fetch(&queue, &[0, 1], 2);
        queue.move_to(QueueOffset(100));
        queue.done(era, &messages, 0);
        assert_eq!(queue.commit_point(), QueueOffset(100));
        assert!(!queue.is_current(era));
        assert_eq!(
            queue.fetched(QueueOffset(2), &messages, QueueOffset(4), 0),
            None
        );
    }

    #[test]
    fn an_offset_is_kept_once() {
        let queue = queue(3);
        assert_eq!(queue.to_keep(), Some(QueueOffset(3)));
        queue.kept(QueueOffset(3));
        assert_eq!(queue.to_keep(), None);
        let (era, messages) = fetch(&queue, &[3], 4);
        assert_eq!(queue.to_keep(), None);
        queue.done(era, &messages, 0);
        assert_eq!(queue.to_keep(), Some(QueueOffset(4)));
    }

    #[tokio::test]
    async fn there_is_room_again_when_messages_are_done() {
        let queue = queue(0);
        let (era, messages) = fetch(&queue, &[0, 1], 2);
        let mut full = Box::pin(queue.has_room(2, 1_000));
        tokio::select! {
            biased;
            () = &mut full => panic!("two messages fill it"),
            () = async {} => {}
        }
        queue.done(era, &messages[..1], 0);
        full.await;
        queue.has_room(9, 6).await;
        assert_eq!(queue.info().cached_msg_count, 1);
    }
}
