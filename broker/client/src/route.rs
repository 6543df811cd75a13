//! Where the queues of one topic are.

use std::fmt;
use std::sync::Arc;

use model::{QueueId, Topic};
use protocol::body::TopicRoute;

use crate::Error;
use crate::error::{Address, Origin};

const READ: i32 = 4;
const WRITE: i32 = 2;
/// Id of a broker that is master.
const MASTER: i64 = 0;

/// One queue of a topic on one broker. Sorted as every client of a group sorts them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerQueue {
    pub topic: Topic,
    /// The broker's name.
    pub broker: Arc<str>,
    /// Number of the queue within the topic on that broker.
    pub number: u32,
}

impl BrokerQueue {
    /// The queue as its broker knows it.
    pub fn id(&self) -> QueueId {
        QueueId::new(self.topic.clone(), self.number)
    }
}

/// Written as `broker/topic:number`.
impl fmt::Display for BrokerQueue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}:{}", self.broker, self.topic, self.number)
    }
}

/// A topic's queues and the brokers that have them, as a name server told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub topic: Topic,
    pub brokers: Vec<RouteBroker>,
    /// Queues that take messages, on brokers whose master is known.
    pub writable: Vec<BrokerQueue>,
    /// Queues that give messages, in the order of [`BrokerQueue`].
    pub readable: Vec<BrokerQueue>,
}

/// One broker of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteBroker {
    pub name: Arc<str>,
    pub cluster: String,
    pub master: Option<Address>,
}

impl Route {
    /// Understands a name server's answer.
    pub(crate) fn new(topic: &Topic, name_server: &Address, said: &TopicRoute) -> Route {
        let origin = || Origin::Route {
            name_server: name_server.text(),
            topic: topic.clone(),
        };
        let broker = |data: &protocol::body::BrokerData| RouteBroker {
            name: data.broker_name.as_str().into(),
            cluster: data.cluster.clone(),
            master: data
                .broker_addrs
                .get(&MASTER)
                .map(|address| Address::new(address.as_str(), origin())),
        };
        let brokers: Vec<RouteBroker> = said.broker_datas.iter().map(broker).collect();
        let (mut writable, mut readable) = (Vec::new(), Vec::new());
        let ordered = said.order_topic_conf.as_deref().map(ordered_queues);
        for data in &said.queue_datas {
            let Some(broker) = brokers
                .iter()
                .find(|broker| *broker.name == *data.broker_name && broker.master.is_some())
            else {
                continue;
            };
            let queue = |number: u32| BrokerQueue {
                topic: topic.clone(),
                broker: broker.name.clone(),
                number,
            };
            if data.perm & READ != 0 {
                readable.extend((0..count(data.read_queue_nums)).map(queue));
            }
            if data.perm & WRITE != 0 && ordered.is_none() {
                writable.extend((0..count(data.write_queue_nums)).map(queue));
            }
            let fixed = ordered
                .iter()
                .flatten()
                .filter(|(name, _)| *name == data.broker_name);
            for (_, queues) in fixed {
                writable.extend((0..*queues).map(queue));
            }
        }
        readable.sort();
        writable.sort();
        Route {
            topic: topic.clone(),
            brokers,
            writable,
            readable,
        }
    }

    /// The route of a topic that does not exist yet, as its first message will make it: after a
    /// template's, with at most so many queues on each broker.
    pub(crate) fn assumed(&self, topic: &Topic, queues: u32) -> Route {
        let rename = |queue: &BrokerQueue| BrokerQueue {
            topic: topic.clone(),
            ..queue.clone()
        };
        let first = |queue: &&BrokerQueue| queue.number < queues;
        Route {
            topic: topic.clone(),
            brokers: self.brokers.clone(),
            writable: self.writable.iter().filter(first).map(rename).collect(),
            readable: self.readable.iter().filter(first).map(rename).collect(),
        }
    }

    /// The master of that name.
    pub fn master(&self, broker: &str) -> Option<&Address> {
        let broker = self.brokers.iter().find(|known| *known.name == *broker)?;
        broker.master.as_ref()
    }

    /// The broker that has the queue of that number. Fails when none has, or several.
    pub(crate) fn locate(&self, queue: &QueueId) -> Result<(&Arc<str>, &Address), Error> {
        let mut found: Vec<&BrokerQueue> = self
            .readable
            .iter()
            .chain(&self.writable)
            .filter(|known| known.number == queue.number)
            .collect();
        found.sort();
        found.dedup();
        match found.as_slice() {
            [] => Err(Error::NoQueue {
                queue: queue.clone(),
                access: "such",
            }),
            [one] => Ok((&one.broker, self.address_of(one)?)),
            several => {
                let brokers: Vec<&str> = several.iter().map(|queue| &*queue.broker).collect();
                Err(Error::Ambiguous {
                    queue: queue.clone(),
                    brokers: brokers.join(", "),
                })
            }
        }
    }

