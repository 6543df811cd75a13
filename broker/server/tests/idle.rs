//! What a connection costs while its client says nothing.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;

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

const CONNECTIONS: usize = 1_000;
const LIMIT: usize = 8 << 10;

/// Memory of each connection that came since `before`, its client's side included.
fn each_since(before: isize) -> usize {
    let taken = TAKEN.load(Ordering::Relaxed) - before;
    usize::try_from(taken).unwrap_or(0) / CONNECTIONS
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

    let before = TAKEN.load(Ordering::Relaxed);
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let client = net.connect(&address.to_string()).await;
        clients.push(client.expect("the broker listens"));
    }
    while broker.usage().connections < CONNECTIONS {
        clock.sleep(Duration::from_millis(10)).await;
    }
    let fresh = each_since(before);
    for client in &mut clients {
        ask(client).await;
    }
    let busy = each_since(before);
    clock.sleep(Duration::from_millis(1_500)).await;
    let idle = each_since(before);
    println!("bytes of a connection: new {fresh}, just served {busy}, idle {idle}");
    assert!(fresh <= LIMIT && idle <= LIMIT, "new {fresh}, idle {idle}");
    // Whoever was silent is served like everybody else.
    for client in &mut clients {
        ask(client).await;
    }
}
