//! Making, deleting and listing topics.

use std::time::Duration;

use bytes::Bytes;
use model::Topic;
use protocol::body::{self, MessageQueue, TopicFilterType, TopicList, TopicOffset, TopicStats};
use protocol::headers::{CreateTopic, DeleteTopicFromNames, TopicNamed};
use protocol::{ExtFields, Frame, RequestCode};

use super::Admin;
use crate::Error;
use crate::connections::unreadable;
use crate::pull_consumer::request;
use crate::route::{BrokerQueue, Route};

/// How often a name server is asked whether it knows a new topic.
const LOOK: Duration = Duration::from_millis(20);
const READ_AND_WRITE: i32 = 6;

/// A topic to be made, or changed if it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    pub topic: Topic,
    /// Queues on each broker.
    pub queues: u32,
    /// Bits as in RocketMQ: 4 may be read, 2 may be written.
    pub permission: i32,
    pub ordered: bool,
    /// Names and values to set.
    pub attributes: Vec<(String, String)>,
    /// The cluster whose brokers get it; all when there is none.
    pub cluster: Option<String>,
}

impl NewTopic {
    /// An ordinary topic on every broker.
    pub fn new(topic: Topic, queues: u32) -> NewTopic {
        NewTopic {
            topic,
            queues,
            permission: READ_AND_WRITE,
            ordered: false,
            attributes: Vec::new(),
            cluster: None,
        }
    }
}

impl Admin {
    /// Makes or changes the topic on every master. Returns once a name server tells of it, so
    /// that whoever sends or reads next finds it.
    pub async fn create_topic(&self, new: &NewTopic) -> Result<(), Error> {
        let queues = i32::try_from(new.queues).unwrap_or(i32::MAX);
        let attributes: Vec<String> = new
            .attributes
            .iter()
            .map(|(name, value)| format!("+{name}={value}"))
            .collect();
        let attributes = attributes.join(",");
        let header = CreateTopic {
            topic: new.topic.as_str(),
            default_topic: model::system_topics::AUTO_CREATE,
            read_queues: queues,
            write_queues: queues,
            permission: new.permission,
            filter_type: Some(TopicFilterType::SingleTag.name()),
            sys_flag: 0,
            ordered: new.ordered,
            attributes: (!attributes.is_empty()).then_some(&attributes),
            force: None,
        };
        let brokers = self.brokers(new.cluster.as_deref()).await?;
        for (_, address) in &brokers {
            let request = request(RequestCode::UPDATE_AND_CREATE_TOPIC, &header);
            self.client.demand(address, request).await?;
        }
        let arrived = |route: &Route| {
            brokers.iter().all(|(name, _)| {
                let own = route.readable.iter().chain(&route.writable);
                let own = own.filter(|queue| queue.broker == *name);
                new.permission & READ_AND_WRITE == 0
                    || own.map(|queue| queue.number + 1).max() == Some(new.queues)
            })
        };
        self.wait_for_route(&new.topic, arrived).await
    }

    async fn wait_for_route(
        &self,
        topic: &Topic,
        arrived: impl Fn(&Route) -> bool,
    ) -> Result<(), Error> {
        let clock = self.client.clock();
        let deadline = clock.now() + self.client.request_timeout();
        loop {
            let late = match self.client.routes().fresh(topic).await {
                Ok(route) if arrived(&route) => return Ok(()),
                Ok(_) => Error::NoQueues {
                    topic: topic.clone(),
                    access: "registered",
                },
                Err(why @ Error::NoRoute { .. }) => why,
                Err(why) => return Err(why),
            };
            if clock.now() >= deadline {
                return Err(late);
            }
            clock.sleep(LOOK).await;
        }
    }

    /// Deletes the topic, its queues and what groups have committed in it, on every master and
    /// name server.
    pub async fn delete_topic(&self, topic: &Topic) -> Result<(), Error> {
        let header = TopicNamed {
            topic: topic.as_str(),
        };
        for (_, address) in self.brokers(None).await? {
            let request = request(RequestCode::DELETE_TOPIC_IN_BROKER, &header);
            self.client.demand(&address, request).await?;
        }
        let header = DeleteTopicFromNames {
            topic: topic.as_str(),
            cluster: None,
        };
        let request = request(RequestCode::DELETE_TOPIC_IN_NAMESRV, &header);
        self.client.names().demand_all(request).await?;
        self.client.routes().forget(topic);
        Ok(())
    }

    /// Every topic the name servers know, system and retry topics included, sorted.
    pub async fn topics(&self) -> Result<Vec<Topic>, Error> {
        let code = RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER;
        let request = Frame::request(code, ExtFields::new(), Bytes::new());
        let (address, answer) = self.client.names().demand(request).await?;
        let list: TopicList = body::decode(&answer.body).map_err(unreadable(&address, code))?;
        let known = |name: &String| Topic::stored(name).ok();
        let mut topics: Vec<Topic> = list.topic_list.iter().filter_map(known).collect();
        topics.sort();
        Ok(topics)
    }

    /// Where the topic's queues begin and end, on every broker that has it.
    pub async fn topic_offsets(
        &self,
        topic: &Topic,
    ) -> Result<Vec<(BrokerQueue, TopicOffset)>, Error> {
        let code = RequestCode::GET_TOPIC_STATS_INFO;
        let route = self.client.routes().fresh(topic).await?;
        let mut queues = Vec::new();
        for address in route
            .brokers
            .iter()
            .filter_map(|broker| broker.master.as_ref())
        {
            let header = TopicNamed {
                topic: topic.as_str(),
            };
            let answer = self.client.demand(address, request(code, &header)).await?;
            let stats: TopicStats =
                body::decode(&answer.body).map_err(unreadable(address, code))?;
            let own = stats.offset_table.into_iter();
            queues.extend(own.filter_map(|(queue, offset)| Some((broker_queue(&queue)?, offset))));
        }
        queues.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(queues)
    }
}

/// The queue a body names; `None` if no queue can have that name.
pub(crate) fn broker_queue(queue: &MessageQueue) -> Option<BrokerQueue> {
    Some(BrokerQueue {
        topic: Topic::stored(&queue.topic).ok()?,
        broker: queue.broker_name.as_str().into(),
        number: u32::try_from(queue.queue_id).ok()?,
    })
}
