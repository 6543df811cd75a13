//! How far connectors have come and which topics they have used: seen, and set by hand.

use std::time::Duration;

use connect_sdk::{Kind, Positions};
use model::QueueId;

use super::Worker;
use crate::Error;
use crate::layout::states;
use crate::owner::Request;
use crate::positions::merged;
use crate::reposition::{Change, Wanted};
use crate::status::{ConnectorStatus, State};
use crate::task::Target;

/// How long a connector that was told to stop may take to end before its positions are left
/// alone.
const STOP_LIMIT: Duration = Duration::from_secs(10);

impl Worker {
    /// How far a connector has come, in Kafka's shape.
    pub async fn offsets(&self, name: &str) -> Result<Positions, Error> {
        let kept = self.kept(name)?;
        let broker = &self.parts.broker;
        let checked = self.check(&kept.config);
        let Some(config) = checked.config.filter(|config| config.kind() == Kind::Sink) else {
            return Ok(merged(&states(broker.as_ref(), name).await?));
        };
        let (mut positions, group) = (Positions::new(), config.group());
        for topic in &config.topics {
            for number in 0..broker.queues(topic).await?.unwrap_or(0) {
                let queue = QueueId::new(topic.clone(), number);
                if let Some(next) = broker.committed(&group, &queue).await? {
                    positions.set_queue(topic.as_str(), number, next.0);
                }
            }
        }
        Ok(positions)
    }

    /// Has a stopped connector go on from these positions, all of them or none; an offset of
    /// `None` is the start of its partition. The partitions not named stay where they are.
    ///
    /// # Errors
    /// [`Error::NotStopped`]; [`Error::Bad`] if the connector would not understand a position.
    pub async fn set_offsets(&self, name: &str, wanted: Wanted) -> Result<(), Error> {
        self.reposition(name, Change::Set(wanted)).await
    }

    /// Has a stopped connector begin anew.
    ///
    /// # Errors
    /// As [`Worker::set_offsets`].
    pub async fn reset_offsets(&self, name: &str) -> Result<(), Error> {
        self.reposition(name, Change::Reset).await
    }

    async fn reposition(&self, name: &str, change: Change) -> Result<(), Error> {
        self.await_stop(name).await?;
        self.request(|done| Request::Reposition {
            name: name.to_owned(),
            change,
            done,
        })
        .await
    }

    /// Waits a while for the end of a connector that was told to stop.
    async fn await_stop(&self, name: &str) -> Result<(), Error> {
        if self.kept(name)?.target() != Target::Stopped {
            return Ok(()); // It is refused in its turn.
        }
        let ended = |status: &ConnectorStatus| {
            status.due == 0 && matches!(status.state, State::Stopped | State::Failed)
        };
        let stopping = self.wait_for(name, ended);
        // What has not ended by then is refused too.
        self.parts.clock.timeout(STOP_LIMIT, stopping).await.ok();
        Ok(())
    }

    /// The topics a connector's records went to or came from, since it was created or they were
    /// reset.
    pub fn topics(&self, name: &str) -> Result<Vec<String>, Error> {
        Ok(self.status(name)?.topics.into_iter().collect())
    }

    /// Forgets which topics a connector has used.
    pub async fn reset_topics(&self, name: &str) -> Result<(), Error> {
        self.request(|done| Request::ResetTopics {
            name: name.to_owned(),
            done,
        })
        .await
    }
}
