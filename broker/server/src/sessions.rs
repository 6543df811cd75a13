//! Which clients are connected, and what each group of them wants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use delivery::Filter;
use parking_lot::Mutex;
use protocol::body::{
    ConsumeFromWhere, ConsumeType, ConsumerData, HeartbeatData, MessageModel, SubscriptionData,
};
use protocol::{Language, Version};
use runtime::{Clock, Moment};

use crate::channel::Channel;

/// A client that says nothing for so long is taken for gone.
const SILENCE: Duration = Duration::from_secs(120);

/// All connected clients by group.
pub struct Sessions {
    clock: Clock,
    /// Guards plain maps; channels are told things after it is released.
    groups: Mutex<Groups>,
}

#[derive(Default)]
struct Groups {
    consumers: BTreeMap<String, ConsumerGroup>,
    producers: BTreeMap<String, BTreeMap<String, Member>>,
}

/// One client of a group.
#[derive(Clone)]
pub struct Member {
    pub client_id: String,
    pub channel: Channel,
    pub language: Language,
    pub version: Version,
    heard: Moment,
}

impl Member {
    /// How long ago the client was last heard.
    pub fn silent_for(&self, now: Moment) -> Duration {
        now.since(self.heard)
    }
}

/// A consumer group while somebody is connected.
#[derive(Clone)]
pub struct ConsumerGroup {
    pub consume_type: ConsumeType,
    pub message_model: MessageModel,
    pub consume_from_where: ConsumeFromWhere,
    pub subscriptions: BTreeMap<String, Subscription>,
    pub members: BTreeMap<String, Member>,
    fingerprint: i32,
}

/// What a group wants of a topic, with its filter compiled once.
#[derive(Clone)]
pub struct Subscription {
    pub data: SubscriptionData,
    /// The filter, or why it cannot be read.
    pub filter: Result<Filter, Arc<str>>,
}

/// Who speaks in a heartbeat.
#[derive(Clone)]
pub struct Speaker {
    pub channel: Channel,
    pub language: Language,
    pub version: Version,
}

impl Subscription {
    fn new(data: SubscriptionData) -> Subscription {
        let codes = || data.code_set.iter().map(|code| i64::from(*code));
        let filter = match data.expression_type.0.as_str() {
            // Clients send the hashes they will compare with; the text counts where they do not.
            "TAG" | "" if data.sub_string != "*" && codes().any(|code| code != 0) => {
                Ok(Filter::codes(codes()))
            }
            language => Filter::parse(Some(language), &data.sub_string)
                .map_err(|why| why.to_string().into()),
        };
        Subscription { data, filter }
    }
}

impl Sessions {
    pub fn new(clock: Clock) -> Sessions {
        Sessions {
            clock,
            groups: Mutex::default(),
        }
    }

    /// Takes a heartbeat in; returns the channels of every group whose membership or
    /// subscription changed with it, by group.
    pub fn heartbeat(&self, data: HeartbeatData, speaker: &Speaker) -> Vec<(String, Vec<Channel>)> {
        let now = self.clock.now();
        let member = |client_id: &str| Member {
            client_id: client_id.to_owned(),
            channel: speaker.channel.clone(),
            language: speaker.language,
            version: speaker.version,
            heard: now,
        };
        let mut changed = Vec::new();
        let mut groups = self.groups.lock();
        for producer in data.producer_data_set {
            groups
                .producers
                .entry(producer.group_name)
                .or_default()
                .insert(data.client_id.clone(), member(&data.client_id));
        }
        for consumer in data.consumer_data_set {
            let name = consumer.group_name.clone();
            let group = groups
                .consumers
                .entry(name.clone())
                .or_insert_with(ConsumerGroup::empty);
            let joined = group
                .members
                .insert(data.client_id.clone(), member(&data.client_id));
            let joined = joined.is_none_or(|before| before.channel != speaker.channel);
            let updated = !data.without_sub && group.update(consumer, data.heartbeat_fingerprint);
            if (joined || updated) && group.message_model == MessageModel::Clustering {
                changed.push((name, group.channels()));
            }
        }
        changed
    }

    /// Whether a heartbeat's fingerprint differs from the one its groups last sent. A client
    /// that sends none always hears yes.
    pub fn subscription_changed(&self, data: &HeartbeatData) -> bool {
        if data.heartbeat_fingerprint == 0 {
            return true;
        }
        let groups = self.groups.lock();
        data.consumer_data_set.iter().any(|consumer| {
            groups
                .consumers
                .get(&consumer.group_name)
                .is_none_or(|group| group.fingerprint != data.heartbeat_fingerprint)
        })
    }

