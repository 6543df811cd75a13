//! Who is connected: heartbeats, farewells, membership.

use bytes::Bytes;
use delivery::Filter;
use delivery::QueueLocks;
use metadata::{Groups, TopicConfig, Topics};
use model::ConsumerGroup;
use model::{QueueId, Topic};
use protocol::body::{
    self, CheckClientRequest, ConsumerIds, HeartbeatData, LockReply, LockRequest, MessageQueue,
};
use protocol::headers::{ConsumerGroupNamed, HeartbeatReply, UnregisterClient};
use protocol::{ExtFields, Frame, ReadFields, Reply, RequestCode, ResponseCode};

use super::Identity;
use crate::channel::Channel;
use crate::respond::Refusal;
use crate::sessions::{Sessions, Speaker};

/// What requests about clients need of the broker.
pub struct Clients<'a> {
    pub identity: &'a Identity,
    pub sessions: &'a Sessions,
    pub topics: &'a Topics,
    pub groups: &'a Groups,
    pub locks: &'a QueueLocks,
}

impl Clients<'_> {
    /// Answers 34. A consumer group that is known, or may be made, gets its retry topic.
    pub fn heartbeat(&self, request: &Frame, channel: &Channel) -> Result<Reply, Refusal> {
        let mut data: HeartbeatData = body::decode(&request.body)?;
        let changed = self.sessions.subscription_changed(&data);
        let mut kept = Vec::with_capacity(data.consumer_data_set.len());
        for consumer in std::mem::take(&mut data.consumer_data_set) {
            let Ok(group) = ConsumerGroup::parse(&consumer.group_name) else {
                continue;
            };
            let Ok(config) = self.identity.group(&group) else {
                continue;
            };
            let queues = u32::try_from(config.retry_queue_nums).unwrap_or(0);
            if queues > 0 && self.topics.get(group.retry_topic().as_str()).is_none() {
                self.topics
                    .get_or_create(&group.retry_topic(), || TopicConfig::with_queues(queues))?;
                self.identity.topics_changed();
            }
            kept.push(consumer);
        }
        data.consumer_data_set = kept;
        let speaker = Speaker {
            channel: channel.clone(),
            language: request.header.language,
            version: request.header.version,
        };
        let news = self.sessions.heartbeat(data, &speaker);
        self.notify(news);
        Ok(Reply::success().header(&HeartbeatReply {
            supports_v2: true,
            subscription_changed: changed,
        }))
    }

    /// Answers 35.
    pub fn unregister(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = UnregisterClient::read_fields(&request.header.ext)?;
        let news = self.sessions.leave(
            header.client_id,
            header.producer_group,
            header.consumer_group,
        );
        self.notify(news);
        Ok(Reply::success())
    }

    /// Answers 38.
    pub fn list(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = ConsumerGroupNamed::read_fields(&request.header.ext)?;
        let ids = self.sessions.consumer_ids(header.group);
        if ids.is_empty() {
            return Err(Refusal::code(
                ResponseCode::SYSTEM_ERROR,
                format!("no consumer for this group, {}", header.group),
            ));
        }
        Ok(Reply::success().body(body::encode(&ConsumerIds {
            consumer_id_list: ids,
        })))
    }

    /// Answers 46: whether a consumer's filter will work, before it starts.
    pub fn check(&self, request: &Frame) -> Result<Reply, Refusal> {
        let asked: CheckClientRequest = body::decode(&request.body)?;
        Filter::parse(
            Some(&asked.subscription_data.expression_type.0),
            &asked.subscription_data.sub_string,
        )?;
        Ok(Reply::success())
    }

    /// Answers 41.
    pub fn lock(&self, request: &Frame) -> Result<Reply, Refusal> {
        let asked: LockRequest = body::decode(&request.body)?;
        let group = ConsumerGroup::parse(&asked.consumer_group)?;
        let owned = self
            .locks
            .lock(&group, &asked.client_id, &queues(&asked.mq_set));
        let broker_name = self.identity.name.clone();
        let locked = owned.into_iter().map(|queue| MessageQueue {
            broker_name: broker_name.clone(),
            queue_id: queue.number as i32,
            topic: queue.topic.to_string(),
        });
        Ok(Reply::success().body(body::encode(&LockReply {
            locked: locked.collect(),
        })))
    }

    /// Answers 42.
    pub fn unlock(&self, request: &Frame) -> Result<Reply, Refusal> {
        let asked: LockRequest = body::decode(&request.body)?;
        self.locks.unlock(
            &asked.consumer_group,
            &asked.client_id,
            &queues(&asked.mq_set),
        );
        Ok(Reply::success())
    }

    /// A connection closed.
    pub fn closed(&self, channel: &Channel) {
        let news = self.sessions.closed(channel);
        self.notify(news);
    }

    /// Tells the members of each group to share the queues anew.
    pub fn notify(&self, news: Vec<(String, Vec<Channel>)>) {
        for (group, channels) in news {
            if self
                .groups
                .get(&group)
                .is_some_and(|config| !config.notify_consumer_ids_changed_enable)
            {
                continue;
            }
            for channel in channels {
                let header = ConsumerGroupNamed { group: &group };
                channel.tell(Frame::request(
                    RequestCode::NOTIFY_CONSUMER_IDS_CHANGED,
                    ExtFields::of(&header),
                    Bytes::new(),
                ));
            }
        }
    }
}

/// Queues that do not exist are left out: nobody can lock them.
fn queues(named: &[MessageQueue]) -> Vec<QueueId> {
    let queue = |queue: &MessageQueue| {
        Some(QueueId::new(
            Topic::stored(&queue.topic).ok()?,
            u32::try_from(queue.queue_id).ok()?,
        ))
    };
    named.iter().filter_map(queue).collect()
}
