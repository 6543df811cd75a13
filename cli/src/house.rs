//! Puts the house together in one process, and takes it down again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use client::Client;
use connect_runtime::{Catalogue, ClientBroker, Parts, Worker};
use connect_sdk::Connector;
use engine::{Jobs, Surroundings};
use metadata::Metadata;
use plugin_host::PluginHost;
use runtime::{Clock, Disk, Net, RealDisk, Rng, Tasks};
use server::{Broker, BrokerSettings, NameServer, PollLimits, adopt};
use settings::{Bytes, Flush, Settings};
use store::MessageStore;

/// Longest a clean stop waits for tasks to end.
const STOP: Duration = Duration::from_secs(10);

/// What every role shares: the machine as the house sees it.
#[derive(Clone)]
pub struct Machine {
    pub clock: Clock,
    pub disk: Arc<dyn Disk>,
    pub net: Net,
    pub rng: Rng,
    pub tasks: Tasks,
}

impl Machine {
    pub fn real() -> Machine {
        let clock = Clock::real();
        Machine {
            disk: RealDisk::new(),
            net: Net::real(),
            rng: Rng::from_entropy(),
            tasks: Tasks::new(clock.clone()),
            clock,
        }
    }
}

/// Roles in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    pub name_server: bool,
    pub broker: bool,
    /// Jobs and connectors, over the process's own broker.
    pub streams_and_connect: bool,
}

impl Roles {
    pub const ALL: Roles = Roles {
        name_server: true,
        broker: true,
        streams_and_connect: true,
    };
}

/// What runs in this process.
pub struct House {
    machine: Machine,
    broker: Option<Arc<Broker>>,
    /// The process's own client, and what works through it.
    pub inner: Option<Inner>,
    pub name_server_address: Option<SocketAddr>,
    pub broker_address: Option<SocketAddr>,
    /// Jobs over HTTP, connectors over HTTP.
    pub doors: Option<(SocketAddr, SocketAddr)>,
}

/// Streams and connect, over a client of the process's own broker.
#[derive(Clone)]
pub struct Inner {
    pub client: Client,
    pub jobs: Jobs,
    pub connectors: Worker,
}

impl House {
    /// Starts the roles, lowest first; returns once every door is open.
    pub async fn start(
        machine: Machine,
        settings: &Settings,
        data: &Path,
        roles: Roles,
    ) -> Result<House> {
        let metadata = Metadata::open(&data.join("metadata"))?;
        let mut house = House {
            machine,
            broker: None,
            inner: None,
            name_server_address: None,
            broker_address: None,
            doors: None,
        };
        if roles.name_server {
            let machine = &house.machine;
            let listening = NameServer::start_within(
                limits(&settings.limits),
                &machine.net,
                settings.nameserver.listen.0,
                metadata.key_values.clone(),
                &machine.tasks,
            )
            .await?;
            house.name_server_address = Some(listening.address);
        }
        if roles.broker {
            house.start_broker(settings, data, metadata).await?;
        }
        if roles.streams_and_connect {
            house.inner = Some(house.start_inner(settings, data).await?);
        }
        Ok(house)
    }

    async fn start_broker(
        &mut self,
        settings: &Settings,
        data: &Path,
        metadata: Metadata,
    ) -> Result<()> {
        let Machine {
            clock,
            disk,
            net,
            rng,
            tasks,
        } = self.machine.clone();
        let path = below(data, &settings.store.path);
        let (store, recovery) = MessageStore::open(
            path.clone(),
            store_settings(settings),
            disk.clone(),
            clock,
            tasks.clone(),
        )
        .with_context(|| format!("the store in {}", path.display()))?;
        tracing::info!(?recovery, "the store is open");
        adopt(&disk, &path, &metadata)
            .with_context(|| format!("taking over {}", path.join("config").display()))?;
        let broker = BrokerSettings {
            cluster: settings.broker.cluster.clone(),
            name: settings.broker.name.clone(),
            id: settings.broker.id,
            listen: settings.broker.listen.0,
            advertised: settings.broker.advertised(),
            name_servers: settings.broker.nameservers.0.clone(),
            auto_create_topics: settings.topics.auto_create,
            auto_create_groups: settings.groups.auto_create,
            body_limit: bytes(settings.limits.body),
            limits: limits(&settings.limits),
        };
        let broker = Broker::open(broker, store, metadata, &rng.split("broker"), tasks).await?;
        self.broker_address = Some(broker.start(&net).await?.address);
        self.broker = Some(broker);
        Ok(())
    }

