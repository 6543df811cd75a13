//! Topics under administration: made, changed, listed, measured, deleted.

use std::sync::Arc;

use delivery::LongPolls;
use metadata::{CommittedOffsets, FilterType, Permission, TopicConfig};
use model::{NameError, QueueId, QueueOffset, Timestamp, Topic, system_topics};
use protocol::body::{
    self, DataVersion, MessageQueue, Table, TopicConfigList, TopicFilterType, TopicList,
    TopicOffset, TopicStats, TopicTable,
};
use protocol::headers::{
    AllTopicConfigReply, CreateTopic, GetAllTopicConfig, GetTopicConfig, TopicNamed,
};
use protocol::{Frame, ReadFields, Reply, ResponseCode};
use store::{IndexEntry, MessageStore};

use super::{Identity, page, topic_attributes};
use crate::pull_progress::PullProgress;
use crate::registration::wire_topic;
use crate::respond::Refusal;
use crate::statistics::{Span, Statistics};

/// What administering topics needs of the broker.
pub struct Topics<'a> {
    pub identity: &'a Identity,
    pub store: &'a MessageStore,
    pub topics: &'a metadata::Topics,
    pub offsets: &'a CommittedOffsets,
    pub progress: &'a PullProgress,
    pub polls: &'a LongPolls,
    pub statistics: &'a Statistics,
}

/// Most queues a topic may be given: asking about all of them must stay cheap.
const QUEUES_LIMIT: u32 = 65_536;

impl Topics<'_> {
    /// Answers 17.
    pub fn create(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = CreateTopic::read_fields(&request.header.ext)?;
        let topic = self.own_topic(header.topic)?;
        let known = self.topics.get(topic.as_str());
        let config = TopicConfig {
            read_queues: queues("readQueueNums", header.read_queues)?,
            write_queues: queues("writeQueueNums", header.write_queues)?,
            permission: permission(header.permission)?,
            filter: match header.filter_type {
                Some("MULTI_TAG") => FilterType::MultiTag,
                _ => FilterType::SingleTag,
            },
            system_flag: header.sys_flag,
            ordered: header.ordered,
            attributes: topic_attributes::change(
                known.as_ref().map(|known| &known.attributes),
                header.attributes.unwrap_or_default(),
            )?,
        };
        self.put(vec![(topic, config)])
    }

    /// Answers 18.
    pub fn create_list(&self, request: &Frame) -> Result<Reply, Refusal> {
        let asked: TopicConfigList = body::decode(&request.body)?;
        let mut topics = Vec::with_capacity(asked.topic_config_list.len());
        for said in asked.topic_config_list {
            let topic = self.own_topic(&said.topic_name)?;
            let known = self.topics.get(topic.as_str());
            let changes: Vec<String> = said
                .attributes
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let config = TopicConfig {
                read_queues: queues("readQueueNums", said.read_queue_nums)?,
                write_queues: queues("writeQueueNums", said.write_queue_nums)?,
                permission: permission(said.perm)?,
                filter: match said.topic_filter_type {
                    TopicFilterType::MultiTag => FilterType::MultiTag,
                    TopicFilterType::SingleTag => FilterType::SingleTag,
                },
                system_flag: said.topic_sys_flag,
                ordered: said.order,
                attributes: topic_attributes::change(
                    known.as_ref().map(|known| &known.attributes),
                    &changes.join(","),
                )?,
            };
            topics.push((topic, config));
        }
        self.put(topics)
    }

    fn put(&self, topics: Vec<(Topic, TopicConfig)>) -> Result<Reply, Refusal> {
        if self.topics.put_all(topics)? {
            self.identity.topics_changed();
        }
        Ok(Reply::success())
    }

    /// Answers 215: the topic, its messages and every group's offsets in it are gone.
    pub async fn delete(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = TopicNamed::read_fields(&request.header.ext)?;
        if header.topic.trim().is_empty() {
            return Err(invalid("The specified topic is blank."));
        }
        if self.is_system(header.topic) {
            return Err(conflict(header.topic));
        }
        let Some(config) = self.topics.get(header.topic) else {
            return Ok(Reply::success());
        };
        let topic = Topic::stored(header.topic)?;
        // First nobody may send any more, then what was sent goes.
        self.topics.delete(topic.as_str())?;
        self.identity.topics_changed();
        self.store.delete_topic(&topic).await?;
        self.offsets.remove_topic(topic.as_str())?;
        self.progress.remove_topic(topic.as_str());
        for number in 0..config.queues() {
            self.polls.wake_all(&QueueId::new(topic.clone(), number));
        }
        Ok(Reply::success())
    }

    /// Answers 21: all topics, or a page of them in the order of their names.
    pub fn all(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = GetAllTopicConfig::read_fields(&request.header.ext)?;
        let version = self.identity.version(self.topics.version());
        let all = self.topics.all();
        let (skip, take) = page(
            header.sequence,
            header.max_topics,
            header.data_version,
            version,
        );
        let mut table = Table::new();
        for (topic, config) in all.iter().skip(skip).take(take) {
            table.push(topic.to_string(), wire_topic(topic.as_str(), config));
        }
        let body = TopicTable {
            data_version: version,
            mapping_data_version: Some(DataVersion {
                counter: 0,
                state_version: 0,
                timestamp: self.statistics.started(),
            }),
            topic_config_table: table,
            ..TopicTable::default()
        };
        let header = AllTopicConfigReply {
            topics: all.len() as i32,
        };
        Ok(Reply::success().header(&header).body(body::encode(&body)))
    }

    /// Answers 351.
    pub fn config(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = GetTopicConfig::read_fields(&request.header.ext)?;
        // A light topic has no settings of its own.
        let light = || {
            let light = Topic::stored(header.topic).is_ok_and(|topic| topic.is_lite());
            light.then(|| Arc::new(TopicConfig::with_queues(1)))
        };
        match self.topics.get(header.topic).or_else(light) {
            Some(config) => {
                Ok(Reply::success().body(body::encode(&wire_topic(header.topic, &config))))
            }
            None => Err(Refusal::code(
                ResponseCode::TOPIC_NOT_EXIST,
                format!("No topic in this broker. topic: {}", header.topic),
            )),
        }
    }

    /// Answers 305.
    pub fn system(&self) -> Reply {
        let topics = self.topics.all();
        let system = topics.keys().filter(|topic| self.is_system(topic.as_str()));
        Reply::success().body(body::encode(&TopicList {
            broker_addr: None,
            topic_list: system.map(ToString::to_string).collect(),
        }))
    }

    /// Answers 202: what each queue holds.
    pub async fn stats(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = TopicNamed::read_fields(&request.header.ext)?;
        let Some(config) = self.topics.get(header.topic) else {
            return Err(Refusal::code(
                ResponseCode::TOPIC_NOT_EXIST,
                format!("topic[{}] not exist", header.topic),
            ));
        };
        let topic = Topic::stored(header.topic)?;
        let mut stats = TopicStats {
            topic_put_tps: self
                .statistics
                .put_of(header.topic, Span::Minute)
                .map_or(0.0, |growth| growth.messages_per_second()),
            ..TopicStats::default()
        };
        for number in 0..config.queues() {
            let queue = QueueId::new(topic.clone(), number);
            let bounds = self.store.bounds(&queue).unwrap_or_default();
            let last = match bounds.max.0.checked_sub(1) {
                Some(last) => stored_at(self.store, &queue, QueueOffset(last)).await?,
                None => None,
            };
            stats.offset_table.push(
                wire_queue(&self.identity.name, &queue),
                TopicOffset {
                    last_update_timestamp: last.map_or(0, |time| time.0),
                    max_offset: bounds.max.0 as i64,
                    min_offset: bounds.min.0 as i64,
                },
            );
        }
        Ok(Reply::success().body(body::encode(&stats)))
    }

    /// A name that a user may give a topic, with RocketMQ's words for one that he may not.
    fn own_topic(&self, name: &str) -> Result<Topic, Refusal> {
        let topic = Topic::parse(name).map_err(|why| bad_name("topic", name, &why))?;
        match self.is_system(name) {
            true => Err(conflict(name)),
            false => Ok(topic),
        }
    }

    fn is_system(&self, name: &str) -> bool {
        let identity = self.identity;
        Topic::stored(name).is_ok_and(|topic| topic.is_system())
            || name == identity.cluster
            || name == identity.name
            || name == system_topics::reply_topic(&identity.cluster)
    }
}

