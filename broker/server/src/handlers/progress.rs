//! How far groups have come, and moving them elsewhere.

use delivery::{LongPolls, Schedule};
use metadata::CommittedOffsets;
use model::{ConsumerGroup, QueueId, QueueOffset, Timestamp, Topic};
use protocol::body::{
    self, ConsumeStats, ConsumeStatsList, DataVersion, OffsetWrapper, ResetOffsets, Table,
};
use protocol::headers::{GetBrokerConsumeStats, GetConsumeStats, ResetOffset};
use protocol::{Frame, ReadFields, Reply, ResponseCode};
use serde::Serialize;
use store::{Boundary, MessageStore};

use super::Identity;
use super::topics::{stored_at, wire_queue};
use crate::pull_progress::PullProgress;
use crate::respond::Refusal;
use crate::sessions::Sessions;
use crate::statistics::{Span, Statistics};

/// What questions about progress need of the broker.
pub struct Progress<'a> {
    pub identity: &'a Identity,
    pub store: &'a MessageStore,
    pub topics: &'a metadata::Topics,
    pub groups: &'a metadata::Groups,
    pub offsets: &'a CommittedOffsets,
    pub pulled: &'a PullProgress,
    pub sessions: &'a Sessions,
    pub statistics: &'a Statistics,
    pub polls: &'a LongPolls,
    pub schedule: &'a Schedule,
    /// The broker's own address.
    pub address: String,
}

/// The text of `consumerOffset.json`, as a replica asks for it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AllOffsets {
    data_version: DataVersion,
    offset_table: Table<String, Table<u32, i64>>,
    pull_offset_table: Table<String, Table<u32, i64>>,
}

/// The text of `delayOffset.json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DelayOffsets {
    data_version: DataVersion,
    offset_table: Table<u32, i64>,
}