    async fn start_inner(&self, settings: &Settings, data: &Path) -> Result<Inner> {
        let Machine {
            clock,
            disk,
            net,
            rng,
            tasks,
        } = self.machine.clone();
        let client = client::Settings {
            rng: rng.split("client"),
            ..client::Settings::new(&settings.broker.nameservers.to_string(), net, tasks.clone())
        };
        let client = Client::connect(client).await?;
        let functions = plugin_host::Settings {
            cache_dir: Some(below(data, &settings.functions.cache)),
            deadline_ms: settings.functions.deadline.0.as_millis() as u64,
            memory_bytes: usize::try_from(settings.functions.memory.0).unwrap_or(usize::MAX),
            ..plugin_host::Settings::default()
        };
        let jobs = Jobs::open(Surroundings {
            client: client.clone(),
            disk: disk.clone(),
            functions: PluginHost::new(functions, &tasks)?,
            folder: below(data, &settings.streams.path),
            settings: engine::Settings::default(),
            tasks: tasks.clone(),
        })
        .await?;
        let parts = Parts {
            broker: Arc::new(ClientBroker::new(client.clone())),
            catalogue: catalogue(),
            disk,
            clock,
            // Connectors reach outside, whatever the broker's own network is.
            net: Net::real(),
            rng: rng.split("connectors"),
            tasks,
        };
        let who = connect_runtime::Settings {
            worker_id: settings.connect.listen.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: "millstream".to_owned(),
            cluster: settings.broker.cluster.clone(),
        };
        let connectors = Worker::start(who, parts).await?;
        Ok(Inner {
            client,
            jobs,
            connectors,
        })
    }

    /// Opens the HTTP doors of jobs and connectors.
    pub async fn open_doors(&mut self, settings: &Settings) -> Result<()> {
        let Some(inner) = self.inner.clone() else {
            return Ok(());
        };
        let admin = self
            .serve(
                "admin.listen",
                settings.admin.listen.0,
                engine::router(inner.jobs),
            )
            .await?;
        let connect = self
            .serve(
                "connect.listen",
                settings.connect.listen.0,
                connect_runtime::router(inner.connectors, crate::log::loggers()),
            )
            .await?;
        self.doors = Some((admin, connect));
        Ok(())
    }

    async fn serve(
        &self,
        key: &str,
        listen: SocketAddr,
        router: axum::Router,
    ) -> Result<SocketAddr> {
        let Machine {
            clock, net, tasks, ..
        } = self.machine.clone();
        let listener = net
            .listen(listen)
            .await
            .with_context(|| format!("{key}: cannot listen on {listen}"))?;
        let local = listener.local_addr()?;
        let shutdown = tasks.shutdown();
        tasks.spawn(format!("http {local}"), async move {
            if let Err(why) = connect_runtime::serve(listener, router, clock, shutdown).await {
                tracing::error!(%why, "an HTTP door is closed");
            }
        });
        Ok(local)
    }

    /// Stops what runs, then keeps what a clean stop must not lose. Says what did not end in time.
    pub async fn stop(self) -> Result<()> {
        if let Some(inner) = &self.inner {
            // While all they work through is still there: what is under way is committed.
            let closed = async { tokio::join!(inner.jobs.close(), inner.connectors.close()) };
            if self.machine.clock.timeout(STOP, closed).await.is_err() {
                tracing::warn!(
                    "a job or a connector did not end in time; it goes on from its last commit"
                );
            }
        }
        let report = self.machine.tasks.stop(STOP).await;
        if !report.unfinished.is_empty() {
            tracing::warn!(unfinished = ?report.unfinished, "these tasks did not end in time");
        }
        if let Some(broker) = &self.broker {
            broker.close().await?;
        }
        Ok(())
    }
}

/// Every connector that is compiled in.
fn catalogue() -> Catalogue {
    let connectors: [Arc<dyn Connector>; 5] = [
        Arc::new(connector_file::FileSource),
        Arc::new(connector_file::FileSink),
        Arc::new(connector_datagen::DatagenSource),
        Arc::new(connector_blackhole::BlackholeSink::default()),
        Arc::new(connector_postgres::PostgresSink),
    ];
    Catalogue::new(connectors)
}

/// What the doors of every role are held to.
fn limits(limits: &settings::Limits) -> server::Limits {
    server::Limits {
        connections: limits.connections,
        connections_of_address: limits.connections_of_address,
        bytes_in_flight: bytes(limits.bytes_in_flight),
        bytes_in_flight_of_connection: bytes(limits.bytes_in_flight_of_connection),
        sends_waiting: bytes(limits.sends_waiting),
        stall: limits.stall.0,
        admission: limits.admission.0,
        header: limits.header.0,
        idle: limits.idle.0,
        write: limits.write.0,
        polls: PollLimits {
            total: limits.polls,
            of_queue: limits.polls_of_queue,
        },
    }
}

fn bytes(size: Bytes) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}

fn store_settings(settings: &Settings) -> store::Settings {
    store::Settings {
        segment_bytes: settings.store.segment_bytes.0,
        flush: match settings.store.flush {
            Flush::Async => store::Flush::Async,
            Flush::Sync => store::Flush::Sync,
        },
        hot_bytes: usize::try_from(settings.store.hot_bytes.0).unwrap_or(usize::MAX),
        retention_hours: settings.store.retention.0,
        clean_percent: settings.store.clean_percent.0,
        refuse_percent: settings.store.refuse_percent.0,
        ..store::Settings::default()
    }
}

/// A path of the settings: absolute as it is, else below the data folder.
pub fn below(data: &Path, path: &Path) -> PathBuf {
    data.join(path)
}
