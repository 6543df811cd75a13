//! Our broker and name server, in the process of the test.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use metadata::Metadata;
use runtime::{Clock, Disk, Net, RealDisk, Rng, Tasks};
use server::{Broker, BrokerSettings, HandedBack, NameServer, adopt, hand_back};
use store::{MessageStore, Offline, Settings};
use tokio::runtime::Runtime;

/// Where both brokers serve, one after the other: message ids name it.
pub const ADDRESS: &str = "127.0.0.41";

pub struct OurBroker {
    runtime: Runtime,
    tasks: Tasks,
    broker: Arc<Broker>,
}

impl OurBroker {
    /// Serves what lies in `data`, at first taking over the `config` folder of a RocketMQ.
    pub fn start(data: &Path, settings: Settings) -> Result<OurBroker> {
        let runtime = Runtime::new()?;
        let clock = Clock::real();
        let tasks = runtime.block_on(async { Tasks::new(clock.clone()) });
        let serving = tasks.clone();
        let store = data.join("store");
        let metadata = data.join("metadata");
        let broker = runtime.block_on(async move {
            let tasks = serving;
            let (net, disk): (_, Arc<dyn Disk>) = (Net::real(), RealDisk::new());
            let metadata = Metadata::open(&metadata)?;
            let names = metadata.key_values.clone();
            let name_server = format!("{ADDRESS}:9876");
            NameServer::start(&net, name_server.parse()?, names, &tasks).await?;
            adopt(&disk, &store, &metadata)?;
            let (store, _) = MessageStore::open(store, settings, disk, clock, tasks.clone())?;
            let listen = format!("{ADDRESS}:10911").parse()?;
            let settings = BrokerSettings {
                cluster: "DefaultCluster".into(),
                name: "broker-a".into(),
                id: 0,
                listen,
                advertised: listen,
                name_servers: vec![name_server],
                auto_create_topics: true,
                auto_create_groups: true,
                body_limit: 4 << 20,
                limits: Default::default(),
            };
            let rng = Rng::from_entropy();
            let broker = Broker::open(settings, store, metadata, &rng, tasks).await?;
            broker.start(&net).await?;
            anyhow::Ok(broker)
        })?;
        Ok(OurBroker {
            runtime,
            tasks,
            broker,
        })
    }

    pub fn stop(self) -> Result<()> {
        self.runtime.block_on(async {
            self.tasks.stop(Duration::from_secs(10)).await;
            self.broker.close().await
        })?;
        Ok(())
    }

    /// Hands back what lies in `data`, whose broker is stopped.
    pub fn hand_back(data: &Path, settings: &Settings, target: PathBuf) -> Result<HandedBack> {
        let disk: Arc<dyn Disk> = RealDisk::new();
        let store = Offline::open(data.join("store"), disk.clone())?;
        let metadata = Metadata::open(&data.join("metadata"))?;
        let quiet = &mut |_, _, _| ();
        Ok(hand_back(
            &disk, &store, &metadata, settings, &target, quiet,
        )?)
    }
}
