//! A broker whose limits are small, and clients that speak bytes.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use metadata::{MemoryTables, Metadata, TopicConfig};
use model::batch::{self, Entry};
use model::{Properties, Topic};
use protocol::headers::{PullFlags, PullMessage, SendMessage};
use protocol::{ExtFields, Frame, RequestCode};
use runtime::{Clock, Net, Rng, SimClock, SimDisk, SimNet, Stream, Tasks};
use server::{Broker, BrokerSettings, Limits};
use store::{Flush, MessageStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub const BROKER: &str = "127.0.0.1:10911";
/// How long, by the wall, a test waits for what is due.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct House {
    pub broker: Arc<Broker>,
    pub disk: SimDisk,
    pub sim: SimNet,
    pub net: Net,
    pub address: SocketAddr,
}

impl House {
    /// By a clock that the test moves, over a network in memory.
    pub async fn simulated(clock: &SimClock, limits: Limits) -> House {
        let sim = SimNet::new();
        let net = sim.net();
        House::open(clock.clock(), sim, net, BROKER, limits, Flush::Async).await
    }

    /// By the machine's clock, over real sockets; each send waits for the disk.
    pub async fn real(limits: Limits) -> House {
        let (sim, net) = (SimNet::new(), Net::real());
        House::open(Clock::real(), sim, net, "127.0.0.1:0", limits, Flush::Sync).await
    }

    async fn open(
        clock: Clock,
        sim: SimNet,
        net: Net,
        listen: &str,
        limits: Limits,
        flush: Flush,
    ) -> House {
        let tasks = Tasks::new(clock.clone());
        let rng = Rng::seeded(1);
        let disk = SimDisk::new(rng.split("disk"));
        let metadata =
            Metadata::over(Arc::new(MemoryTables::default())).expect("tables in memory open");
        metadata
            .topics
            .put(topic(), TopicConfig::with_queues(2))
            .expect("tables in memory take a topic");
        let settings = store::Settings {
            segment_bytes: 64 << 20,
            flush,
            refuse_percent: 101,
            clean_percent: 101,
            ..store::Settings::default()
        };
        let (store, _) = MessageStore::open(
            PathBuf::from("/store"),
            settings,
            disk.mount(),
            clock,
            tasks.clone(),
        )
        .expect("an empty store opens");
        let listen: SocketAddr = listen.parse().expect("an address");
        let settings = BrokerSettings {
            cluster: "c".to_owned(),
            name: "b".to_owned(),
            id: 0,
            listen,
            advertised: BROKER.parse().expect("an address"),
            name_servers: Vec::new(),
            auto_create_topics: false,
            auto_create_groups: true,
            body_limit: 4 << 20,
            limits,
        };
        let broker = Broker::open(settings, store, metadata, &rng, tasks)
            .await
            .expect("the broker opens");
        let address = broker.start(&net).await.expect("it listens").address;
        House {
            broker,
            disk,
            sim,
            net,
            address,
        }
    }

    pub async fn connect(&self) -> Client {
        let stream = self.net.connect(&self.address.to_string()).await;
        Client::over(stream.expect("the broker listens"))
    }

    /// A client on another machine.
    pub async fn connect_from(&self, address: [u8; 4]) -> Client {
        let net = self.sim.host(IpAddr::from(address)).net();
        let stream = net.connect(BROKER).await;
        Client::over(stream.expect("the broker listens"))
    }

    /// Waits until the meters show what they should.
    pub async fn until(&self, what: &str, shown: impl Fn(&server::Usage) -> bool) {
        let clock = Clock::real();
        let begun = clock.now();
        while !shown(&self.broker.usage()) {
            let waited = clock.now().since(begun);
            assert!(waited < PATIENCE, "{what}: {:?}", self.broker.usage());
            clock.sleep(Duration::from_millis(2)).await;
        }
    }
}

pub struct Client {
    pub stream: Stream,
    input: BytesMut,
}

impl Client {
    fn over(stream: Stream) -> Client {
        Client {
            stream,
            input: BytesMut::new(),
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// The next frame, or `None` when the broker has closed the connection.
    pub async fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::decode(&mut self.input).expect("the broker speaks well") {
                return Some(frame);
            }
            let read = self.stream.read_buf(&mut self.input);
            match Clock::real().timeout(PATIENCE, read).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return None,
                Err(_) => panic!("the broker neither answered nor closed"),
            }
        }
    }

    pub async fn ask(&mut self, request: &[u8]) -> Frame {
        assert!(self.write(request).await, "the broker is there");
        self.read().await.expect("the broker answers")
    }

    /// Whether the broker still answers here.
    pub async fn is_served(&mut self) -> bool {
        self.write(&heartbeat()).await && self.read().await.is_some()
    }
}

pub fn topic() -> Topic {
    Topic::parse("orders").expect("a topic")
}

pub fn send(opaque: i32, body: usize) -> Bytes {
    let body = vec![b'x'; body];
    frame(RequestCode::SEND_MESSAGE_V2, sending(false), body, opaque)
}

/// So many messages in one body.
pub fn send_batch(opaque: i32, messages: usize) -> Bytes {
    let entry = Entry {
        flag: 0,
        properties: Properties::new(),
        body: Bytes::from_static(b"x"),
    };
    let body = batch::encode(&vec![entry; messages]).expect("they fit");
    let code = RequestCode::SEND_BATCH_MESSAGE;
    frame(code, sending(true), body.to_vec(), opaque)
}

fn sending(batch: bool) -> ExtFields {
    ExtFields::of(&SendMessage {
        producer_group: "p",
        topic: "orders",
        default_topic: "",
        default_topic_queues: 0,
        queue: 0,
        sys_flag: 0,
        born: 1,
        flag: 0,
        properties: "",
        reconsume_times: 0,
        unit_mode: false,
        max_reconsume_times: None,
        batch,
        broker: None,
    })
}

/// A pull of everything from `offset`, held for a minute when there is nothing.
pub fn pull(opaque: i32, group: &str, offset: i64) -> Bytes {
    let header = PullMessage {
        group,
        topic: "orders",
        queue: 0,
        queue_offset: offset,
        max_messages: 160,
        flags: PullFlags::SUSPEND | PullFlags::SUBSCRIPTION,
        commit_offset: 0,
        suspend_timeout_ms: 60_000,
        subscription: Some("*"),
        subscription_version: 0,
        expression_type: None,
        max_message_bytes: None,
        request_source: None,
        proxy_forward_client_id: None,
        broker: None,
    };
    let code = RequestCode::PULL_MESSAGE;
    frame(code, ExtFields::of(&header), Vec::new(), opaque)
}

fn heartbeat() -> Bytes {
    let body = br#"{"clientID":"c","producerDataSet":[],"consumerDataSet":[]}"#;
    let code = RequestCode::HEART_BEAT;
    frame(code, ExtFields::new(), body.to_vec(), 1)
}

pub fn frame(code: RequestCode, ext: ExtFields, body: Vec<u8>, opaque: i32) -> Bytes {
    let mut frame = Frame::request(code, ext, body.into());
    frame.header.opaque = opaque;
    let mut bytes = BytesMut::new();
    frame.encode(&mut bytes);
    bytes.freeze()
}
