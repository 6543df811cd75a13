//! What a job's epochs say of the consumer groups that its sources name.

use std::collections::{BTreeMap, HashMap};

use dataflow::Dataflow;
use model::{ConsumerGroup, QueueId, QueueOffset, Topic};

use super::TopicOptions;
use super::queues::read_position;
use crate::{BoxError, Outbox};

/// The group whose offsets each source's positions are, by operator.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups(HashMap<String, ConsumerGroup>);

/// The next offset of every queue that a group reads.
pub(super) type Offsets = Vec<(QueueId, QueueOffset)>;

impl Groups {
    pub(super) fn of(dataflow: &Dataflow) -> Result<Groups, BoxError> {
        let mut groups = HashMap::new();
        for (node, source) in dataflow
            .sources()
            .filter(|(_, source)| source.table.connector() == Some("rocketmq"))
        {
            let operator = dataflow.node(node).operator.as_str();
            let group = TopicOptions::of(&source.table)?.group;
            groups.extend(group.map(|group| (operator.to_owned(), group)));
        }
        Ok(Groups(groups))
    }

    /// Every group with its offsets behind an epoch, in the order of names; also those that the
    /// epoch says nothing of.
    pub(super) fn offsets(
        &self,
        outbox: &Outbox,
    ) -> Result<BTreeMap<ConsumerGroup, Offsets>, BoxError> {
        let mut queues: BTreeMap<ConsumerGroup, BTreeMap<QueueId, QueueOffset>> = BTreeMap::new();
        for group in self.0.values() {
            queues.entry(group.clone()).or_default();
        }
        for (name, position) in &outbox.positions {
            let own = self.0.get(&name.source);
            let (Some(own), Some(queue)) = (
                own.and_then(|group| queues.get_mut(group)),
                queue_named(&name.queue),
            ) else {
                continue;
            };
            // Two sources may read one queue for one group: the slower says how far it is.
            let offset = read_position(position)?;
            let kept = own.entry(queue).or_insert(offset);
            *kept = (*kept).min(offset);
        }
        let offsets = queues.into_iter();
        Ok(offsets
            .map(|(group, own)| (group, own.into_iter().collect()))
            .collect())
    }
}

/// `topic/number`, as a source names its queues.
fn queue_named(name: &str) -> Option<QueueId> {
    let (topic, number) = name.rsplit_once('/')?;
    Some(QueueId::new(
        Topic::parse(topic).ok()?,
        number.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::QueueName;

    fn group(name: &str) -> ConsumerGroup {
        ConsumerGroup::parse(name).expect("a group's name")
    }

    #[test]
    fn every_group_has_the_offsets_of_its_own_sources() {
        let groups = [("s1", "b"), ("s2", "a"), ("s3", "b"), ("s4", "c")];
        let groups = groups.map(|(source, name)| (source.to_owned(), group(name)));
        let positions = [
            ("s1", "t/0", 7_u64),
            ("s2", "t/0", 9),
            ("s3", "t/0", 5),
            ("s5", "t/0", 1),
        ];
        let position = |(source, queue, next): (&str, &str, u64)| {
            let name = QueueName {
                source: source.to_owned(),
                queue: queue.to_owned(),
            };
            (name, next.to_be_bytes().to_vec())
        };
        let outbox = Outbox {
            positions: positions.map(position).into(),
            ..Outbox::default()
        };
        let found = Groups(groups.into())
            .offsets(&outbox)
            .expect("positions of ours");
        let queue = QueueId::new(Topic::parse("t").expect("a topic's name"), 0);
        let at = |next| vec![(queue.clone(), QueueOffset(next))];
        let expected = [
            (group("a"), at(9)),
            (group("b"), at(5)),
            (group("c"), Vec::new()),
        ];
        assert_eq!(found, expected.into());
    }
}
