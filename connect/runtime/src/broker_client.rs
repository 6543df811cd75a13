//! A real broker, spoken to as any client speaks to it.
//!
//! Rows and positions of a connector are committed on one broker: a commit is atomic there. The
//! configurations are small and lie with the name servers.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use client::{Admin, Client, CommitEpoch, Filter, Jobs, NewTopic, PullConsumer};
use model::{ConsumerGroup, QueueId, QueueOffset, Topic};

use crate::broker::{Bounds, Broker, BrokerError, Commit, Pulled, ShardState};

/// A broker reached by a client. Cheap to clone.
#[derive(Clone)]
pub struct ClientBroker {
    client: Client,
    jobs: Jobs,
    admin: Admin,
    broker: Option<String>,
}

impl ClientBroker {
    /// Works on the only broker there is.
    pub fn new(client: Client) -> Self {
        Self {
            jobs: client.jobs(None),
            admin: client.admin(),
            broker: None,
            client,
        }
    }

    /// Works on the broker of that name, where there are several.
    pub fn on_broker(client: Client, broker: &str) -> Self {
        Self {
            jobs: client.jobs(Some(broker)),
            broker: Some(broker.to_owned()),
            ..Self::new(client)
        }
    }

    fn consumer(&self, group: &ConsumerGroup) -> PullConsumer {
        let consumer = self.client.pull_consumer(group.clone());
        match &self.broker {
            Some(broker) => consumer.on_broker(broker),
            None => consumer,
        }
    }

    /// A consumer that commits nothing.
    fn looker(&self) -> PullConsumer {
        let group = ConsumerGroup::parse("connect").expect("a plain word is a group's name");
        self.consumer(&group)
    }
}

#[async_trait]
impl Broker for ClientBroker {
    async fn fence(&self, job: &str) -> Result<u64, BrokerError> {
        self.jobs.fence(job).await.map_err(understood)
    }

    async fn commit(&self, commit: Commit) -> Result<(), BrokerError> {
        let epoch = CommitEpoch {
            job: commit.job,
            generation: commit.generation,
            shard: commit.shard,
            epoch: commit.epoch,
            group: commit.group,
            offsets: commit.offsets,
            metadata: commit.positions,
            outputs: commit.outputs,
        };
        self.jobs
            .commit_epoch(&epoch)
            .await
            .map(drop)
            .map_err(understood)
    }

    async fn shard(&self, job: &str, shard: u32) -> Result<ShardState, BrokerError> {
        let state = self.jobs.state(job, shard).await.map_err(understood)?;
        Ok(ShardState {
            epoch: state.epoch,
            positions: state.positions,
        })
    }

    async fn ensure_topic(&self, topic: &Topic, queues: u32) -> Result<u32, BrokerError> {
        if let Some(queues) = self.queues(topic).await? {
            return Ok(queues);
        }
        let new = NewTopic::new(topic.clone(), queues);
        self.admin.create_topic(&new).await.map_err(understood)?;
        Ok(self.queues(topic).await?.unwrap_or(queues))
    }

    async fn queues(&self, topic: &Topic) -> Result<Option<u32>, BrokerError> {
        match self.looker().queues(topic).await {
            Ok(queues) => Ok(u32::try_from(queues.len()).ok().filter(|count| *count > 0)),
            Err(client::Error::NoRoute { .. }) => Ok(None),
            Err(error) => Err(understood(error)),
        }
    }

    async fn bounds(&self, queue: &QueueId) -> Result<Bounds, BrokerError> {
        let looker = self.looker();
        Ok(Bounds {
            min: looker.min_offset(queue).await.map_err(understood)?,
            max: looker.max_offset(queue).await.map_err(understood)?,
        })
    }

    async fn committed(
        &self,
        group: &ConsumerGroup,
        queue: &QueueId,
    ) -> Result<Option<QueueOffset>, BrokerError> {
        let committed = self.consumer(group).committed(queue).await;
        committed.map_err(understood)
    }

    async fn pull(
        &self,
        group: &ConsumerGroup,
        queue: &QueueId,
        from: QueueOffset,
        max: usize,
        wait: Duration,
    ) -> Result<Pulled, BrokerError> {
        let max = u32::try_from(max).unwrap_or(u32::MAX);
        let consumer = self.consumer(group);
        let pulled = consumer.pull(queue, from, max, &Filter::All, wait).await;
        let pulled = pulled.map_err(understood)?;
        Ok(Pulled {
            messages: pulled.messages,
            next: pulled.next,
        })
    }

    async fn records(&self, namespace: &str) -> Result<BTreeMap<String, String>, BrokerError> {
        self.admin.values(namespace).await.map_err(understood)
    }

    async fn put_record(&self, namespace: &str, key: &str, value: &str) -> Result<(), BrokerError> {
        let put = self.admin.put_value(namespace, key, value).await;
        put.map_err(understood)
    }

    async fn remove_record(&self, namespace: &str, key: &str) -> Result<(), BrokerError> {
        let removed = self.admin.remove_value(namespace, key).await;
        removed.map_err(understood)
    }
}

fn understood(error: client::Error) -> BrokerError {
    let why = error.to_string();
    match error {
        client::Error::Fenced { job, .. } => BrokerError::Fenced { job },
        client::Error::Closed { .. } => BrokerError::Unavailable { why },
        error if error.is_transient() => BrokerError::Unavailable { why },
        _ => BrokerError::Refused { why },
    }
}
