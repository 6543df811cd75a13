//! What a connection costs while its client says nothing.
//!
//! `MILLSTREAM_CONNECTIONS` says how many there are (1,000 by default). For more than the system
//! lets a process open, `ulimit -n` comes first: each is a descriptor at either end. One address
//! may have 16,384.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use metadata::{MemoryTables, Metadata};
use protocol::{ExtFields, Frame, RequestCode};
use runtime::{Clock, Net, Rng, SimDisk, Stream, Tasks};
use server::{Broker, BrokerSettings};
use store::MessageStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes that are allocated now.
static TAKEN: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(layout.size() as isize, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes of a connection.
const LIMIT: usize = 8 << 10;
/// Questions by which the pace is told.
const QUESTIONS: usize = 2_000;

fn connections() -> usize {
    let number = std::env::var("MILLSTREAM_CONNECTIONS").ok();
    number.map_or(1_000, |number| number.parse().expect("a number"))
}

/// Memory of each connection that came since `before`, its client's side included.
fn each_since(before: isize, connections: usize) -> usize {
    let taken = TAKEN.load(Ordering::Relaxed) - before;
    usize::try_from(taken).unwrap_or(0) / connections
}

/// Microseconds in which a client is answered: half of its questions, and 99 of 100.
async fn pace(client: &mut Stream) -> (u128, u128) {
    let mut times = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let asked = Instant::now();
        ask(client).await;
        times.push(asked.elapsed().as_micros());
    }
    times.sort_unstable();
    (times[QUESTIONS / 2], times[QUESTIONS * 99 / 100])
}

async fn ask(stream: &mut Stream) {
    let body = br#"{"clientID":"c","producerDataSet":[],"consumerDataSet":[]}"#;
    let body = Bytes::from_static(body);
    let request = Frame::request(RequestCode::HEART_BEAT, ExtFields::new(), body);
    let mut bytes = BytesMut::new();
    request.encode(&mut bytes);
    stream.write_all(&bytes).await.expect("the broker is there");
    let mut input = BytesMut::new();
    while Frame::decode(&mut input).expect("a frame").is_none() {
        let read = stream.read_buf(&mut input).await;
        assert!(read.expect("the broker is there") > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_costs_less_than_8_kib() {
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
    let any = "127.0.0.1:0".parse().expect("an address");
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

    let mut inside = net.connect(&address).await.expect("it listens");
    let alone = pace(&mut inside).await;
    let connections = connections();
    let before = TAKEN.load(Ordering::Relaxed);
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        let client = net.connect(&address).await;
        clients.push(client.expect("the broker listens, and there is a descriptor left"));
    }
    while broker.usage().connections <= connections {
        clock.sleep(Duration::from_millis(10)).await;
    }
    let fresh = each_since(before, connections);
    for client in &mut clients {
        ask(client).await;
    }
    let busy = each_since(before, connections);
    clock.sleep(Duration::from_millis(1_500)).await;
    let idle = each_since(before, connections);
    println!("bytes of a connection: new {fresh}, just served {busy}, idle {idle}");
    let among = pace(&mut inside).await;
    println!("answered, p50 and p99 in us: alone {alone:?}, among {connections} idle {among:?}");
    assert!(fresh <= LIMIT && idle <= LIMIT, "new {fresh}, idle {idle}");
    // Whoever was silent is served like everybody else.
    for client in &mut clients {
        ask(client).await;
    }
    assert_eq!(broker.usage().connections, connections + 1);
}
