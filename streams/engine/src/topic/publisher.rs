//! Makes an epoch visible: its records and the offsets it was computed from, together.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use client::{Client, CommitEpoch, Jobs, NewTopic};
use dataflow::{Dataflow, RowPolicy};
use model::{Message, Properties, Topic};

use super::TopicOptions;
use super::group_offsets::Groups;
use crate::{BoxError, Outbox, OutputRecord, PublishError, PublishLimits, Publisher};

/// Queues of a topic that a job makes because it is not there.
const QUEUES: u32 = 8;
/// What a broker takes in one commit, less room for the commit's own description.
const LIMITS: PublishLimits = PublishLimits {
    records: 100_000,
    bytes: 12 << 20,
};

/// The further groups of a job commit their offsets in shards behind this one.
const GROUP_SHARDS: u32 = 1 << 31;

/// Publishes the epochs of one run of a job. A later run fences this one.
pub struct TopicPublisher {
    jobs: Jobs,
    job: String,
    generation: u64,
    /// The last epoch of an earlier run that is published; older ones are too.
    published: u64,
    groups: Groups,
    /// Queues of every topic the job writes to.
    queues: HashMap<String, (Topic, u32)>,
}

impl TopicPublisher {
    /// Takes the job over, and makes the topics it writes to that are not there.
    pub async fn open(client: Client, dataflow: &Dataflow) -> Result<TopicPublisher, BoxError> {
        let jobs = client.jobs(None);
        let generation = jobs.fence(&dataflow.name).await?;
        let published = jobs.state(&dataflow.name, 0).await?.epoch;
        let mut publisher = TopicPublisher {
            jobs,
            job: dataflow.name.clone(),
            generation,
            published,
            groups: Groups::of(dataflow)?,
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

    /// The messages of some of an outbox's records, the first of which has this number.
    fn messages(
        &self,
        outbox: &Outbox,
        from: usize,
        records: &[OutputRecord],
    ) -> Result<Vec<Message>, BoxError> {
        let mut messages = Vec::with_capacity(records.len());
        for (number, record) in records.iter().enumerate() {
            let (topic, queues) = self
                .queues
                .get(&record.destination)
                .ok_or_else(|| format!("the job does not write to {}", record.destination))?;
            let queue = queue_of(&record.key, outbox.epoch.0, from + number, *queues);
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
            messages.push(message);
        }
        Ok(messages)
    }

    /// An epoch as the broker takes it. One that it cannot take whole becomes several commits,
    /// each of a shard of its own, so that each counts its epochs; the first in the outbox is
    /// shard 0 and comes last, with the offsets.
    ///
    /// One commit has room for one group. The offsets of further groups follow, again each in a
    /// shard of its own: a job goes on from its state, so they only have to arrive, and they do
    /// with the epoch's repetition after a crash.
    fn commits(&self, outbox: &Outbox) -> Result<Vec<CommitEpoch>, BoxError> {
        let groups = self.groups.offsets(outbox)?.into_iter();
        let mut commits = Vec::new();
        for (shard, part) in parts(&outbox.records, LIMITS).into_iter().enumerate() {
            let mut commit = self.commit(outbox, u32::try_from(shard)?);
            commit.outputs = self.messages(outbox, part.start, &outbox.records[part])?;
            commits.push(commit);
        }
        commits.reverse();
        for (number, (group, offsets)) in (0..).zip(groups) {
            if offsets.is_empty() {
                continue;
            }
            if number > 0 {
                commits.push(self.commit(outbox, GROUP_SHARDS + number));
            }
            if let Some(last) = commits.last_mut() {
                (last.group, last.offsets) = (Some(group), offsets);
            }
        }
        Ok(commits)
    }

    /// A commit of one shard, with nothing in it.
    fn commit(&self, outbox: &Outbox, shard: u32) -> CommitEpoch {
        CommitEpoch {
            job: self.job.clone(),
            generation: self.generation,
            shard,
            epoch: outbox.epoch.0,
            group: None,
            offsets: Vec::new(),
            metadata: Vec::new(),
            outputs: Vec::new(),
        }
    }
}

#[async_trait]
impl Publisher for TopicPublisher {
    async fn publish(&mut self, outbox: &Outbox) -> Result<(), PublishError> {
        if outbox.epoch.0 < self.published {
            return Ok(());
        }
        for commit in self.commits(outbox).map_err(PublishError::Refused)? {
            match self.jobs.commit_epoch(&commit).await {
                Ok(_) => {}
                Err(client::Error::Fenced { .. }) => return Err(PublishError::Fenced),
                Err(why) if why.is_transient() => return Err(PublishError::Retry(why.into())),
                Err(why) => return Err(PublishError::Refused(why.into())),
            }
        }
        Ok(())
    }

    fn limits(&self) -> PublishLimits {
        LIMITS
    }
}

/// Cuts records into runs that keep the limits, or are one record; always at least one run.
fn parts(records: &[OutputRecord], limits: PublishLimits) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (number, record) in records.iter().enumerate() {
        let more = record.bytes();
        if number > from && (number - from == limits.records || bytes + more > limits.bytes) {
            parts.push(from..number);
            (from, bytes) = (number, 0);
        }
        bytes += more;
    }
    parts.push(from..records.len());
    parts
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

#[cfg(test)]
mod tests {
    use super::*;

    fn records(bodies: &[usize]) -> Vec<OutputRecord> {
        let record = |bytes: &usize| OutputRecord {
            body: Some(vec![0; *bytes].into()),
            ..OutputRecord::default()
        };
        bodies.iter().map(record).collect()
    }

    #[track_caller]
    fn check(bodies: &[usize], expected: &[(usize, usize)]) {
        let limits = PublishLimits {
            records: 3,
            bytes: 1_000,
        };
        let parts = parts(&records(bodies), limits);
        let parts: Vec<_> = parts.iter().map(|part| (part.start, part.end)).collect();
        assert_eq!(parts, expected);
    }

    #[test]
    fn an_epoch_within_the_limits_is_one_part() {
        check(&[], &[(0, 0)]);
        check(&[100, 100, 100], &[(0, 3)]);
    }

    #[test]
    fn records_beyond_a_limit_go_into_the_next_part() {
        check(&[1, 1, 1, 1, 1, 1, 1], &[(0, 3), (3, 6), (6, 7)]);
        check(&[600, 600, 200], &[(0, 1), (1, 3)]);
        check(&[5_000, 1], &[(0, 1), (1, 2)]);
    }
}
