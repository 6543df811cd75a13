//! The producers and consumers of a client, as brokers hear and reach them.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use model::{ConsumerGroup, QueueOffset};
use parking_lot::Mutex;
use protocol::body::{
    self, ConsumerData, ConsumerRunningInfo, HeartbeatData, MessageQueue, ProducerData,
    ResetOffsets, ResetOffsetsList, Table,
};
use protocol::headers::{ConsumerGroupNamed, GetConsumerRunningInfo, GroupAndTopic, ResetOffset};
use protocol::{Frame, ReadFields, Reply, RequestCode, ResponseCode};

use crate::connection::Incoming;

/// A consumer that takes part in its group.
pub(crate) trait Member: Send + Sync + 'static {
    /// What heartbeats say of it.
    fn describe(&self) -> ConsumerData;
    /// Somebody joined or left the group.
    fn group_changed(&self);
    /// An administrator moves the group in a topic.
    fn reset(self: Arc<Self>, topic: &str, offsets: Vec<(MessageQueue, QueueOffset)>);
    /// What it is doing.
    fn running_info(&self) -> ConsumerRunningInfo;
}

/// Who of this client is in which group.
#[derive(Default)]
pub(crate) struct Members {
    /// Guards plain maps; members are called after it is released.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Producers that share a group, by group.
    producers: BTreeMap<String, usize>,
    consumers: BTreeMap<ConsumerGroup, Weak<dyn Member>>,
}

impl Members {
    pub(crate) fn producer_joins(&self, group: &str) {
        *self
            .state
            .lock()
            .producers
            .entry(group.to_owned())
            .or_default() += 1;
    }

    /// Returns whether it was the group's last producer here.
    pub(crate) fn producer_leaves(&self, group: &str) -> bool {
        let mut state = self.state.lock();
        let Some(count) = state.producers.get_mut(group) else {
            return false;
        };
        *count -= 1;
        let last = *count == 0;
        if last {
            state.producers.remove(group);
        }
        last
    }

    /// Returns whether the group had no consumer in this client yet: one client has one voice
    /// in a group.
    pub(crate) fn consumer_joins(&self, group: &ConsumerGroup, member: Weak<dyn Member>) -> bool {
        let mut state = self.state.lock();
        let taken = state
            .consumers
            .get(group)
            .is_some_and(|member| member.strong_count() > 0);
        if !taken {
            state.consumers.insert(group.clone(), member);
        }
        !taken
    }

    pub(crate) fn consumer_leaves(&self, group: &ConsumerGroup) {
        self.state.lock().consumers.remove(group);
    }

    /// What the next heartbeat says; `None` while nobody is in any group.
    pub(crate) fn heartbeat(&self, client_id: &str) -> Option<HeartbeatData> {
        let (producers, consumers) = {
            let state = self.state.lock();
            let producers: Vec<String> = state.producers.keys().cloned().collect();
            let consumers: Vec<_> = state.consumers.values().filter_map(Weak::upgrade).collect();
            (producers, consumers)
        };
        if producers.is_empty() && consumers.is_empty() {
            return None;
        }
        let producer = |group_name| ProducerData { group_name };
        Some(HeartbeatData {
            client_id: client_id.to_owned(),
            consumer_data_set: consumers.iter().map(|member| member.describe()).collect(),
            heartbeat_fingerprint: 0,
            producer_data_set: producers.into_iter().map(producer).collect(),
            without_sub: false,
        })
    }

    fn consumer(&self, group: &str) -> Option<Arc<dyn Member>> {
        self.state.lock().consumers.get(group)?.upgrade()
    }

    fn handle(&self, request: &Frame) -> Result<Reply, protocol::Error> {
        match request.header.request_code() {
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED => {
                let header = ConsumerGroupNamed::read_fields(&request.header.ext)?;
                if let Some(consumer) = self.consumer(header.group) {
                    consumer.group_changed();
                }
                Ok(Reply::success())
            }
            RequestCode::RESET_CONSUMER_CLIENT_OFFSET => {
                let header = ResetOffset::read_fields(&request.header.ext)?;
                let offsets = reset_offsets(&request.body)?;
                if let Some(consumer) = self.consumer(header.group) {
                    consumer.reset(header.topic, offsets);
                }
                Ok(Reply::success())
            }
            RequestCode::GET_CONSUMER_RUNNING_INFO => {
                let header = GetConsumerRunningInfo::read_fields(&request.header.ext)?;
                Ok(match self.consumer(header.group) {
                    Some(consumer) => Reply::success().body(body::encode(&consumer.running_info())),
                    None => no_consumer(header.group),
                })
            }
            RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT => {
                let header = GroupAndTopic::read_fields(&request.header.ext)?;
                Ok(match self.consumer(header.group) {
                    Some(consumer) => Reply::success().body(body::encode(&progress(
                        &consumer.running_info(),
                        header.topic,
                    ))),
                    None => no_consumer(header.group),
                })
            }
            code => Ok(Reply::new(ResponseCode::REQUEST_CODE_NOT_SUPPORTED)
                .remark(format!(" request type {} not supported", code.0))),
        }
    }
}

impl Incoming for Members {
    fn answer(&self, request: &Frame) -> Reply {
        self.handle(request).unwrap_or_else(|why| {
            tracing::warn!(%why, "a broker's request could not be read");
            Reply::new(ResponseCode::SYSTEM_ERROR).remark(why.to_string())
        })
    }
}

fn no_consumer(group: &str) -> Reply {
    Reply::new(ResponseCode::SYSTEM_ERROR)
        .remark(format!("the consumer group {group} is not in this client"))
}

/// How far the consumer is in each queue of a topic.
fn progress(info: &ConsumerRunningInfo, topic: &str) -> body::ConsumerStatus {
    let of_topic = info
        .mq_table
        .iter()
        .filter(|(queue, _)| queue.topic == topic);
    let offsets = of_topic.map(|(queue, state)| (queue.clone(), state.commit_offset));
    body::ConsumerStatus {
        consumer_table: Table::new(),
        message_queue_table: offsets.collect(),
    }
}

/// Brokers write the offsets as a map with objects as keys, or as a list.
fn reset_offsets(text: &[u8]) -> Result<Vec<(MessageQueue, QueueOffset)>, protocol::Error> {
    let offset = |offset: i64| QueueOffset(u64::try_from(offset).unwrap_or(0));
    if let Ok(table) = body::decode::<ResetOffsets>(text) {
        let queues = table.offset_table.into_iter();
        return Ok(queues.map(|(queue, at)| (queue, offset(at))).collect());
    }
    let list: ResetOffsetsList = body::decode(text)?;
    let queue = |entry: body::QueueOffsetEntry| {
        let queue = MessageQueue {
            broker_name: entry.broker_name,
            queue_id: entry.queue_id,
            topic: entry.topic,
        };
        (queue, offset(entry.offset))
    };
    Ok(list.offset_table.into_iter().map(queue).collect())
}