impl Progress<'_> {
    /// Answers 208: of one topic, of several, or of all that the group has read.
    pub async fn of_group(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = GetConsumeStats::read_fields(&request.header.ext)?;
        let listed = header.topics.unwrap_or_default().split(';');
        let mut topics: Vec<String> = header
            .topic
            .into_iter()
            .chain(listed)
            .filter(|topic| !topic.is_empty())
            .map(str::to_owned)
            .collect();
        if topics.is_empty() {
            topics = self.topics_of(header.group);
        }
        let mut stats = ConsumeStats::default();
        for topic in topics {
            self.add(&mut stats, header.group, &topic, Inflight::Told)
                .await?;
        }
        Ok(Reply::success().body(body::encode(&stats)))
    }

    /// Answers 317: every group's progress in every topic it has read.
    pub async fn of_all(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = GetBrokerConsumeStats::read_fields(&request.header.ext)?;
        let mut list = ConsumeStatsList {
            broker_addr: self.address.clone(),
            ..ConsumeStatsList::default()
        };
        for group in self.groups.all().keys() {
            let mut of_group = Vec::new();
            for topic in self.topics_of(group.as_str()) {
                let ordered = self.topics.get(&topic).is_some_and(|topic| topic.ordered);
                if header.ordered && !ordered {
                    continue;
                }
                let mut stats = ConsumeStats::default();
                self.add(&mut stats, group.as_str(), &topic, Inflight::Untold)
                    .await?;
                for (_, offsets) in &stats.offset_table {
                    list.total_diff += offsets.broker_offset - offsets.consumer_offset;
                }
                if !stats.offset_table.is_empty() {
                    of_group.push(stats);
                }
            }
            list.consume_stats_list
                .push(Table(vec![(group.to_string(), of_group)]));
        }
        Ok(Reply::success().body(body::encode(&list)))
    }

    fn topics_of(&self, group: &str) -> Vec<String> {
        let read = self.offsets.of_group(group);
        let mut topics: Vec<String> = read.keys().map(|queue| queue.topic.to_string()).collect();
        topics.dedup();
        topics
    }

    /// Adds the queues of one topic; none when the group is connected and no longer wants it.
    async fn add(
        &self,
        stats: &mut ConsumeStats,
        group: &str,
        topic: &str,
        inflight: Inflight,
    ) -> Result<(), Refusal> {
        let Some(config) = self.topics.get(topic) else {
            return Ok(());
        };
        if let Some((_, None)) = self.sessions.subscription(group, topic) {
            return Ok(());
        }
        let topic = Topic::stored(topic)?;
        for number in 0..config.read_queues {
            let queue = QueueId::new(topic.clone(), number);
            let end = self.store.bounds(&queue).unwrap_or_default().max.0 as i64;
            let committed = self.offsets.get(group, &queue).map_or(0, |offset| offset.0);
            let last = match committed.checked_sub(1) {
                Some(last) => stored_at(self.store, &queue, QueueOffset(last)).await?,
                None => None,
            };
            let committed = committed as i64;
            let pulled = match inflight {
                Inflight::Told => self
                    .pulled
                    .get(group, &queue)
                    .map_or(committed, |offset| committed.max(offset.0 as i64)),
                Inflight::Untold => 0,
            };
            stats.offset_table.push(
                wire_queue(&self.identity.name, &queue),
                OffsetWrapper {
                    broker_offset: end,
                    consumer_offset: committed,
                    last_timestamp: last.map_or(0, |time| time.0),
                    pull_offset: pulled,
                },
            );
        }
        stats.consume_tps += self
            .statistics
            .got_of(topic.as_str(), group, Span::Minute)
            .map_or(0.0, |growth| growth.messages_per_second());
        Ok(())
    }

    /// Answers 222: moves a group, whether its consumers are connected or not. They learn it
    /// with their next pull, and what they commit until then is dropped.
    pub async fn reset(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = ResetOffset::read_fields(&request.header.ext)?;
        let Some(config) = self.topics.get(header.topic) else {
            return Err(Refusal::code(
                ResponseCode::TOPIC_NOT_EXIST,
                format!("Topic {} does not exist", header.topic),
            ));
        };
        if self.groups.get(header.group).is_none() {
            return Err(Refusal::code(
                ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
                format!("Group {} does not exist", header.group),
            ));
        }
        let topic = Topic::stored(header.topic)?;
        let group = ConsumerGroup::stored(header.group)?;
        let queues = match u32::try_from(header.queue) {
            Ok(number) => number..number.saturating_add(1),
            Err(_) => 0..config.read_queues,
        };
        let asked = header
            .offset
            .filter(|offset| *offset != -1 && header.queue >= 0);
        // Every target first: one that is refused moves nothing.
        let mut targets = Vec::new();
        for number in queues {
            let queue = QueueId::new(topic.clone(), number);
            let offset = match asked {
                Some(offset) => self.within(&queue, offset)?,
                None => self.at(&queue, header.timestamp).await?,
            };
            targets.push((queue, offset));
        }
        let mut reply = ResetOffsets::default();
        for (queue, offset) in targets {
            self.offsets.reset(&group, &queue, offset);
            self.polls.wake_all(&queue);
            reply
                .offset_table
                .push(wire_queue(&self.identity.name, &queue), offset.0 as i64);
        }
        Ok(Reply::success().body(body::encode(&reply)))
    }

    fn within(&self, queue: &QueueId, offset: i64) -> Result<QueueOffset, Refusal> {
        let bounds = self.store.bounds(queue).unwrap_or_default();
        let target = u64::try_from(offset).ok().map(QueueOffset);
        target
            .filter(|target| (bounds.min..=bounds.max).contains(target))
            .ok_or_else(|| {
                let (min, max) = (bounds.min.0, bounds.max.0);
                Refusal::code(
                    ResponseCode::SYSTEM_ERROR,
                    format!("Target offset {offset} not in consume queue range [{min}-{max}]"),
                )
            })
    }

    /// Where a time lies in a queue; a time below zero means its end.
    async fn at(&self, queue: &QueueId, time: i64) -> Result<QueueOffset, Refusal> {
        if time < 0 {
            return Ok(self.store.bounds(queue).unwrap_or_default().max);
        }
        Ok(self
            .store
            .offset_at(queue, Timestamp(time), Boundary::Lower)
            .await?)
    }

    /// Answers 43.
    pub fn all_offsets(&self) -> Reply {
        let mut table = Table::new();
        for group in self.groups.all().keys() {
            add_by_topic(&mut table, group, self.offsets.of_group(group.as_str()));
        }
        let mut pulled = Table::new();
        for (group, queues) in self.pulled.all() {
            add_by_topic(&mut pulled, &group, queues);
        }
        Reply::success().body(body::encode(&AllOffsets {
            data_version: self.identity.version(0),
            offset_table: table,
            pull_offset_table: pulled,
        }))
    }

    /// Answers 45.
    pub fn delay_offsets(&self) -> Reply {
        let levels = self.schedule.progress().into_iter();
        let offset_table = levels
            .filter(|(_, _, end)| end.0 > 0)
            .map(|(level, next, _)| (level.number(), next.0 as i64));
        Reply::success().body(body::encode(&DelayOffsets {
            data_version: self.identity.version(0),
            offset_table: offset_table.collect(),
        }))
    }
}

/// Whether the offset a group was last handed is told beside the committed one.
#[derive(Clone, Copy)]
enum Inflight {
    Told,
    Untold,
}

/// `topic@group` with the offsets of its queues.
fn add_by_topic(
    table: &mut Table<String, Table<u32, i64>>,
    group: &ConsumerGroup,
    queues: impl IntoIterator<Item = (QueueId, QueueOffset)>,
) {
    for (queue, offset) in queues {
        let key = format!("{}@{group}", queue.topic);
        if table.0.last().is_none_or(|(last, _)| *last != key) {
            table.push(key, Table::new());
        }
        if let Some((_, offsets)) = table.0.last_mut() {
            offsets.push(queue.number, offset.0 as i64);
        }
    }
}
