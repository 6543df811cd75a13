//! How far a consumer has come: kept by the broker for a group that shares, by itself for one
//! of which each member gets everything.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use model::{QueueOffset, Topic};
use parking_lot::Mutex;
use protocol::body::{self, MessageQueue, ResetOffsets};
use runtime::{Disk, Tasks};

use super::settings::{ConsumeFrom, PushSettings};
use crate::admin::broker_queue;
use crate::route::BrokerQueue;
use crate::{Error, PullConsumer};

/// Knows where queues begin, and keeps where they are.
pub(crate) struct Progress {
    broker: PullConsumer,
    from: ConsumeFrom,
    own: Option<Own>,
}

/// Offsets kept on this side.
struct Own {
    /// Guards a plain map.
    offsets: Mutex<BTreeMap<BrokerQueue, QueueOffset>>,
    kept_in: Option<(Arc<dyn Disk>, PathBuf)>,
    tasks: Tasks,
}

impl Progress {
    /// Reads what a broadcasting consumer kept before. A file that cannot be read is an error: a
    /// consumer that silently began anew would handle everything again.
    pub(crate) async fn open(
        settings: &PushSettings,
        broker: PullConsumer,
        tasks: &Tasks,
    ) -> Result<Progress, Error> {
        let own = match settings.shares() {
            true => None,
            false => Some(Own::open(settings.kept_in.clone(), tasks.clone()).await?),
        };
        Ok(Progress {
            broker,
            from: settings.from,
            own,
        })
    }

    /// Where reading a queue begins.
    pub(crate) async fn start(&self, queue: &BrokerQueue) -> Result<QueueOffset, Error> {
        let broker = self.broker.on_broker(&queue.broker);
        let id = queue.id();
        let known = match &self.own {
            Some(own) => own.offsets.lock().get(queue).copied(),
            None => broker.committed_or_young(&id).await?,
        };
        match known {
            Some(offset) => Ok(offset),
            None if queue.topic.is_retry() => Ok(QueueOffset(0)),
            None => match self.from {
                ConsumeFrom::End => broker.max_offset(&id).await,
                ConsumeFrom::Start => broker.min_offset(&id).await,
                ConsumeFrom::Time(time) => broker.offset_at(&id, time).await,
            },
        }
    }

    /// Keeps where a queue is.
    pub(crate) async fn keep(&self, queue: &BrokerQueue, offset: QueueOffset) -> Result<(), Error> {
        match &self.own {
            Some(own) => {
                own.offsets.lock().insert(queue.clone(), offset);
                Ok(())
            }
            None => {
                let broker = self.broker.on_broker(&queue.broker);
                broker.commit(&queue.id(), offset).await
            }
        }
    }

    /// Writes down what is kept on this side.
    pub(crate) async fn flush(&self) {
        if let Some(own) = &self.own
            && let Err(why) = own.flush().await
        {
            tracing::error!(%why, "a broadcasting consumer's progress could not be kept");
        }
    }
}

impl Own {
    async fn open(kept_in: Option<(Arc<dyn Disk>, PathBuf)>, tasks: Tasks) -> Result<Own, Error> {
        let mut offsets = BTreeMap::new();
        if let Some((disk, path)) = kept_in.clone() {
            let file = path.clone();
            let read = tasks.blocking("read progress", move || disk.read(&file));
            let failed = |why: String| Error::Progress {
                path: path.clone(),
                why,
            };
            match read.await {
                Ok(Ok(text)) => offsets = parse(&text).map_err(|why| failed(why.to_string()))?,
                Ok(Err(why)) if why.kind() == io::ErrorKind::NotFound => {}
                Ok(Err(why)) => return Err(failed(why.to_string())),
                Err(why) => return Err(failed(why.to_string())),
            }
        }
        Ok(Own {
            offsets: Mutex::new(offsets),
            kept_in,
            tasks,
        })
    }

    async fn flush(&self) -> io::Result<()> {
        let Some((disk, path)) = self.kept_in.clone() else {
            return Ok(());
        };
        let text = write(&self.offsets.lock());
        let written = self.tasks.blocking("keep progress", move || {
            if let Some(folder) = path.parent() {
                disk.create_dir_all(folder)?;
            }
            disk.replace(&path, &text)
        });
        written.await.map_err(io::Error::other)?
    }
}

/// The file has the form of RocketMQ's `offsets.json`.
fn write(offsets: &BTreeMap<BrokerQueue, QueueOffset>) -> bytes::Bytes {
    let entry = |(queue, offset): (&BrokerQueue, &QueueOffset)| {
        let offset = i64::try_from(offset.0).unwrap_or(i64::MAX);
        (message_queue(queue), offset)
    };
    body::encode(&ResetOffsets {
        offset_table: offsets.iter().map(entry).collect(),
    })
}

fn parse(text: &[u8]) -> Result<BTreeMap<BrokerQueue, QueueOffset>, protocol::Error> {
    let kept: ResetOffsets = body::decode(text)?;
    let entry = |(queue, offset): (MessageQueue, i64)| {
        let offset = QueueOffset(u64::try_from(offset).ok()?);
        Some((broker_queue(&queue)?, offset))
    };
    Ok(kept.offset_table.into_iter().filter_map(entry).collect())
}

/// The queue as bodies name it.
pub(crate) fn message_queue(queue: &BrokerQueue) -> MessageQueue {
    MessageQueue {
        broker_name: queue.broker.to_string(),
        queue_id: i32::try_from(queue.number).unwrap_or(i32::MAX),
        topic: Topic::to_string(&queue.topic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_read_again() {
        let queue = |number| BrokerQueue {
            topic: Topic::parse("t").expect("a topic's name"),
            broker: "broker-a".into(),
            number,
        };
        let offsets = BTreeMap::from([(queue(0), QueueOffset(7)), (queue(1), QueueOffset(0))]);
        assert_eq!(parse(&write(&offsets)).expect("our own text"), offsets);
        assert!(parse(b"{\"offsetTable\":{{\"topic\":").is_err());
    }
}
