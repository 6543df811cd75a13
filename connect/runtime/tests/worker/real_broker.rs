//! The same through a real broker: file to topic to files, across restarts of everything.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::{Client, Settings as ClientSettings};
use connect_runtime::{Catalogue, ClientBroker, Parts, State, Target, Worker};
use connect_sdk::Connector;
use connector_file::{FileSink, FileSource};
use metadata::{MemoryTables, Metadata};
use runtime::{Clock, Net, Rng, SimDisk, Tasks};
use server::{Broker, BrokerSettings, NameServer};
use store::MessageStore;

use crate::files::{lines, write};
use crate::process::{self, put, until};

const NAME_SERVER: &str = "127.0.0.1:9876";
const BROKER: &str = "127.0.0.1:10911";
const ROWS: usize = 5_000;

/// What outlives a process.
struct Machine {
    disk: SimDisk,
    broker_tables: MemoryTables,
    name_tables: MemoryTables,
}

/// A broker, a name server and a worker in one process.
struct House {
    tasks: Tasks,
    broker: Arc<Broker>,
    worker: Worker,
}

impl House {
    async fn start(machine: &Machine) -> Self {
        let clock = Clock::real();
        let tasks = Tasks::new(clock.clone());
        let (net, rng) = (Net::in_memory(), Rng::seeded(3));
        let names = Metadata::over(Arc::new(machine.name_tables.clone())).expect("the tables load");
        NameServer::start(&net, address(NAME_SERVER), names.key_values, &tasks)
            .await
            .expect("the address is free");
        let settings = store::Settings {
            segment_bytes: 16 << 20,
            refuse_percent: 101,
            clean_percent: 101,
            ..store::Settings::default()
        };
        let (store, _) = MessageStore::open(
            PathBuf::from("/store"),
            settings,
            machine.disk.mount(),
            clock.clone(),
            tasks.clone(),
        )
        .expect("the store opens");
        let metadata =
            Metadata::over(Arc::new(machine.broker_tables.clone())).expect("the tables load");
        let settings = BrokerSettings {
            cluster: "DefaultCluster".to_owned(),
            name: "broker-a".to_owned(),
            id: 0,
            listen: address(BROKER),
            advertised: address(BROKER),
            name_servers: vec![NAME_SERVER.to_owned()],
            auto_create_topics: false,
            auto_create_groups: true,
            body_limit: 4 << 20,
            limits: Default::default(),
        };
        let broker = Broker::open(settings, store, metadata, &rng, tasks.clone())
            .await
            .expect("the broker opens");
        broker.start(&net).await.expect("the address is free");
        let settings = ClientSettings::new(NAME_SERVER, net.clone(), tasks.clone());
        let client = Client::connect(settings)
            .await
            .expect("the name server is there");
        let connectors: [Arc<dyn Connector>; 2] = [Arc::new(FileSource), Arc::new(FileSink)];
        let parts = Parts {
            broker: Arc::new(ClientBroker::new(client)),
            catalogue: Catalogue::new(connectors),
            disk: machine.disk.mount(),
            clock,
            net,
            rng,
            tasks: tasks.clone(),
        };
        let worker = Worker::start(process::settings(), parts)
            .await
            .expect("the worker starts");
        Self {
            tasks,
            broker,
            worker,
        }
    }

    async fn stop(self) {
        let report = self.tasks.stop(Duration::from_secs(30)).await;
        assert!(report.is_clean(), "{report:?}");
        self.broker.close().await.expect("a sound disk");
    }

    async fn put(&self, name: &str, pairs: &[(&str, &str)]) {
        put(&self.worker, name, pairs).await;
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_go_through_a_real_broker_once_across_restarts() {
    let machine = Machine {
        disk: SimDisk::new(Rng::seeded(9)),
        broker_tables: MemoryTables::default(),
        name_tables: MemoryTables::default(),
    };
    let disk = machine.disk.mount();
    let rows: String = (0..ROWS).map(|n| format!("{n},name {n}\n")).collect();
    write(disk.as_ref(), "/in/f.csv", &format!("id,name\n{rows}"));

    let house = House::start(&machine).await;
    house
        .put(
            "out",
            &[
                ("connector.class", "file-sink"),
                ("topics", "rows"),
                ("path", "/out"),
                ("tasks.max", "2"),
                ("flush.interval", "20ms"),
            ],
        )
        .await;
    house
        .put(
            "in",
            &[
                ("connector.class", "file-source"),
                ("path", "/in/f.csv"),
                ("mode", "bounded"),
                ("topic", "rows"),
                ("topic.queues", "4"),
                ("schema", "id INT, name STRING"),
                ("batch.rows", "100"),
                ("key", "id"),
            ],
        )
        .await;
    // Stopped in the middle, wherever that is, and started again.
    house
        .worker
        .wait_for("in", |status| {
            status
                .tasks
                .first()
                .is_some_and(|task| task.records >= 1_000)
        })
        .await;
    house.stop().await;

    let house = House::start(&machine).await;
    assert_eq!(house.worker.names(), ["in", "out"]);
    house.worker.finished("in").await;
    house
        .worker
        .set_target("in", Target::Stopped)
        .await
        .expect("it is there");
    until("all rows are in files", || {
        lines(disk.as_ref(), "/out").len() >= ROWS
    })
    .await;
    house.stop().await;

    let house = House::start(&machine).await;
    house
        .worker
        .wait_for("in", |status| status.state == State::Stopped)
        .await;
    house
        .worker
        .wait_for("out", |status| {
            status.tasks.len() == 2 && status.tasks.iter().all(|task| task.state == State::Running)
        })
        .await;
    let offsets = house
        .worker
        .offsets("out")
        .await
        .expect("the broker answers");
    let read: u64 = offsets
        .iter()
        .filter_map(|(_, offset)| offset.get("kafka_offset")?.as_u64())
        .sum();
    assert_eq!(read, ROWS as u64);
    house.stop().await;

    let mut expected: Vec<String> = (0..ROWS)
        .map(|n| format!("{{\"id\":{n},\"name\":\"name {n}\"}}"))
        .collect();
    expected.sort();
    assert_eq!(lines(disk.as_ref(), "/out"), expected);
}
