//! The client: what producers, consumers and administrators have in common.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use model::{Message, Timestamp, Topic, UniqueKeys, properties};
use parking_lot::Mutex;
use protocol::headers::UnregisterClient;
use protocol::{ExtFields, Frame, RequestCode, body};
use runtime::{Clock, Rng, Tasks};

use crate::connections::Connections;
use crate::error::Address;
use crate::members::Members;
use crate::name_servers::NameServers;
use crate::route::Route;
use crate::routes::Routes;
use crate::{Error, Settings};

/// How often brokers hear of our producers and consumers.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How often remembered routes are asked for again.
const REFRESH: Duration = Duration::from_secs(30);

/// Handle to a client. Cheap to clone; producers, consumers and administrators made from it
/// share its connections. Its tasks end with the last handle, or with the tasks it was given.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    id: String,
    tasks: Tasks,
    request_timeout: Duration,
    connections: Arc<Connections>,
    names: Arc<NameServers>,
    routes: Routes,
    members: Arc<Members>,
    /// Brokers that have heard who is here; guards a plain set.
    greeted: Mutex<BTreeSet<Arc<str>>>,
    unique_keys: UniqueKeys,
    rng: Rng,
}

impl Client {
    /// Reaches the first name server that can be reached; fails if none can.
    pub async fn connect(settings: Settings) -> Result<Client, Error> {
        let Settings {
            name_servers,
            net,
            tasks,
            rng,
            instance,
            timeouts,
        } = settings;
        let members = Arc::new(Members::default());
        let connections = Arc::new(Connections::new(
            net,
            tasks.clone(),
            timeouts.connect,
            members.clone(),
        ));
        let names = NameServers::new(&name_servers, connections.clone(), timeouts.request)?;
        let names = Arc::new(names);
        let host = names.local().await?.unwrap_or(Ipv4Addr::LOCALHOST.into());
        let salt = rng.next_u64() as u32;
        let instance = instance.unwrap_or_else(|| format!("{}#{salt:x}", std::process::id()));
        let client = Client {
            inner: Arc::new(Inner {
                id: client_id(host, &instance),
                request_timeout: timeouts.request,
                routes: Routes::new(names.clone(), tasks.clock().clone()),
                unique_keys: UniqueKeys::new(host, std::process::id(), salt),
                tasks,
                connections,
                names,
                members,
                greeted: Mutex::default(),
                rng,
            }),
        };
        client.every("client routes", REFRESH, |client| async move {
            client.routes().refresh().await;
            client.greet().await;
        });
        client.every("client heartbeat", HEARTBEAT, |client| async move {
            client.heartbeat().await;
        });
        Ok(client)
    }

    /// What brokers call this client: `address@instance`.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Where the queues of a topic are.
    pub async fn route(&self, topic: &Topic) -> Result<Arc<Route>, Error> {
        self.inner.routes.of(topic).await
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.inner.tasks
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.inner.tasks.clock()
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.inner.request_timeout
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.inner.connections
    }

    pub(crate) fn names(&self) -> &NameServers {
        &self.inner.names
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.inner.routes
    }

    /// Where a producer begins its round: producers that start together must not meet.
    pub(crate) fn first_queue(&self) -> usize {
        self.inner.rng.range(0..1 << 16) as usize
    }

    pub(crate) fn members(&self) -> &Members {
        &self.inner.members
    }

    /// Asks a broker and accepts only success, within the usual time.
    pub(crate) async fn demand(&self, address: &Address, request: Frame) -> Result<Frame, Error> {
        self.connections()
            .demand(address, request, self.request_timeout())
            .await
    }

    /// Gives a message what it needs to be sent: a time, and the key by which it is known.
    pub(crate) fn complete(&self, message: &mut Message) {
        let now = Timestamp(self.clock().wall());
        if message.born == Timestamp::default() {
            message.born = now;
        }
        if !message.properties.contains(properties::UNIQUE_KEY) {
            let unique = self.inner.unique_keys.next(now);
            message.properties.set(properties::UNIQUE_KEY, unique);
        }
    }

    /// Tells every broker we know who is here.
    pub(crate) async fn heartbeat(&self) {
        self.heartbeat_to(&self.routes().masters()).await;
    }

    /// Tells those brokers that have not heard it yet.
    pub(crate) async fn greet(&self) {
        let mut masters = self.routes().masters();
        masters.retain(|master| !self.inner.greeted.lock().contains(master.as_str()));
        self.heartbeat_to(&masters).await;
    }

    /// Somebody joined: every broker has to hear it.
    pub(crate) fn forget_greetings(&self) {
        self.inner.greeted.lock().clear();
    }

    async fn heartbeat_to(&self, masters: &[Address]) {
        let Some(data) = self.members().heartbeat(self.id()) else {
            return;
        };
        let body = body::encode_standard(&data);
        for master in masters {
            let request = Frame::request(RequestCode::HEART_BEAT, ExtFields::new(), body.clone());
            match self.demand(master, request).await {
                Ok(_) => drop(self.inner.greeted.lock().insert(master.text())),
                Err(why) => {
                    tracing::warn!(client = self.id(), %why, "a broker did not take our heartbeat");
                }
            }
        }
    }

    /// Tells every broker we know that nobody of a group is here any more.
    pub(crate) async fn unregister(&self, producer: Option<&str>, consumer: Option<&str>) {
        let header = UnregisterClient {
            client_id: self.id(),
            producer_group: producer,
            consumer_group: consumer,
        };
        for master in self.routes().masters() {
            let fields = ExtFields::of(&header);
            let request = Frame::request(RequestCode::UNREGISTER_CLIENT, fields, Bytes::new());
            if let Err(why) = self.demand(&master, request).await {
                tracing::debug!(client = self.id(), %why, "a broker did not hear us leave");
            }
        }
    }

    /// Does something again and again until the last handle is gone.
    fn every<F: Future<Output = ()> + Send>(
        &self,
        name: &'static str,
        interval: Duration,
        what: impl Fn(Client) -> F + Send + 'static,
    ) {
        let inner: Weak<Inner> = Arc::downgrade(&self.inner);
        let (clock, shutdown) = (self.clock().clone(), self.tasks().shutdown());
        self.tasks().spawn(name, async move {
            loop {
                tokio::select! {
                    biased;
                    () = shutdown.requested() => return,
                    () = clock.sleep(interval) => {}
                }
                let Some(inner) = inner.upgrade() else { return };
                what(Client { inner }).await;
            }
        });
    }
}

fn client_id(host: IpAddr, instance: &str) -> String {
    format!("{host}@{instance}")
}
