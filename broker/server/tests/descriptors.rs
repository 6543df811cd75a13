//! A process that has no file descriptor left: those who are inside are served on, and those
//! who wait outside are let in when there are some again.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use metadata::{MemoryTables, Metadata};
use protocol::{ExtFields, Frame, RequestCode};
use runtime::{Clock, Net, Rng, SimDisk, Stream, Tasks};
use server::{Broker, BrokerSettings};
use store::MessageStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How many files this process may have open, until the guard is dropped.
struct Descriptors;

impl Descriptors {
    fn limit(files: usize) -> Descriptors {
        prlimit(&files.to_string());
        Descriptors
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        prlimit("1024");
    }
}

fn prlimit(soft: &str) {
    let process = std::process::id().to_string();
    let done = Command::new("prlimit")
        .args(["--pid", &process, &format!("--nofile={soft}:")])
        .status();
    assert!(done.expect("prlimit of util-linux is there").success());
}

async fn ask(stream: &mut Stream, clock: &Clock, patience: Duration) -> bool {
    let body = Bytes::from_static(br#"{"clientID":"c","producerDataSet":[],"consumerDataSet":[]}"#);
    let mut bytes = BytesMut::new();
    Frame::request(RequestCode::HEART_BEAT, ExtFields::new(), body).encode(&mut bytes);
    stream.write_all(&bytes).await.expect("the broker is there");
    let mut input = BytesMut::new();
    while Frame::decode(&mut input).expect("a frame").is_none() {
        match clock.timeout(patience, stream.read_buf(&mut input)).await {
            Ok(read) => assert!(read.expect("the broker is there") > 0),
            Err(_) => return false,
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_file_descriptors_those_inside_are_served_and_the_others_wait() {
    let clock = Clock::real();
    let tasks = Tasks::new(clock.clone());
    let rng = Rng::seeded(1);
    let tables = Arc::new(MemoryTables::default());
    let metadata = Metadata::over(tables).expect("tables in memory open");
    let (store, _) = MessageStore::open(
        PathBuf::from("/store"),
        store::Settings {
            segment_bytes: 1 << 20,
            ..store::Settings::default()
        },
        SimDisk::new(rng.split("disk")).mount(),
        clock.clone(),
        tasks.clone(),
    )
    .expect("an empty store opens");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let settings = BrokerSettings {
        cluster: "c".to_owned(),
        name: "b".to_owned(),
        id: 0,
        listen: any,
        advertised: any,
        name_servers: Vec::new(),
        auto_create_topics: false,
        auto_create_groups: true,
        body_limit: 4 << 20,
        limits: Default::default(),
    };
    let broker = Broker::open(settings, store, metadata, &rng, tasks).await;
    let broker = broker.expect("the broker opens");
    let net = Net::real();
    let address = broker.start(&net).await.expect("it listens").address;
    let address = address.to_string();
    let connect = || async { net.connect(&address).await.expect("the backlog takes it") };
    let mut inside = connect().await;
    let long = Duration::from_secs(10);
    assert!(ask(&mut inside, &clock, long).await);

    let null = std::fs::File::open("/dev/null").expect("it is everywhere");
    let next = null.as_raw_fd() as usize;
    drop(null);
    // One more: the client's own end. None is left for the broker's.
    let shortage = Descriptors::limit(next + 1);
    let mut outside = connect().await;
    let refused = |name| broker.usage().count(name);
    while refused("connectionsNotAccepted") == 0 {
        clock.sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..100 {
        assert!(ask(&mut inside, &clock, long).await, "served on");
    }
    let moment = Duration::from_millis(500);
    assert!(!ask(&mut outside, &clock, moment).await, "nobody let it in");
    let tried = refused("connectionsNotAccepted");
    assert!(tried < 10, "it was tried {tried} times in half a second");
    drop(shortage);
    let mut input = BytesMut::new();
    let answer = clock.timeout(long, outside.read_buf(&mut input)).await;
    assert!(matches!(answer, Ok(Ok(1..))), "let in and answered");
}
