//! Consumer groups under administration.

use delivery::QueueLocks;
use metadata::{CommittedOffsets, GroupConfig};
use model::ConsumerGroup;
use protocol::body::{self, GroupTable, SubscriptionGroup, SubscriptionGroupList, Table};
use protocol::headers::{AllGroupsReply, DeleteGroup, GetAllGroups, GroupNamed};
use protocol::{Frame, ReadFields, Reply, ResponseCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::topics::bad_name;
use super::{Identity, page};
use crate::pull_progress::PullProgress;
use crate::respond::Refusal;

/// What administering groups needs of the broker.
pub struct Groups<'a> {
    pub identity: &'a Identity,
    pub groups: &'a metadata::Groups,
    pub offsets: &'a CommittedOffsets,
    pub progress: &'a PullProgress,
    pub locks: &'a QueueLocks,
}

const RETRY_POLICY: &str = "groupRetryPolicy";
const SUBSCRIPTIONS: &str = "subscriptionDataSet";
const ATTRIBUTES: &str = "attributes";

impl Groups<'_> {
    /// Answers 200.
    pub fn create(&self, request: &Frame) -> Result<Reply, Refusal> {
        self.put(vec![body::decode(&request.body)?])
    }

    /// Answers 225.
    pub fn create_list(&self, request: &Frame) -> Result<Reply, Refusal> {
        let asked: SubscriptionGroupList = body::decode(&request.body)?;
        self.put(asked.group_config_list)
    }

    fn put(&self, said: Vec<SubscriptionGroup>) -> Result<Reply, Refusal> {
        let named = |said: SubscriptionGroup| {
            let group = ConsumerGroup::parse(&said.group_name)
                .map_err(|why| bad_name("group", &said.group_name, &why))?;
            Ok((group, said))
        };
        // All names first: a bad one changes nothing.
        let named: Vec<_> = said
            .into_iter()
            .map(named)
            .collect::<Result<_, Refusal>>()?;
        for (group, said) in named {
            self.groups.put(group, kept(said))?;
            self.identity.groups_changed();
        }
        Ok(Reply::success())
    }

    /// Answers 201: all groups, or a page of them in the order of their names.
    pub fn all(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = GetAllGroups::read_fields(&request.header.ext)?;
        let version = self.identity.version(self.identity.groups_version());
        let all = self.groups.all();
        let (skip, take) = page(
            header.sequence,
            header.max_groups,
            header.data_version,
            version,
        );
        let mut body = GroupTable {
            data_version: version,
            ..GroupTable::default()
        };
        for (group, config) in all.iter().skip(skip).take(take) {
            body.subscription_group_table
                .push(group.to_string(), wire(group.as_str(), config));
        }
        let header = AllGroupsReply {
            groups: all.len() as i32,
        };
        Ok(Reply::success().header(&header).body(body::encode(&body)))
    }

    /// Answers 352. As in RocketMQ, a group that may be made is made by asking.
    pub fn config(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = GroupNamed::read_fields(&request.header.ext)?;
        let group = ConsumerGroup::parse(header.group)?;
        match self.identity.group(&group) {
            Ok(config) => Ok(Reply::success().body(body::encode(&wire(group.as_str(), &config)))),
            Err(delivery::Error::NoSuchGroup { .. }) => Err(Refusal::code(
                ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
                "No group in this broker",
            )),
            Err(why) => Err(why.into()),
        }
    }

    /// Answers 207.
    pub fn delete(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = DeleteGroup::read_fields(&request.header.ext)?;
        if self.groups.delete(header.group)? {
            self.identity.groups_changed();
        }
        if header.clean_offsets {
            self.offsets.remove_group(header.group)?;
        }
        self.progress.remove_group(header.group);
        self.locks.forget(header.group);
        Ok(Reply::success())
    }
}

/// A group's settings as they travel.
pub fn wire(name: &str, config: &GroupConfig) -> SubscriptionGroup {
    SubscriptionGroup {
        attributes: part(config, ATTRIBUTES).unwrap_or_else(Table::new),
        broker_id: config.broker_id,
        consume_broadcast_enable: config.consume_broadcast_enable,
        consume_enable: config.consume_enable,
        consume_from_min_enable: config.consume_from_min_enable,
        consume_message_orderly: config.consume_message_orderly,
        consume_timeout_minute: config.consume_timeout_minute,
        group_name: name.to_owned(),
        group_retry_policy: part(config, RETRY_POLICY).unwrap_or_default(),
        group_sys_flag: config.group_sys_flag,
        notify_consumer_ids_changed_enable: config.notify_consumer_ids_changed_enable,
        retry_max_times: config.retry_max_times,
        retry_queue_nums: config.retry_queue_nums,
        subscription_data_set: part(config, SUBSCRIPTIONS),
        which_broker_when_consume_slowly: config.which_broker_when_consume_slowly,
    }
}

/// The settings of a group that an administrator describes.
fn kept(said: SubscriptionGroup) -> GroupConfig {
    let mut config = GroupConfig {
        consume_enable: said.consume_enable,
        consume_from_min_enable: said.consume_from_min_enable,
        consume_broadcast_enable: said.consume_broadcast_enable,
        consume_message_orderly: said.consume_message_orderly,
        retry_queue_nums: said.retry_queue_nums,
        retry_max_times: said.retry_max_times,
        broker_id: said.broker_id,
        which_broker_when_consume_slowly: said.which_broker_when_consume_slowly,
        notify_consumer_ids_changed_enable: said.notify_consumer_ids_changed_enable,
        group_sys_flag: said.group_sys_flag,
        consume_timeout_minute: said.consume_timeout_minute,
        ..GroupConfig::default()
    };
    // Changes come as `+name`; a group keeps the names alone.
    let attribute = |(name, value): (String, String)| {
        (!name.starts_with('-')).then(|| (name.trim_start_matches('+').to_owned(), value))
    };
    let attributes: Table<String, String> =
        said.attributes.into_iter().filter_map(attribute).collect();
    keep(&mut config, ATTRIBUTES, &attributes);
    keep(&mut config, RETRY_POLICY, &said.group_retry_policy);
    if let Some(subscriptions) = &said.subscription_data_set {
        keep(&mut config, SUBSCRIPTIONS, subscriptions);
    }
    config
}

fn keep(config: &mut GroupConfig, name: &str, part: &impl Serialize) {
    let part = serde_json::to_value(part).expect("our bodies have only texts as keys");
    config.rest.insert(name.to_owned(), part);
}

/// A kept part; one that cannot be read is as good as none.
fn part<T: DeserializeOwned>(config: &GroupConfig, name: &str) -> Option<T> {
    serde_json::from_value(config.rest.get(name)?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_comes_back_as_it_was_described() {
        let mut said = SubscriptionGroup {
            group_name: "billing".to_owned(),
            retry_max_times: 5,
            consume_broadcast_enable: false,
            ..SubscriptionGroup::default()
        };
        said.attributes.push("+owner".to_owned(), "ann".to_owned());
        let mut expected = said.clone();
        expected.attributes = Table(vec![("owner".to_owned(), "ann".to_owned())]);
        assert_eq!(wire("billing", &kept(said)), expected);
    }
}
