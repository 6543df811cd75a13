//! Sends the questions of administrators to their handlers.

use protocol::{Frame, Reply, RequestCode};

use super::{Broker, not_supported};
use crate::handlers::connections::Connections;
use crate::handlers::forward::Forward;
use crate::handlers::groups::Groups;
use crate::handlers::progress::Progress;
use crate::handlers::queries::Queries;
use crate::handlers::runtime_info::RuntimeInfo;
use crate::handlers::topics::Topics;
use crate::respond::Refusal;

impl Broker {
    /// Answers what tools ask; any other code is refused by its number.
    pub(super) async fn administer(&self, request: &Frame) -> Result<Reply, Refusal> {
        match RequestCode(request.header.code) {
            RequestCode::UPDATE_AND_CREATE_TOPIC => self.topics().create(request),
            RequestCode::UPDATE_AND_CREATE_TOPIC_LIST => self.topics().create_list(request),
            RequestCode::DELETE_TOPIC_IN_BROKER => self.topics().delete(request).await,
            RequestCode::GET_ALL_TOPIC_CONFIG => self.topics().all(request),
            RequestCode::GET_TOPIC_CONFIG => self.topics().config(request),
            RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_BROKER => Ok(self.topics().system()),
            RequestCode::GET_TOPIC_STATS_INFO => self.topics().stats(request).await,
            RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => self.groups().create(request),
            RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST => {
                self.groups().create_list(request)
            }
            RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => self.groups().all(request),
            RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG => self.groups().config(request),
            RequestCode::DELETE_SUBSCRIPTIONGROUP => self.groups().delete(request),
            RequestCode::GET_CONSUMER_CONNECTION_LIST => self.connections().consumers(request),
            RequestCode::GET_PRODUCER_CONNECTION_LIST => self.connections().producers(request),
            RequestCode::GET_ALL_PRODUCER_INFO => Ok(self.connections().all_producers()),
            RequestCode::QUERY_TOPIC_CONSUME_BY_WHO => self.connections().who_consumes(request),
            RequestCode::QUERY_TOPICS_BY_CONSUMER => self.connections().topics_of(request),
            RequestCode::QUERY_SUBSCRIPTION_BY_CONSUMER => self.connections().subscription(request),
            RequestCode::GET_CONSUMER_RUNNING_INFO => self.forward().running_info(request).await,
            RequestCode::CONSUME_MESSAGE_DIRECTLY => self.forward().consume_directly(request).await,
            RequestCode::GET_CONSUME_STATS => self.progress().of_group(request).await,
            RequestCode::GET_BROKER_CONSUME_STATS => self.progress().of_all(request).await,
            RequestCode::INVOKE_BROKER_TO_RESET_OFFSET => self.progress().reset(request).await,
            RequestCode::GET_ALL_CONSUMER_OFFSET => Ok(self.progress().all_offsets()),
            RequestCode::GET_ALL_DELAY_OFFSET => Ok(self.progress().delay_offsets()),
            RequestCode::QUERY_MESSAGE => self.queries().by_key(request).await,
            RequestCode::VIEW_MESSAGE_BY_ID => self.queries().by_offset(request).await,
            RequestCode::QUERY_CONSUME_QUEUE => self.queries().queue_entries(request).await,
            RequestCode::GET_BROKER_RUNTIME_INFO => self.runtime_info().figures().await,
            RequestCode::GET_BROKER_CONFIG => Ok(self.runtime_info().settings()),
            RequestCode::VIEW_BROKER_STATS_DATA => self.runtime_info().statistic(request),
            code => Err(not_supported(code)),
        }
    }

    fn topics(&self) -> Topics<'_> {
        Topics {
            identity: &self.identity,
            store: &self.store,
            topics: &self.metadata.topics,
            offsets: &self.metadata.offsets,
            progress: &self.pulled,
            polls: &self.polls,
            statistics: &self.statistics,
        }
    }

    fn groups(&self) -> Groups<'_> {
        Groups {
            identity: &self.identity,
            groups: &self.metadata.groups,
            offsets: &self.metadata.offsets,
            progress: &self.pulled,
            locks: &self.locks,
        }
    }

    fn connections(&self) -> Connections<'_> {
        Connections {
            sessions: &self.sessions,
            offsets: &self.metadata.offsets,
            clock: &self.identity.clock,
            address: self.settings.advertised.to_string(),
        }
    }

    fn forward(&self) -> Forward<'_> {
        Forward {
            identity: &self.identity,
            sessions: &self.sessions,
            store: &self.store,
            topics: &self.metadata.topics,
            groups: &self.metadata.groups,
        }
    }

    fn progress(&self) -> Progress<'_> {
        Progress {
            identity: &self.identity,
            store: &self.store,
            topics: &self.metadata.topics,
            groups: &self.metadata.groups,
            offsets: &self.metadata.offsets,
            pulled: &self.pulled,
            sessions: &self.sessions,
            statistics: &self.statistics,
            polls: &self.polls,
            schedule: &self.schedule,
            address: self.settings.advertised.to_string(),
        }
    }

    fn queries(&self) -> Queries<'_> {
        Queries {
            identity: &self.identity,
            store: &self.store,
            sessions: &self.sessions,
        }
    }

    fn runtime_info(&self) -> RuntimeInfo<'_> {
        RuntimeInfo {
            identity: &self.identity,
            settings: &self.settings,
            store: &self.store,
            statistics: &self.statistics,
            schedule: &self.schedule,
            pulls: &self.pulls,
            usage: self.usage(),
            topics_version: self.metadata.topics.version(),
        }
    }
}
