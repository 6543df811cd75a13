//! Who is connected, and who wants what: questions of tools.

use metadata::CommittedOffsets;
use protocol::body::{
    self, Connection, ConsumerConnection, GroupList, ProducerConnection, ProducerInfo,
    ProducerTable, SubscriptionOfGroup, TopicList,
};
use protocol::headers::{
    ConsumerGroupNamed, GroupAndTopic, GroupNamed, ProducerGroupNamed, TopicNamed,
};
use protocol::{Frame, ReadFields, Reply, ResponseCode};
use runtime::Clock;

use crate::respond::Refusal;
use crate::sessions::{Member, Sessions};

/// What questions about connected clients need of the broker.
pub struct Connections<'a> {
    pub sessions: &'a Sessions,
    pub offsets: &'a CommittedOffsets,
    pub clock: &'a Clock,
    /// The broker's own address.
    pub address: String,
}

impl Connections<'_> {
    /// Answers 203.
    pub fn consumers(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = ConsumerGroupNamed::read_fields(&request.header.ext)?;
        let Some(group) = self.sessions.consumer_group(header.group) else {
            return Err(Refusal::code(
                ResponseCode::CONSUMER_NOT_ONLINE,
                format!("the consumer group[{}] not online", header.group),
            ));
        };
        let subscriptions = group.subscriptions.into_iter();
        let body = ConsumerConnection {
            connection_set: group.members.values().map(connection).collect(),
            consume_from_where: group.consume_from_where,
            consume_type: group.consume_type,
            message_model: group.message_model,
            subscription_table: subscriptions
                .map(|(topic, subscription)| (topic, subscription.data))
                .collect(),
        };
        Ok(Reply::success().body(body::encode(&body)))
    }

    /// Answers 204.
    pub fn producers(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = ProducerGroupNamed::read_fields(&request.header.ext)?;
        let members = self.sessions.producers(header.group);
        if members.is_empty() {
            return Err(Refusal::code(
                ResponseCode::SYSTEM_ERROR,
                format!("the producer group[{}] not exist", header.group),
            ));
        }
        Ok(Reply::success().body(body::encode(&ProducerConnection {
            connection_set: members.iter().map(connection).collect(),
        })))
    }

    /// Answers 328.
    pub fn all_producers(&self) -> Reply {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let info = |member: &Member| ProducerInfo {
            client_id: member.client_id.clone(),
            language: member.language,
            last_update_timestamp: wall - member.silent_for(now).as_millis() as i64,
            remote_ip: member.channel.peer().ip().to_string(),
            version: member.version,
        };
        let groups = self.sessions.all_producers().into_iter();
        Reply::success().body(body::encode(&ProducerTable {
            data: groups
                .map(|(group, members)| (group, members.iter().map(info).collect()))
                .collect(),
        }))
    }

    /// Answers 300: groups that want the topic now, or have read it.
    pub fn who_consumes(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = TopicNamed::read_fields(&request.header.ext)?;
        let mut groups = self.sessions.subscribers(header.topic);
        let read = self.offsets.groups_of(header.topic);
        groups.extend(read.iter().map(ToString::to_string));
        groups.sort();
        groups.dedup();
        Ok(Reply::success().body(body::encode(&GroupList { group_list: groups })))
    }

    /// Answers 343: topics the group has read.
    pub fn topics_of(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = GroupNamed::read_fields(&request.header.ext)?;
        let read = self.offsets.of_group(header.group);
        let mut topics: Vec<String> = read.keys().map(|queue| queue.topic.to_string()).collect();
        topics.dedup();
        Ok(Reply::success().body(body::encode(&TopicList {
            broker_addr: Some(self.address.clone()),
            topic_list: topics,
        })))
    }

    /// Answers 345: what the group wants of the topic, if it is connected.
    pub fn subscription(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = GroupAndTopic::read_fields(&request.header.ext)?;
        let wanted = self.sessions.subscription(header.group, header.topic);
        let subscription = wanted.and_then(|(_, subscription)| subscription);
        Ok(Reply::success().body(body::encode(&SubscriptionOfGroup {
            group: header.group.to_owned(),
            subscription_data: subscription.map(|subscription| subscription.data),
            topic: header.topic.to_owned(),
        })))
    }
}

fn connection(member: &Member) -> Connection {
    Connection {
        client_addr: member.channel.peer().to_string(),
        client_id: member.client_id.clone(),
        language: member.language,
        version: member.version,
    }
}
