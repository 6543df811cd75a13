//! Makes an epoch visible: its records and the offsets it was computed from, together.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use async_trait::async_trait;
use bytes::Bytes;
use client::{Client, CommitEpoch, Jobs, NewTopic};
use dataflow::{Dataflow, RowPolicy};
use model::{ConsumerGroup, Message, Properties, QueueId, Topic};

use super::TopicOptions;
use super::source::read_position;
use crate::{BoxError, Outbox, PublishError, Publisher};

/// Queues of a topic that a job makes because it is not there.
const QUEUES: u32 = 8;

/// Publishes the epochs of one run of a job. A later run fences this one.
pub struct TopicPublisher {
    jobs: Jobs,
    job: String,
    generation: u64,
    /// The group whose offsets each source's positions are, by operator.
    groups: HashMap<String, ConsumerGroup>,
    /// Queues of every topic the job writes to.
    queues: HashMap<String, (Topic, u32)>,
}

impl TopicPublisher {
    /// Takes the job over, and makes the topics it writes to that are not there.
    pub async fn open(client: Client, dataflow: &Dataflow) -> Result<TopicPublisher, BoxError> {
        let jobs = client.jobs(None);
        let generation = jobs.fence(&dataflow.name).await?;
        let mut groups = HashMap::new();
        for (node, source) in dataflow
            .sources()
            .filter(|(_, source)| source.table.connector() == Some("rocketmq"))
        {
            let options = TopicOptions::of(&source.table)?;
            groups.extend(
                options
                    .group
                    .map(|group| (dataflow.node(node).operator.as_str().to_owned(), group)),
            );
        }
        let mut publisher = TopicPublisher {
            jobs,
            job: dataflow.name.clone(),
            generation,
            groups,
            queues: HashMap::new(),
        };
        for (_, sink) in dataflow
            .sinks()
            .filter(|(_, sink)| sink.table.connector() == Some("rocketmq"))
        {
            publisher
                .write_to(&client, TopicOptions::of(&sink.table)?.topic)
                .await?;
        }
        let policies = [
            &dataflow.policies.undecodable,
            &dataflow.policies.late,
            &dataflow.policies.function,
        ];
        for policy in policies {
            if let RowPolicy::DeadLetter(topic) = policy {
                publisher.write_to(&client, Topic::parse(topic)?).await?;
            }
        }
        Ok(publisher)
    }

    async fn write_to(&mut self, client: &Client, topic: Topic) -> Result<(), BoxError> {
        if self.queues.contains_key(topic.as_str()) {
            return Ok(());
        }
        let route = match client.route(&topic).await {
            Err(client::Error::NoRoute { .. }) => {
                client
                    .admin()
                    .create_topic(&NewTopic::new(topic.clone(), QUEUES))
                    .await?;
                client.route(&topic).await?
            }
            found => found?,
        };
        let queues = route.writable.len() as u32;
        if queues == 0 {
            return Err(format!("topic {topic} cannot be written").into());
        }
        self.queues.insert(topic.to_string(), (topic, queues));
        Ok(())
    }

    fn commit(&self, outbox: &Outbox) -> Result<CommitEpoch, BoxError> {
        let mut outputs = Vec::with_capacity(outbox.records.len());
        for (number, record) in outbox.records.iter().enumerate() {
            let (topic, queues) = self
                .queues
                .get(&record.destination)
                .ok_or_else(|| format!("the job does not write to {}", record.destination))?;
            let queue = queue_of(&record.key, outbox.epoch.0, number, *queues);
            let mut message = Message::new(
                topic.clone(),
                queue,
                record.body.clone().unwrap_or_default(),
            );
            let mut text = Properties::new();
            for (name, value) in &record.properties {
                text.set(name, value);
            }
            message.properties = text;
            outputs.push(message);
        }
        // One commit is one group's: offsets of further groups would be another truth.
        let mut offsets = BTreeMap::new();
        let group = self.groups.values().min().cloned();
        for (name, position) in &outbox.positions {
            if group.is_none() || self.groups.get(&name.source) != group.as_ref() {
                continue;
            }
            if let Some(queue) = queue_named(&name.queue) {
                let offset = read_position(position)?;
                let kept = offsets.entry(queue).or_insert(offset);
                *kept = (*kept).min(offset);
            }
        }
        Ok(CommitEpoch {
            job: self.job.clone(),
            generation: self.generation,
            shard: 0,
            epoch: outbox.epoch.0,
            group: group.filter(|_| !offsets.is_empty()),
            offsets: offsets.into_iter().collect(),
            metadata: Vec::new(),
            outputs,
        })
    }
}

#[async_trait]
impl Publisher for TopicPublisher {
    async fn publish(&mut self, outbox: &Outbox) -> Result<(), PublishError> {
        let commit = self.commit(outbox).map_err(PublishError::Refused)?;
        match self.jobs.commit_epoch(&commit).await {
            Ok(_) => Ok(()),
            Err(client::Error::Fenced { .. }) => Err(PublishError::Fenced),
            Err(why) if why.is_transient() => Err(PublishError::Retry(why.into())),
            Err(why) => Err(PublishError::Refused(why.into())),
        }
    }
}

/// Equal keys always go to one queue; records without a key take turns.
fn queue_of(key: &Bytes, epoch: u64, number: usize, queues: u32) -> u32 {
    let turn = match key.is_empty() {
        true => epoch.wrapping_add(number as u64),
        false => {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            hasher.finish()
        }
    };
    (turn % u64::from(queues)) as u32
}

/// `topic/number`, as a source names its queues.
fn queue_named(name: &str) -> Option<QueueId> {
    let (topic, number) = name.rsplit_once('/')?;
    Some(QueueId::new(
        Topic::parse(topic).ok()?,
        number.parse().ok()?,
    ))
}
