//! Routes as the name servers tell them, kept for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::{Topic, system_topics};
use parking_lot::Mutex;
use protocol::body::{self, ClusterInfo, TopicRoute};
use protocol::headers::GetRoute;
use protocol::{ExtFields, Frame, RequestCode, ResponseCode};
use runtime::{Clock, Moment};

use crate::Error;
use crate::connections::{refused, unreadable};
use crate::error::{Address, Origin};
use crate::name_servers::NameServers;
use crate::route::Route;

/// Queues on each broker of a topic that its first message makes.
pub(crate) const QUEUES_OF_NEW_TOPIC: u32 = 4;
/// How long the route of a topic that does not exist yet is trusted.
const ASSUMED_FOR: Duration = Duration::from_secs(1);

/// Finds routes and remembers them.
pub(crate) struct Routes {
    names: Arc<NameServers>,
    clock: Clock,
    /// Guards a plain map.
    known: Mutex<BTreeMap<Topic, Known>>,
    /// Held while a name server is asked: a thousand sends to a new topic ask once.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    route: Arc<Route>,
    /// When it is to be asked for again; `None` leaves that to the refresh.
    until: Option<Moment>,
}

impl Routes {
    pub(crate) fn new(names: Arc<NameServers>, clock: Clock) -> Routes {
        Routes {
            names,
            clock,
            known: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// The route of a topic; [`Error::NoRoute`] when it has none.
    pub(crate) async fn of(&self, topic: &Topic) -> Result<Arc<Route>, Error> {
        if let Some(route) = self.remembered(topic) {
            return Ok(route);
        }
        let _turn = self.asking.lock().await;
        if let Some(route) = self.remembered(topic) {
            return Ok(route);
        }
        let route = self
            .fetch(topic)
            .await?
            .ok_or_else(|| self.no_route(topic))?;
        Ok(self.remember(route, None))
    }

    /// As [`Routes::of`]; a topic without a route gets the one it will have once a message has
    /// made it, if brokers make topics.
    pub(crate) async fn for_sending(&self, topic: &Topic) -> Result<Arc<Route>, Error> {
        let missing = match self.of(topic).await {
            Err(why @ Error::NoRoute { .. }) => why,
            outcome => return outcome,
        };
        let template = Topic::stored(system_topics::AUTO_CREATE)?;
        match self.fetch(&template).await? {
            Some(template) => {
                let assumed = template.assumed(topic, QUEUES_OF_NEW_TOPIC);
                Ok(self.remember(assumed, Some(self.clock.now() + ASSUMED_FOR)))
            }
            None => Err(missing),
        }
    }

    /// Asks the name servers now, whatever is remembered.
    pub(crate) async fn fresh(&self, topic: &Topic) -> Result<Arc<Route>, Error> {
        self.forget(topic);
        self.of(topic).await
    }

    /// The next question is asked of a name server.
    pub(crate) fn forget(&self, topic: &Topic) {
        self.known.lock().remove(topic);
    }

    /// Asks again for every remembered route. One that cannot be had stays as it is, one that
    /// is gone is forgotten.
    pub(crate) async fn refresh(&self) {
        let topics: Vec<Topic> = self.known.lock().keys().cloned().collect();
        for topic in topics {
            match self.fetch(&topic).await {
                Ok(Some(route)) => drop(self.remember(route, None)),
                Ok(None) => self.forget(&topic),
                Err(why) => {
                    tracing::debug!(%topic, %why, "a route could not be refreshed");
                    return;
                }
            }
        }
    }

    /// Masters of all remembered routes.
    pub(crate) fn masters(&self) -> Vec<Address> {
        let mut seen = BTreeSet::new();
        let known = self.known.lock();
        let brokers = known.values().flat_map(|known| &known.route.brokers);
        let masters = brokers.filter_map(|broker| broker.master.clone());
        masters
            .filter(|master| seen.insert(master.text()))
            .collect()
    }

    /// All brokers and clusters, and who told of them.
    pub(crate) async fn cluster(&self) -> Result<(Address, ClusterInfo), Error> {
        let asked = RequestCode::GET_BROKER_CLUSTER_INFO;
        let request = Frame::request(asked, ExtFields::new(), Bytes::new());
        let (address, answer) = self.names.demand(request).await?;
        let info = body::decode(&answer.body).map_err(unreadable(&address, asked))?;
        Ok((address, info))
    }

    /// Every master with its name, in the order of names; only those of `cluster` if one is
    /// given. Fails when there is none.
    pub(crate) async fn all_masters(
        &self,
        cluster: Option<&str>,
    ) -> Result<Vec<(Arc<str>, Address)>, Error> {
        let (name_server, info) = self.cluster().await?;
        let mut masters = Vec::new();
        for (name, broker) in &info.broker_addr_table {
            let wanted = cluster.is_none_or(|cluster| cluster == broker.cluster);
            if let Some(address) = broker.broker_addrs.get(&0).filter(|_| wanted) {
                let origin = Origin::Cluster {
                    name_server: name_server.text(),
                };
                masters.push((name.as_str().into(), Address::new(address.as_str(), origin)));
            }
        }
        masters.sort();
        if masters.is_empty() {
            let what = match cluster {
                Some(cluster) => format!("cluster {cluster} has no master broker"),
                None => "there is no master broker".to_owned(),
            };
            return Err(self.no_broker(what));
        }
        Ok(masters)
    }

    pub(crate) fn no_broker(&self, what: String) -> Error {
        Error::NoBroker {
            what,
            name_servers: self.names.list(),
        }
    }

    fn no_route(&self, topic: &Topic) -> Error {
        Error::NoRoute {
            topic: topic.clone(),
            name_servers: self.names.list(),
        }
    }

    fn remembered(&self, topic: &Topic) -> Option<Arc<Route>> {
        let known = self.known.lock().get(topic).cloned()?;
        let over = known.until.is_some_and(|until| until <= self.clock.now());
        (!over).then_some(known.route)
    }

    fn remember(&self, route: Route, until: Option<Moment>) -> Arc<Route> {
        let route = Arc::new(route);
        let known = Known {
            route: route.clone(),
            until,
        };
        self.known.lock().insert(route.topic.clone(), known);
        route
    }

    async fn fetch(&self, topic: &Topic) -> Result<Option<Route>, Error> {
        let asked = RequestCode::GET_ROUTEINFO_BY_TOPIC;
        let header = GetRoute {
            topic: topic.as_str(),
            standard_json: true,
        };
        let request = Frame::request(asked, ExtFields::of(&header), Bytes::new());
        let (address, answer) = self.names.ask(request).await?;
        match answer.header.response_code() {
            ResponseCode::SUCCESS => {}
            ResponseCode::TOPIC_NOT_EXIST => return Ok(None),
            _ => return Err(refused(&address, asked, &answer)),
        }
        let said: TopicRoute = body::decode(&answer.body).map_err(unreadable(&address, asked))?;
        Ok(Some(Route::new(topic, &address, &said)))
    }
}
