//! Positions set by hand while a connector is stopped: each is checked, then all are kept in one
//! commit. The commit is of a new generation, so nothing a forgotten task does counts after it.

use std::collections::BTreeMap;
use std::time::Duration;

use connect_sdk::{Kind, Object};
use model::{ConsumerGroup, QueueId, QueueOffset, Topic};
use runtime::Clock;
use serde_json::Value;

use crate::Error;
use crate::broker::{Bounds, Broker, BrokerError, Commit};
use crate::config::Config;
use crate::layout::{Layout, states};
use crate::positions::{entry, merged};

/// A commit whose answer is lost is repeated so often.
const ATTEMPTS: usize = 10;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(500);

/// The wanted offset of each partition; `None` for its start.
pub type Wanted = Vec<(Object, Option<Object>)>;

/// What shall become of a connector's positions.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// These partitions stand there, the others stay.
    Set(Wanted),
    /// Every partition begins anew.
    Reset,
}

/// One stopped connector.
pub(crate) struct Reposition<'a> {
    pub(crate) broker: &'a dyn Broker,
    pub(crate) clock: &'a Clock,
    pub(crate) config: &'a Config,
}

impl Reposition<'_> {
    /// Carries the change out, whole or not at all.
    pub(crate) async fn carry_out(&self, change: Change) -> Result<(), Error> {
        match self.config.kind() {
            Kind::Source => self.source(change).await,
            Kind::Sink => self.sink(change).await,
        }
    }

    async fn source(&self, change: Change) -> Result<(), Error> {
        let (broker, config) = (self.broker, self.config);
        let wanted = match change {
            Change::Set(wanted) => wanted,
            Change::Reset => {
                let known = merged(&states(broker, &config.name).await?);
                let partitions = known.iter();
                partitions
                    .map(|(partition, _)| (partition.clone(), None))
                    .collect()
            }
        };
        for (partition, offset) in &wanted {
            self.check(partition, offset.as_ref())?;
        }
        let layout = Layout::begin(broker, &config.name, 1).await?;
        // A map, for a partition that is named twice is kept once.
        let positions: BTreeMap<String, String> = wanted
            .iter()
            .map(|(partition, offset)| entry(partition, offset.as_ref(), layout.number))
            .collect();
        self.commit(Vec::new(), positions.into_iter().collect())
            .await
    }

    async fn sink(&self, change: Change) -> Result<(), Error> {
        let offsets = match change {
            Change::Set(wanted) => self.queues_wanted(wanted).await?,
            Change::Reset => self.queues_committed().await?,
        };
        self.commit(offsets, Vec::new()).await
    }

    async fn queues_wanted(&self, wanted: Wanted) -> Result<Vec<(QueueId, QueueOffset)>, Error> {
        let mut offsets = BTreeMap::new();
        for (partition, offset) in wanted {
            let queue = self.queue(&partition).await?;
            self.check(&partition, offset.as_ref())?;
            let bounds = self.broker.bounds(&queue).await?;
            let next = match &offset {
                None => self.beginning(bounds),
                Some(offset) => next(offset)?,
            };
            if next > bounds.max {
                let (max, topic, number) = (bounds.max.0, &queue.topic, queue.number);
                return Err(refused(format!(
                    "queue {number} of {topic} ends at offset {max}, {} lies beyond",
                    next.0
                )));
            }
            offsets.insert(queue, next);
        }
        Ok(offsets.into_iter().collect())
    }

    async fn queues_committed(&self) -> Result<Vec<(QueueId, QueueOffset)>, Error> {
        let (broker, group) = (self.broker, self.config.group());
        self.check(&Object::new(), None)?;
        let mut offsets = Vec::new();
        for topic in &self.config.topics {
            for number in 0..broker.queues(topic).await?.unwrap_or(0) {
                let queue = QueueId::new(topic.clone(), number);
                if broker.committed(&group, &queue).await?.is_some() {
                    let bounds = broker.bounds(&queue).await?;
                    offsets.push((queue, self.beginning(bounds)));
                }
            }
        }
        Ok(offsets)
    }

    /// Where a queue is begun that was never read.
    fn beginning(&self, bounds: Bounds) -> QueueOffset {
        match self.config.common.text("start") {
            Some("latest") => bounds.max,
            _ => bounds.min,
        }
    }

    /// The queue a partition names, if the connector reads it.
    async fn queue(&self, partition: &Object) -> Result<QueueId, Error> {
        let topic = partition.get("kafka_topic").and_then(Value::as_str);
        let number = partition.get("kafka_partition").and_then(number);
        let (Some(topic), Some(number)) = (topic, number) else {
            return Err(refused(
                "The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition'",
            ));
        };
        let known: Option<&Topic> = self
            .config
            .topics
            .iter()
            .find(|known| known.as_str() == topic);
        let Some(topic) = known else {
            let name = &self.config.name;
            return Err(refused(format!("connector {name} does not read {topic}")));
        };
        let queues = self.broker.queues(topic).await?.unwrap_or(0);
        match u32::try_from(number) {
            Ok(number) if number < queues => Ok(QueueId::new(topic.clone(), number)),
            _ => Err(refused(format!(
                "{topic} has {queues} queues, {number} is none of them"
            ))),
        }
    }

    fn check(&self, partition: &Object, offset: Option<&Object>) -> Result<(), Error> {
        let config = self.config;
        config
            .connector
            .check_position(&config.own, partition, offset)
            .map_err(refused)
    }

    async fn commit(
        &self,
        offsets: Vec<(QueueId, QueueOffset)>,
        positions: Vec<(String, String)>,
    ) -> Result<(), Error> {
        let job = self.config.job();
        let generation = self.broker.fence(&job).await?;
        let epoch = self.broker.shard(&job, 0).await?.epoch + 1;
        let group: Option<ConsumerGroup> = (!offsets.is_empty()).then(|| self.config.group());
        let commit = Commit {
            job,
            generation,
            shard: 0,
            epoch,
            group,
            offsets,
            outputs: Vec::new(),
            positions,
        };
        for _ in 1..ATTEMPTS {
            match self.broker.commit(commit.clone()).await {
                Err(BrokerError::Unavailable { .. }) => self.clock.sleep(PAUSE).await,
                answered => return Ok(answered?),
            }
        }
        Ok(self.broker.commit(commit).await?)
    }
}

/// The offset of a queue, as a number or as Kafka takes it too, its text.
fn next(offset: &Object) -> Result<QueueOffset, Error> {
    let Some(value) = offset.get("kafka_offset") else {
        return Err(refused(
            "The offset for a sink connector should either be null or contain the key 'kafka_offset'",
        ));
    };
    number(value).map(QueueOffset).ok_or_else(|| {
        refused(format!(
            "Failed to parse the following Kafka offset value in the provided offsets: {value}. Offset values for sink connectors need to be integers from 0 on."
        ))
    })
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

fn refused(message: impl Into<String>) -> Error {
    let message = message.into();
    Error::Bad { message }
}