    /// A client leaves one group; returns who else has to know.
    pub fn leave(
        &self,
        client_id: &str,
        producer_group: Option<&str>,
        consumer_group: Option<&str>,
    ) -> Vec<(String, Vec<Channel>)> {
        let mut groups = self.groups.lock();
        if let Some(producers) = producer_group.and_then(|name| groups.producers.get_mut(name)) {
            producers.remove(client_id);
        }
        let mut changed = Vec::new();
        if let Some((name, group)) =
            consumer_group.and_then(|name| Some((name, groups.consumers.get_mut(name)?)))
            && group.members.remove(client_id).is_some()
        {
            changed.push((name.to_owned(), group.channels()));
        }
        groups.forget_empty();
        changed
    }

    /// A connection closed; returns who else has to know.
    pub fn closed(&self, channel: &Channel) -> Vec<(String, Vec<Channel>)> {
        self.remove_where(|member| member.channel == *channel)
    }

    /// Removes clients that have fallen silent; returns who else has to know.
    pub fn expire(&self) -> Vec<(String, Vec<Channel>)> {
        let now = self.clock.now();
        self.remove_where(|member| now.since(member.heard) > SILENCE)
    }

    fn remove_where(&self, gone: impl Fn(&Member) -> bool) -> Vec<(String, Vec<Channel>)> {
        let mut groups = self.groups.lock();
        for producers in groups.producers.values_mut() {
            producers.retain(|_, member| !gone(member));
        }
        let mut changed = Vec::new();
        for (name, group) in &mut groups.consumers {
            let before = group.members.len();
            group.members.retain(|_, member| !gone(member));
            if group.members.len() != before && group.message_model == MessageModel::Clustering {
                changed.push((name.clone(), group.channels()));
            }
        }
        groups.forget_empty();
        changed
    }

    pub fn consumer_group(&self, name: &str) -> Option<ConsumerGroup> {
        self.groups.lock().consumers.get(name).cloned()
    }

    /// What a group wants of a topic; `None` inside when the group is known and does not want it.
    pub fn subscription(
        &self,
        group: &str,
        topic: &str,
    ) -> Option<(MessageModel, Option<Subscription>)> {
        let groups = self.groups.lock();
        let group = groups.consumers.get(group)?;
        Some((group.message_model, group.subscriptions.get(topic).cloned()))
    }

    pub fn consumer(&self, group: &str, client_id: &str) -> Option<Member> {
        self.groups
            .lock()
            .consumers
            .get(group)?
            .members
            .get(client_id)
            .cloned()
    }

    /// Ids of the group's clients, sorted: every client must compute the same shares.
    pub fn consumer_ids(&self, group: &str) -> Vec<String> {
        let groups = self.groups.lock();
        groups
            .consumers
            .get(group)
            .map(|group| group.members.keys().cloned().collect())
            .unwrap_or_default()
    }

    pub fn producers(&self, group: &str) -> Vec<Member> {
        let groups = self.groups.lock();
        groups
            .producers
            .get(group)
            .map(|members| members.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Every producer group with its clients.
    pub fn all_producers(&self) -> BTreeMap<String, Vec<Member>> {
        let groups = self.groups.lock();
        groups
            .producers
            .iter()
            .map(|(name, members)| (name.clone(), members.values().cloned().collect()))
            .collect()
    }

    /// Groups with a client that wants the topic.
    pub fn subscribers(&self, topic: &str) -> Vec<String> {
        let groups = self.groups.lock();
        groups
            .consumers
            .iter()
            .filter(|(_, group)| group.subscriptions.contains_key(topic))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

impl Groups {
    fn forget_empty(&mut self) {
        self.consumers.retain(|_, group| !group.members.is_empty());
        self.producers.retain(|_, members| !members.is_empty());
    }
}

impl ConsumerGroup {
    fn empty() -> ConsumerGroup {
        ConsumerGroup {
            consume_type: ConsumeType::default(),
            message_model: MessageModel::default(),
            consume_from_where: ConsumeFromWhere::default(),
            subscriptions: BTreeMap::new(),
            members: BTreeMap::new(),
            fingerprint: 0,
        }
    }

    /// Takes over what a client says of its group; returns whether the subscriptions changed.
    fn update(&mut self, said: ConsumerData, fingerprint: i32) -> bool {
        self.consume_type = said.consume_type;
        self.message_model = said.message_model;
        self.consume_from_where = said.consume_from_where;
        self.fingerprint = fingerprint;
        let mut changed = false;
        let wanted: Vec<String> = said
            .subscription_data_set
            .iter()
            .map(|data| data.topic.clone())
            .collect();
        for data in said.subscription_data_set {
            let known = self.subscriptions.get(&data.topic);
            if known.is_none_or(|known| known.data.sub_version < data.sub_version) {
                changed |= known.is_none_or(|known| known.data.sub_string != data.sub_string);
                self.subscriptions
                    .insert(data.topic.clone(), Subscription::new(data));
            }
        }
        let before = self.subscriptions.len();
        self.subscriptions.retain(|topic, _| wanted.contains(topic));
        changed || self.subscriptions.len() != before
    }

    fn channels(&self) -> Vec<Channel> {
        self.members
            .values()
            .map(|member| member.channel.clone())
            .collect()
    }
}