/// When the message at an offset was stored; `None` if there is none.
pub async fn stored_at(
    store: &MessageStore,
    queue: &QueueId,
    offset: QueueOffset,
) -> Result<Option<Timestamp>, Refusal> {
    let entry = store.entries(queue, offset, 1).await?.pop();
    let holds = |entry: &IndexEntry| {
        (entry.queue_offset..entry.next()).contains(&offset) && !entry.is_hole()
    };
    let Some(entry) = entry.filter(holds) else {
        return Ok(None);
    };
    match store.record_at(entry.log_offset).await {
        Ok(record) => Ok(model::record::view(&record)
            .ok()
            .map(|record| record.stored)),
        // Its segment went meanwhile, or it is damaged: nobody can say when it came.
        Err(store::Error::NoSuchRecord { .. } | store::Error::Corrupt { .. }) => Ok(None),
        Err(why) => Err(why.into()),
    }
}

/// A queue as bodies name it.
pub fn wire_queue(broker: &str, queue: &QueueId) -> MessageQueue {
    MessageQueue {
        broker_name: broker.to_owned(),
        queue_id: queue.number as i32,
        topic: queue.topic.to_string(),
    }
}

/// RocketMQ's words for a name that is not one: tools print them.
pub fn bad_name(what: &str, name: &str, why: &NameError) -> Refusal {
    invalid(match why {
        NameError::Empty { .. } => format!("The specified {what} is blank."),
        NameError::TooLong { .. } => {
            format!("The specified {what} is longer than {what} max length.")
        }
        NameError::IllegalCharacter { .. } | NameError::NotAMessageId { .. } => format!(
            "The specified {what}: {name}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
        ),
    })
}

fn conflict(topic: &str) -> Refusal {
    invalid(format!("The topic[{topic}] is conflict with system topic."))
}

fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::code(ResponseCode::INVALID_PARAMETER, why)
}

fn queues(field: &str, asked: i32) -> Result<u32, Refusal> {
    match u32::try_from(asked) {
        Ok(queues) if queues <= QUEUES_LIMIT => Ok(queues),
        _ => Err(invalid(format!(
            "{field} is {asked}, allowed are 0 to {QUEUES_LIMIT}"
        ))),
    }
}

fn permission(asked: i32) -> Result<Permission, Refusal> {
    match u32::try_from(asked) {
        Ok(bits) if bits <= 7 => Ok(Permission(bits)),
        _ => Err(invalid(format!("perm is {asked}, allowed are 0 to 7"))),
    }
}
