//! How far each group has consumed each queue.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use model::{ConsumerGroup, LogOffset, QueueId, QueueOffset, Topic};
use parking_lot::Mutex;

use crate::Error;
use crate::tables::{Batch, Durability, Table, Tables};

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    Stored,
    /// An administrator has moved the group and no consumer has seen it yet; the commit is dropped.
    ResetPending,
    /// The same epoch was applied before: nothing to do.
    Repeated,
}

/// Committed offsets of all groups: in memory, written behind by [`CommittedOffsets::flush`].
pub struct CommittedOffsets {
    tables: Arc<dyn Tables>,
    /// Guards plain maps; held for one lookup or change.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    offsets: HashMap<ConsumerGroup, HashMap<QueueId, Position>>,
    dirty: HashSet<(ConsumerGroup, QueueId)>,
    /// Resets by an administrator that no consumer has been told yet.
    resets: HashMap<ConsumerGroup, HashMap<QueueId, QueueOffset>>,
}

/// An offset, and the record of the log that set it (0 when a consumer did).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    offset: QueueOffset,
    applied_from: LogOffset,
}

impl CommittedOffsets {
    pub(crate) fn load(tables: Arc<dyn Tables>) -> Result<CommittedOffsets, Error> {
        let mut state = State::default();
        for (key, value) in tables.entries(Table::Offsets)? {
            match read(&key, &value) {
                Some((group, queue, position)) => {
                    state
                        .offsets
                        .entry(group)
                        .or_default()
                        .insert(queue, position);
                }
                None => {
                    tracing::error!(key = %String::from_utf8_lossy(&key), "a kept offset is set aside")
                }
            }
        }
        Ok(CommittedOffsets {
            tables,
            state: Mutex::new(state),
        })
    }

    /// The offset of the next message the group wants from the queue.
    pub fn get(&self, group: &str, queue: &QueueId) -> Option<QueueOffset> {
        let state = self.state.lock();
        Some(state.offsets.get(group)?.get(queue)?.offset)
    }

    /// A consumer's commit. Survives `kill -9` from the next [`CommittedOffsets::flush`] on.
    pub fn commit(&self, group: &ConsumerGroup, queue: &QueueId, offset: QueueOffset) -> Commit {
        let mut state = self.state.lock();
        if state
            .resets
            .get(group)
            .is_some_and(|resets| resets.contains_key(queue))
        {
            return Commit::ResetPending;
        }
        let applied_from = state
            .offsets
            .get(group)
            .and_then(|queues| queues.get(queue))
            .map_or(LogOffset(0), |known| known.applied_from);
        state.set(
            group,
            queue,
            Position {
                offset,
                applied_from,
            },
        );
        Commit::Stored
    }

    /// Applies the offsets of an epoch record that lies in the log at `from`. Applying the same or
    /// an older record again changes nothing, so recovery may replay the log.
    pub fn apply(
        &self,
        group: &ConsumerGroup,
        offsets: &[(QueueId, QueueOffset)],
        from: LogOffset,
    ) -> Commit {
        let mut state = self.state.lock();
        let mut outcome = Commit::Repeated;
        for (queue, offset) in offsets {
            let known = state
                .offsets
                .get(group)
                .and_then(|queues| queues.get(queue));
            if known.is_some_and(|known| known.applied_from >= from && from != LogOffset(0)) {
                continue;
            }
            state.set(
                group,
                queue,
                Position {
                    offset: *offset,
                    applied_from: from,
                },
            );
            outcome = Commit::Stored;
        }
        outcome
    }

    /// Moves a group by an administrator's hand: late commits are dropped until a consumer has
    /// taken the new position with [`CommittedOffsets::take_reset`].
    pub fn reset(&self, group: &ConsumerGroup, queue: &QueueId, offset: QueueOffset) {
        let mut state = self.state.lock();
        state.set(
            group,
            queue,
            Position {
                offset,
                applied_from: LogOffset(0),
            },
        );
        state
            .resets
            .entry(group.clone())
            .or_default()
            .insert(queue.clone(), offset);
    }

    /// The pending reset of a queue, handed out once.
    pub fn take_reset(&self, group: &str, queue: &QueueId) -> Option<QueueOffset> {
        let mut state = self.state.lock();
        let resets = state.resets.get_mut(group)?;
        let offset = resets.remove(queue);
        if resets.is_empty() {
            state.resets.remove(group);
        }
        offset
    }

    /// Every queue the group has a position in.
    pub fn of_group(&self, group: &str) -> BTreeMap<QueueId, QueueOffset> {
        let state = self.state.lock();
        state
            .offsets
            .get(group)
            .into_iter()
            .flatten()
            .map(|(queue, position)| (queue.clone(), position.offset))
            .collect()
    }

