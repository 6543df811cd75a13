//! The name server: its door, and the leases that end by the clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metadata::KeyValues;
use nameserver::Routes;
use protocol::Frame;
use runtime::{Net, Tasks};

use crate::Error;
use crate::channel::Channel;
use crate::connection::{Answer, Door};
use crate::doorkeeper::Doorkeeper;
use crate::handlers::names::Names;
use crate::limits::Limits;
use crate::listener::{Listening, listen};
use crate::respond::reply;

/// How often leases are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// A running name server.
pub struct NameServer {
    routes: Routes,
    key_values: Arc<KeyValues>,
}

impl NameServer {
    /// Opens the door on `address`. Routes start empty: brokers register again.
    pub async fn start(
        net: &Net,
        address: SocketAddr,
        key_values: Arc<KeyValues>,
        tasks: &Tasks,
    ) -> Result<Listening, Error> {
        Self::start_within(Limits::default(), net, address, key_values, tasks).await
    }

    /// The same, with limits that an operator chose.
    pub async fn start_within(
        limits: Limits,
        net: &Net,
        address: SocketAddr,
        key_values: Arc<KeyValues>,
        tasks: &Tasks,
    ) -> Result<Listening, Error> {
        let clock = tasks.clock().clone();
        let server = Arc::new(NameServer {
            routes: Routes::new(clock.clone()),
            key_values,
        });
        let keeper = Doorkeeper::new(limits);
        let listening = listen(net, address, server.clone(), &keeper, tasks).await?;
        let shutdown = tasks.shutdown();
        tasks.spawn("end leases", async move {
            loop {
                tokio::select! {
                    biased;
                    () = shutdown.requested() => return,
                    () = clock.sleep(LOOK) => server.routes.expire(),
                }
            }
        });
        Ok(listening)
    }
}

impl Door for NameServer {
    fn answer(self: Arc<Self>, channel: Channel, request: Frame) -> Answer {
        Box::pin(async move {
            reply(
                Names {
                    routes: &self.routes,
                    key_values: &self.key_values,
                }
                .handle(&channel, &request),
            )
        })
    }

    fn closed(&self, channel: &Channel) {
        self.routes.connection_closed(channel.number());
    }
}
