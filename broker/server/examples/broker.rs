//! Broker and name server alone, for benchmarks: nothing of streams or connect is linked in.
//!
//! ```text
//! broker DATA [--listen ADDRESS] [--advertise ADDRESS] [--name-server ADDRESS]
//!             [--segment-bytes N] [--sync] [--keep-all]
//! ```
//! `--keep-all` deletes nothing for want of room: a trial wants to find again what it sent.
//!
//! Says where the broker listens once both doors are open, as `millstream up` does, and stops
//! cleanly on SIGTERM.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use metadata::Metadata;
use runtime::{Clock, Disk, Net, RealDisk, Rng, Tasks};
use server::{Broker, BrokerSettings, NameServer};
use store::{Flush, MessageStore};
use tokio::signal::unix::{SignalKind, signal};

struct Arguments {
    data: PathBuf,
    listen: SocketAddr,
    /// What clients are told; where it listens by default.
    advertise: Option<SocketAddr>,
    name_server: SocketAddr,
    store: store::Settings,
}

impl Arguments {
    fn parse() -> Result<Arguments, Box<dyn Error>> {
        let mut words = std::env::args().skip(1);
        let mut arguments = Arguments {
            data: words
                .next()
                .ok_or("the first argument is the data folder")?
                .into(),
            listen: "127.0.0.1:10911".parse()?,
            advertise: None,
            name_server: "127.0.0.1:9876".parse()?,
            store: store::Settings::default(),
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--listen" => arguments.listen = value()?.parse()?,
                "--advertise" => arguments.advertise = Some(value()?.parse()?),
                "--name-server" => arguments.name_server = value()?.parse()?,
                "--segment-bytes" => arguments.store.segment_bytes = value()?.parse()?,
                "--keep-all" => arguments.store.clean_percent = 100,
                "--sync" => arguments.store.flush = Flush::Sync,
                _ => return Err(format!("{word} is not known").into()),
            }
        }
        Ok(arguments)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let clock = Clock::real();
    let tasks = Tasks::new(clock.clone());
    let net = Net::real();
    std::fs::create_dir_all(&arguments.data)?;
    let metadata = Metadata::open(&arguments.data.join("metadata"))?;
    let names = metadata.key_values.clone();
    NameServer::start(&net, arguments.name_server, names, &tasks).await?;
    let (store, _) = MessageStore::open(
        arguments.data.join("store"),
        arguments.store,
        RealDisk::new(),
        clock,
        tasks.clone(),
    )?;
    let disk: Arc<dyn Disk> = RealDisk::new();
    server::adopt(&disk, &arguments.data.join("store"), &metadata)?;
    let settings = BrokerSettings {
        cluster: "DefaultCluster".into(),
        name: "broker-a".into(),
        id: 0,
        listen: arguments.listen,
        advertised: arguments.advertise.unwrap_or(arguments.listen),
        name_servers: vec![arguments.name_server.to_string()],
        auto_create_topics: true,
        auto_create_groups: true,
        body_limit: 4 << 20,
        limits: Default::default(),
    };
    let broker = Broker::open(
        settings,
        store,
        metadata,
        &Rng::from_entropy(),
        tasks.clone(),
    )
    .await?;
    eprintln!("broker        {}", broker.start(&net).await?.address);
    signal(SignalKind::terminate())?.recv().await;
    tasks.stop(Duration::from_secs(10)).await;
    Ok(broker.close().await?)
}
