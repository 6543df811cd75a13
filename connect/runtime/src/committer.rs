//! One task's epochs: each is committed until it is known to be, or known to be refused.
//!
//! A commit whose answer is lost may have happened. Beginning another with other contents under
//! the same number would then lose records, so the same one is repeated until there is an
//! answer. If the task is stopped before that, nobody may go on with this generation: the
//! connector has to take its job over anew, and what is still under way is refused.

use std::sync::Arc;

use connect_sdk::{Error, Positions};
use model::{ConsumerGroup, Message, QueueId, QueueOffset};

use crate::broker::{Broker, BrokerError, Commit};
use crate::positions;
use crate::task::{TaskEnv, TaskError};

pub(crate) struct Committer {
    broker: Arc<dyn Broker>,
    job: String,
    generation: u64,
    shard: u32,
    epoch: u64,
}

impl Committer {
    /// Goes on after the last epoch of the task.
    pub(crate) async fn open(env: &TaskEnv) -> Result<Self, TaskError> {
        let job = env.config.job();
        let shard = u32::try_from(env.number).unwrap_or(u32::MAX);
        let state = env.ask(|| env.broker.shard(&job, shard)).await?;
        Ok(Self {
            broker: env.broker.clone(),
            job,
            generation: env.generation,
            shard,
            epoch: state.epoch,
        })
    }

    /// Rows and the position behind them.
    pub(crate) async fn rows(
        &mut self,
        env: &TaskEnv,
        outputs: Vec<Message>,
        positions: &Positions,
    ) -> Result<(), TaskError> {
        let positions = positions::written(positions, env.layout);
        self.commit(env, None, Vec::new(), outputs, positions).await
    }

    /// Messages on their own.
    pub(crate) async fn messages(
        &mut self,
        env: &TaskEnv,
        outputs: Vec<Message>,
    ) -> Result<(), TaskError> {
        self.commit(env, None, Vec::new(), outputs, Vec::new())
            .await
    }

    /// A group's offsets.
    pub(crate) async fn offsets(
        &mut self,
        env: &TaskEnv,
        group: ConsumerGroup,
        offsets: Vec<(QueueId, QueueOffset)>,
    ) -> Result<(), TaskError> {
        self.commit(env, Some(group), offsets, Vec::new(), Vec::new())
            .await
    }

    async fn commit(
        &mut self,
        env: &TaskEnv,
        group: Option<ConsumerGroup>,
        offsets: Vec<(QueueId, QueueOffset)>,
        outputs: Vec<Message>,
        positions: Vec<(String, String)>,
    ) -> Result<(), TaskError> {
        let commit = Commit {
            job: self.job.clone(),
            generation: self.generation,
            shard: self.shard,
            epoch: self.epoch + 1,
            group,
            offsets,
            outputs,
            positions,
        };
        let mut backoff = env.backoff();
        loop {
            let failed = match self.broker.commit(commit.clone()).await {
                Ok(()) => break,
                Err(BrokerError::Fenced { job }) => {
                    return Err(
                        Error::fenced(format!("a newer generation of {job} is running")).into(),
                    );
                }
                Err(BrokerError::Refused { why }) => {
                    return Err(Error::config(
                        format!("the broker refused the records: {why}"),
                        "see the broker's log; a smaller batch.rows helps if the batch was too large",
                    )
                    .into());
                }
                Err(error @ BrokerError::Unavailable { .. }) => error,
            };
            env.struggling(&failed.to_string());
            if env.pause_or_stop(backoff.next(env.clock.now())).await {
                return Err(TaskError::Unknown);
            }
        }
        self.epoch += 1;
        env.recovered();
        Ok(())
    }
}
