//! What was sent, what became of it, and whether the store may look as it does.

use std::collections::BTreeMap;

use model::record::decode;
use model::{LogOffset, QueueId, QueueOffset};
use store::{Appended, MessageStore, ReadLimit, ReadStatus};

/// A message a sender gave to the store.
#[derive(Clone, Debug)]
pub struct Sent {
    pub id: u64,
    pub queue: QueueId,
    /// Messages with the same number went together.
    pub group: u64,
    /// Sequential sends of one sender to one queue.
    pub sender: u64,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Neither confirmed nor refused.
    Unknown,
    /// Refused before anything was written.
    Refused,
    Acknowledged {
        appended: Appended,
        durable: bool,
    },
    /// It is not in the store any more, and must not come back.
    Gone,
}

/// What the store holds: per queue, the messages from its beginning on.
pub type Content = BTreeMap<QueueId, Vec<Held>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub id: u64,
    pub at: LogOffset,
    pub offset: QueueOffset,
}

#[derive(Default)]
pub struct History {
    pub sent: BTreeMap<u64, Sent>,
    /// Messages a reader has seen since the last crash.
    pub seen: BTreeMap<u64, LogOffset>,
    /// Retention was asked to delete, and may have deleted what lies before this.
    pub deletable: LogOffset,
}

/// Which losses the last end of the store allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    None,
    /// What was not durable may be gone, if all behind it is.
    Suffix,
}

/// Reads everything, queue by queue, as a consumer would.
pub async fn content(store: &MessageStore) -> Content {
    let mut content = Content::new();
    for queue in store.queues() {
        let mut held = Vec::new();
        let bounds = store.bounds(&queue).expect("a listed queue has bounds");
        let mut from = bounds.min;
        while from < bounds.max {
            let limit = ReadLimit {
                messages: 5,
                bytes: 4_000,
            };
            let read = store.read(&queue, from, limit, &store::Everything).await;
            let read = read.expect("a healthy disk is read");
            assert_eq!(
                read.status,
                ReadStatus::Found,
                "{queue} from {from} of {bounds:?}"
            );
            for bytes in &read.records {
                let stored = decode(bytes).expect("a record");
                assert_eq!(stored.message.queue_id(), queue);
                assert_eq!(stored.queue_offset, from, "{queue} has no gap");
                held.push(Held {
                    id: id_of(&stored.message.body),
                    at: stored.log_offset,
                    offset: from,
                });
                from = from.plus(1);
            }
            assert_eq!(read.next, from);
        }
        content.insert(queue, held);
    }
    content
}

/// The body of a message begins with its number.
pub fn id_of(body: &[u8]) -> u64 {
    let digits = body
        .split(|byte| *byte == b' ')
        .next()
        .expect("a split has a first part");
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .expect("our own body")
}

/// The queue is there, and what it holds comes later than this message.
fn begins_behind(content: &Content, appended: &Appended) -> bool {
    content.get(&appended.queue).is_some_and(|held| {
        let first = held.first();
        first.is_none_or(|first| first.offset > appended.queue_offset)
    })
}

impl History {
    /// Holds the store's content against what was sent, and settles what was unknown.
    pub fn check(&mut self, content: &Content, loss: Loss) {
        let mut held = BTreeMap::new();
        for (queue, messages) in content {
            for message in messages {
                let sent = self.sent.get(&message.id).expect("D2: it was sent");
                assert_eq!(sent.queue, *queue, "D2: it was sent there");
                assert!(
                    !matches!(sent.outcome, Outcome::Refused | Outcome::Gone),
                    "D2: {sent:?} came back as {message:?}"
                );
                assert!(
                    held.insert(message.id, message.clone()).is_none(),
                    "D4: {message:?} twice"
                );
            }
            self.check_order(messages);
        }
        self.check_groups(&held);
        let mut first_lost = None;
        let deletable = self.deletable;
        for sent in self.sent.values_mut() {
            let found = held.get(&sent.id);
            let seen = self.seen.get(&sent.id).is_some_and(|at| *at >= deletable);
            match (&sent.outcome, found) {
                (Outcome::Acknowledged { appended, .. }, Some(found)) => {
                    assert_eq!(found.at, appended.log_offset, "D3: {sent:?}");
                    assert_eq!(found.offset, appended.queue_offset, "D3: {sent:?}");
                }
                (Outcome::Acknowledged { appended, .. }, None)
                    if appended.log_offset < deletable && begins_behind(content, appended) =>
                {
                    sent.outcome = Outcome::Gone;
                }
                (Outcome::Acknowledged { appended, durable }, None) => {
                    assert!(
                        loss == Loss::Suffix && !durable,
                        "D1: {sent:?} is lost, {loss:?}"
                    );
                    let at = appended.log_offset;
                    first_lost = Some(first_lost.map_or(at, |lost: LogOffset| lost.min(at)));
                    sent.outcome = Outcome::Gone;
                }
                (Outcome::Unknown, Some(found)) => {
                    sent.outcome = Outcome::Acknowledged {
                        appended: Appended {
                            queue: sent.queue.clone(),
                            queue_offset: found.offset,
                            log_offset: found.at,
                            stored: model::Timestamp(0),
                            size: 0,
                        },
                        durable: true,
                    };
                }
                (Outcome::Unknown, None) => {
                    assert!(
                        loss == Loss::Suffix || !seen,
                        "D7: {sent:?} was read and is gone"
                    );
                    sent.outcome = Outcome::Gone;
                }
                (Outcome::Refused | Outcome::Gone, _) => {}
            }
            // What a start has found is flushed before it is shown.
            if let Outcome::Acknowledged { durable, .. } = &mut sent.outcome {
                *durable = true;
            }
        }
        let last = held.values().map(|held| held.at).max();
        if let (Some(lost), Some(last)) = (first_lost, last) {
            assert!(
                last < lost,
                "only a suffix is lost: {lost} is, {last} is not"
            );
        }
        self.seen.clear();
        self.deletable = LogOffset(0);
    }

    fn check_order(&self, messages: &[Held]) {
        let mut last = BTreeMap::new();
        for message in messages {
            let sender = self.sent[&message.id].sender;
            if let Some(before) = last.insert(sender, message.id) {
                assert!(before < message.id, "D6: {before} comes before {message:?}");
            }
        }
    }

    fn check_groups(&self, held: &BTreeMap<u64, Held>) {
        let mut groups: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
        for sent in self.sent.values() {
            let (size, found) = groups.entry(sent.group).or_default();
            *size += 1;
            *found += usize::from(held.contains_key(&sent.id));
        }
        for (group, (size, found)) in groups {
            assert!(
                found == 0 || found == size,
                "group {group}: {found} of {size}"
            );
        }
    }
}