    /// Every position of every group, in order.
    pub fn all(&self) -> Vec<(ConsumerGroup, QueueId, QueueOffset)> {
        let state = self.state.lock();
        let mut all: Vec<_> = state
            .offsets
            .iter()
            .flat_map(|(group, queues)| {
                queues
                    .iter()
                    .map(|(queue, position)| (group.clone(), queue.clone(), position.offset))
            })
            .collect();
        all.sort();
        all
    }

    /// Every group that has a position in the topic.
    pub fn groups_of(&self, topic: &str) -> Vec<ConsumerGroup> {
        let state = self.state.lock();
        let mut groups: Vec<_> = state
            .offsets
            .iter()
            .filter(|(_, queues)| queues.keys().any(|queue| queue.topic.as_str() == topic))
            .map(|(group, _)| group.clone())
            .collect();
        groups.sort();
        groups
    }

    /// Forgets the group's positions; durable when this returns.
    pub fn remove_group(&self, group: &str) -> Result<(), Error> {
        self.remove_where(|own, _| own.as_str() == group)
    }

    /// Forgets every group's positions in the topic; durable when this returns.
    pub fn remove_topic(&self, topic: &str) -> Result<(), Error> {
        self.remove_where(|_, queue| queue.topic.as_str() == topic)
    }

    fn remove_where(&self, gone: impl Fn(&ConsumerGroup, &QueueId) -> bool) -> Result<(), Error> {
        let mut state = self.state.lock();
        let mut batch = Batch::default();
        for (group, queues) in &mut state.offsets {
            queues.retain(|queue, _| {
                let gone = gone(group, queue);
                if gone {
                    batch.remove(Table::Offsets, key(group, queue));
                }
                !gone
            });
        }
        state.offsets.retain(|_, queues| !queues.is_empty());
        state.dirty.retain(|(group, queue)| !gone(group, queue));
        self.tables.apply(batch, Durability::Now)
    }

    /// Whether everything committed so far was flushed.
    pub(crate) fn are_kept(&self) -> bool {
        self.state.lock().dirty.is_empty()
    }

    /// Writes what has changed since the last call. Returns how many positions were written.
    pub fn flush(&self, durability: Durability) -> Result<usize, Error> {
        // Taken out first, so that commits go on while the disk works.
        let (batch, dirty) = {
            let mut state = self.state.lock();
            let dirty = std::mem::take(&mut state.dirty);
            let mut batch = Batch::default();
            for (group, queue) in &dirty {
                if let Some(position) = state
                    .offsets
                    .get(group)
                    .and_then(|queues| queues.get(queue))
                {
                    batch.put(Table::Offsets, key(group, queue), value(*position));
                }
            }
            (batch, dirty)
        };
        if batch.is_empty() && durability == Durability::Later {
            return Ok(0);
        }
        let written = dirty.len();
        self.tables
            .apply(batch, durability)
            .inspect_err(|_| self.state.lock().dirty.extend(dirty))?;
        Ok(written)
    }
}

impl State {
    fn set(&mut self, group: &ConsumerGroup, queue: &QueueId, position: Position) {
        let queues = match self.offsets.get_mut(group) {
            Some(queues) => queues,
            None => self.offsets.entry(group.clone()).or_default(),
        };
        if queues.insert(queue.clone(), position) != Some(position) {
            self.dirty.insert((group.clone(), queue.clone()));
        }
    }
}

/// `topic@group@queue`: neither name may hold `@`.
fn key(group: &ConsumerGroup, queue: &QueueId) -> Vec<u8> {
    format!("{}@{}@{}", queue.topic, group, queue.number).into_bytes()
}

fn value(position: Position) -> Vec<u8> {
    let mut value = position.offset.0.to_be_bytes().to_vec();
    value.extend_from_slice(&position.applied_from.0.to_be_bytes());
    value
}

fn read(key: &[u8], value: &[u8]) -> Option<(ConsumerGroup, QueueId, Position)> {
    let key = std::str::from_utf8(key).ok()?;
    let (names, number) = key.rsplit_once('@')?;
    let (topic, group) = names.rsplit_once('@')?;
    let queue = QueueId::new(Topic::stored(topic).ok()?, number.parse().ok()?);
    let (offset, applied_from) = value.split_at_checked(8)?;
    let position = Position {
        offset: QueueOffset(u64::from_be_bytes(offset.try_into().ok()?)),
        applied_from: LogOffset(u64::from_be_bytes(applied_from.try_into().ok()?)),
    };
    Some((ConsumerGroup::stored(group).ok()?, queue, position))
}
