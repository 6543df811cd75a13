//! Consumer groups: their settings, who is in them, how far they have come.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use model::{ConsumerGroup, QueueOffset, Timestamp, Topic};
use protocol::body::{
    self, ConsumeStats, ConsumerConnection, ConsumerRunningInfo, GroupTable, OffsetWrapper,
    ResetOffsets, SubscriptionGroup,
};
use protocol::headers::{
    ConsumerGroupNamed, DeleteGroup, GetConsumeStats, GetConsumerRunningInfo, ResetOffset,
};
use protocol::{ExtFields, Frame, RequestCode, ResponseCode};

use super::Admin;
use super::topics::broker_queue;
use crate::Error;
use crate::connections::{refused, unreadable};
use crate::pull_consumer::{request, success};
use crate::route::BrokerQueue;

/// Where a group is moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// The first message stored at or after this time.
    Time(Timestamp),
    /// Behind the last message.
    End,
}

/// The wire's time for the end of a queue.
const END: i64 = -1;
/// How long a broker may take that has to ask a consumer first.
const FORWARDED: Duration = Duration::from_secs(12);

impl Admin {
    /// Makes the group, or changes it, on every master.
    pub async fn create_group(&self, group: &SubscriptionGroup) -> Result<(), Error> {
        let code = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
        for (_, address) in self.brokers(None).await? {
            let request = Frame::request(code, ExtFields::new(), body::encode_standard(group));
            self.client.demand(&address, request).await?;
        }
        Ok(())
    }

    /// Deletes the group on every master, and what it has committed too if `clean_offsets`.
    pub async fn delete_group(
        &self,
        group: &ConsumerGroup,
        clean_offsets: bool,
    ) -> Result<(), Error> {
        let header = DeleteGroup {
            group: group.as_str(),
            clean_offsets,
        };
        for (_, address) in self.brokers(None).await? {
            let request = request(RequestCode::DELETE_SUBSCRIPTIONGROUP, &header);
            self.client.demand(&address, request).await?;
        }
        Ok(())
    }

    /// Every group with its settings; where brokers differ, those of the first by name.
    pub async fn groups(&self) -> Result<BTreeMap<String, SubscriptionGroup>, Error> {
        let code = RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG;
        let mut groups = BTreeMap::new();
        for (_, address) in self.brokers(None).await? {
            let request = Frame::request(code, ExtFields::new(), Bytes::new());
            let answer = self.client.demand(&address, request).await?;
            let table: GroupTable =
                body::decode(&answer.body).map_err(unreadable(&address, code))?;
            for (name, group) in table.subscription_group_table {
                groups.entry(name).or_insert(group);
            }
        }
        Ok(groups)
    }

    /// Who of the group is connected, by broker; brokers it is not connected to are left out.
    pub async fn group_connections(
        &self,
        group: &ConsumerGroup,
    ) -> Result<Vec<(String, ConsumerConnection)>, Error> {
        let code = RequestCode::GET_CONSUMER_CONNECTION_LIST;
        let header = ConsumerGroupNamed {
            group: group.as_str(),
        };
        let mut connections = Vec::new();
        for (name, address) in self.brokers(None).await? {
            let limit = self.client.request_timeout();
            let request = request(code, &header);
            let answer = self
                .client
                .connections()
                .ask(&address, request, limit)
                .await?;
            if answer.header.response_code() == ResponseCode::CONSUMER_NOT_ONLINE {
                continue;
            }
            success(&address, code, &answer)?;
            let here = body::decode(&answer.body).map_err(unreadable(&address, code))?;
            connections.push((name.to_string(), here));
        }
        Ok(connections)
    }

    /// What one consumer of the group says it is doing. The broker it is connected to asks it.
    pub async fn running_info(
        &self,
        group: &ConsumerGroup,
        client_id: &str,
    ) -> Result<ConsumerRunningInfo, Error> {
        let code = RequestCode::GET_CONSUMER_RUNNING_INFO;
        let header = GetConsumerRunningInfo {
            group: group.as_str(),
            client_id,
            stack_traces: false,
        };
        let mut outcome = None;
        for (_, address) in self.brokers(None).await? {
            let asked =
                self.client
                    .connections()
                    .demand(&address, request(code, &header), FORWARDED);
            match asked.await {
                Ok(answer) => {
                    return body::decode(&answer.body).map_err(unreadable(&address, code));
                }
                Err(why) => outcome = Some(why),
            }
        }
        Err(outcome.expect("a list of brokers is never empty"))
    }

    /// How far the group has come in every queue it reads, or in those of one topic.
    pub async fn group_progress(
        &self,
        group: &ConsumerGroup,
        topic: Option<&Topic>,
    ) -> Result<Vec<(BrokerQueue, OffsetWrapper)>, Error> {
        let code = RequestCode::GET_CONSUME_STATS;
        let header = GetConsumeStats {
            group: group.as_str(),
            topic: topic.map(Topic::as_str),
            topics: None,
        };
        let mut queues = Vec::new();
        for (_, address) in self.brokers(None).await? {
            let answer = self.client.demand(&address, request(code, &header)).await?;
            let stats: ConsumeStats =
                body::decode(&answer.body).map_err(unreadable(&address, code))?;
            let own = stats.offset_table.into_iter();
            queues.extend(own.filter_map(|(queue, offset)| Some((broker_queue(&queue)?, offset))));
        }
        queues.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(queues)
    }

    /// Moves the group in every queue of a topic; connected consumers follow with their next
    /// pull. Returns where each queue goes on.
    pub async fn reset_group(
        &self,
        group: &ConsumerGroup,
        topic: &Topic,
        to: ResetTo,
    ) -> Result<Vec<(BrokerQueue, QueueOffset)>, Error> {
        let code = RequestCode::INVOKE_BROKER_TO_RESET_OFFSET;
        let timestamp = match to {
            ResetTo::Time(time) => time.0.max(0),
            ResetTo::End => END,
        };
        let header = ResetOffset {
            group: group.as_str(),
            topic: topic.as_str(),
            queue: -1,
            offset: None,
            timestamp,
            force: true,
        };
        let route = self.client.routes().fresh(topic).await?;
        let mut queues = Vec::new();
        for address in route
            .brokers
            .iter()
            .filter_map(|broker| broker.master.as_ref())
        {
            let limit = self.client.request_timeout();
            let answer = self
                .client
                .connections()
                .ask(address, request(code, &header), limit)
                .await?;
            if answer.header.response_code() != ResponseCode::SUCCESS {
                return Err(refused(address, code, &answer));
            }
            let moved: ResetOffsets =
                body::decode(&answer.body).map_err(unreadable(address, code))?;
            queues.extend(
                moved
                    .offset_table
                    .into_iter()
                    .filter_map(|(queue, offset)| {
                        let offset = QueueOffset(u64::try_from(offset).unwrap_or(0));
                        Some((broker_queue(&queue)?, offset))
                    }),
            );
        }
        queues.sort();
        Ok(queues)
    }
}