    /// The master that has a queue of this route.
    pub(crate) fn address_of(&self, queue: &BrokerQueue) -> Result<&Address, Error> {
        self.master(&queue.broker).ok_or_else(|| Error::NoQueue {
            queue: queue.id(),
            access: "reachable",
        })
    }
}

/// Every broker with as many queues as an ordered topic has there: `broker:4;broker:4`.
fn ordered_queues(text: &str) -> Vec<(&str, u32)> {
    let queues = |part: &str| -> Option<(usize, u32)> {
        let at = part.rfind(':')?;
        Some((at, part[at + 1..].parse().ok()?))
    };
    text.split(';')
        .filter_map(|part| queues(part).map(|(at, count)| (&part[..at], count.min(QUEUES_LIMIT))))
        .collect()
}

/// Most queues of a topic on one broker that are believed.
const QUEUES_LIMIT: u32 = 65_536;

fn count(queues: i32) -> u32 {
    u32::try_from(queues).unwrap_or(0).min(QUEUES_LIMIT)
}

#[cfg(test)]
mod tests {
    use protocol::body::{BrokerData, QueueData, Table};

    use super::*;

    fn topic() -> Topic {
        Topic::parse("orders").expect("a topic's name")
    }

    fn broker(name: &str, id: i64, address: &str) -> BrokerData {
        BrokerData {
            broker_name: name.to_owned(),
            broker_addrs: Table(vec![(id, address.to_owned())]),
            ..BrokerData::default()
        }
    }

    fn queues(broker: &str, perm: i32, read: i32, write: i32) -> QueueData {
        QueueData {
            broker_name: broker.to_owned(),
            perm,
            read_queue_nums: read,
            write_queue_nums: write,
            ..QueueData::default()
        }
    }

    fn route(said: &TopicRoute) -> Route {
        Route::new(&topic(), &Address::new("ns:9876", Origin::Setting), said)
    }

    fn names(queues: &[BrokerQueue]) -> Vec<String> {
        queues
            .iter()
            .map(|queue| format!("{}:{}", queue.broker, queue.number))
            .collect()
    }

    #[test]
    fn permissions_decide_which_queues_take_and_give_messages() {
        let route = route(&TopicRoute {
            broker_datas: vec![broker("a", 0, "h:1"), broker("b", 0, "h:2")],
            queue_datas: vec![queues("b", 4, 1, 1), queues("a", 6, 1, 2)],
            ..TopicRoute::default()
        });
        assert_eq!(names(&route.readable), ["a:0", "b:0"]);
        assert_eq!(names(&route.writable), ["a:0", "a:1"]);
    }

    #[test]
    fn a_broker_without_a_master_serves_nothing() {
        let route = route(&TopicRoute {
            broker_datas: vec![broker("a", 1, "h:1")],
            queue_datas: vec![queues("a", 6, 4, 4)],
            ..TopicRoute::default()
        });
        assert!(route.readable.is_empty() && route.writable.is_empty());
    }

    #[test]
    fn an_ordered_topic_has_the_queues_that_were_fixed_for_it() {
        let route = route(&TopicRoute {
            broker_datas: vec![broker("a", 0, "h:1"), broker("b", 0, "h:2")],
            queue_datas: vec![queues("a", 6, 8, 8), queues("b", 6, 8, 8)],
            order_topic_conf: Some("a:2;b:1;gone:7;broken".to_owned()),
            ..TopicRoute::default()
        });
        assert_eq!(names(&route.writable), ["a:0", "a:1", "b:0"]);
        assert_eq!(route.readable.len(), 16);
    }

    #[test]
    fn a_number_two_brokers_have_is_ambiguous() {
        let route = route(&TopicRoute {
            broker_datas: vec![broker("a", 0, "h:1"), broker("b", 0, "h:2")],
            queue_datas: vec![queues("a", 6, 2, 2), queues("b", 6, 1, 1)],
            ..TopicRoute::default()
        });
        let locate = |number| route.locate(&QueueId::new(topic(), number));
        assert!(matches!(locate(0), Err(Error::Ambiguous { .. })));
        assert_eq!(locate(1).expect("only a has it").1.as_str(), "h:1");
        assert!(matches!(locate(2), Err(Error::NoQueue { .. })));
    }
}
