//! A name server and a broker in this process, where the recorded ones stood.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use metadata::{MemoryTables, Metadata, TopicConfig};
use model::Topic;
use protocol::{Frame, RequestCode};
use runtime::{Net, Rng, SimClock, SimDisk, Tasks};
use server::{Broker, BrokerSettings, Listening, NameServer};
use store::{MessageStore, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::transcript::Peer;

/// Where the recorder listened: routes and message ids carry these.
const NAME_SERVER: &str = "127.0.0.1:29876";
const BROKER: &str = "127.0.0.1:30911";
/// How long, by the wall, an answer may take that is due.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct World {
    pub clock: SimClock,
    net: Net,
    metadata: Metadata,
    _servers: (Listening, Arc<Broker>, Listening),
}

impl World {
    /// Servers that start at `wall` milliseconds since 1970, with nothing but system topics.
    pub async fn open(wall: i64) -> World {
        let clock = SimClock::new(wall);
        let tasks = Tasks::new(clock.clock());
        let rng = Rng::seeded(1);
        let net = Net::in_memory();
        let metadata =
            Metadata::over(Arc::new(MemoryTables::default())).expect("tables in memory open");
        let address = |text: &str| -> SocketAddr { text.parse().expect("an address") };
        let names = NameServer::start(
            &net,
            address(NAME_SERVER),
            metadata.key_values.clone(),
            &tasks,
        )
        .await
        .expect("the name server starts");
        let settings = Settings {
            segment_bytes: 4 << 20,
            refuse_percent: 101,
            clean_percent: 101,
            retention_hours: 1_000_000,
            ..Settings::default()
        };
        let (store, _) = MessageStore::open(
            PathBuf::from("/store"),
            settings,
            SimDisk::new(rng.split("disk")).mount(),
            clock.clock(),
            tasks.clone(),
        )
        .expect("an empty store opens");
        let settings = BrokerSettings {
            cluster: "DefaultCluster".to_owned(),
            name: "broker-a".to_owned(),
            id: 0,
            listen: address(BROKER),
            advertised: address(BROKER),
            name_servers: vec![NAME_SERVER.to_owned()],
            auto_create_topics: true,
            auto_create_groups: true,
            body_limit: 4 << 20,
            limits: Default::default(),
        };
        let broker = Broker::open(settings, store, metadata.clone(), &rng, tasks.clone())
            .await
            .expect("the broker opens");
        let listening = broker.start(&net).await.expect("the broker starts");
        World {
            clock,
            net,
            metadata,
            _servers: (names, broker, listening),
        }
    }

    /// A topic that stood before the recording began; routes know it when this returns.
    pub async fn topic(&self, name: &str, queues: u32, attributes: &[(&str, &str)]) {
        let topic = Topic::parse(name).expect("a topic");
        let mut config = TopicConfig::with_queues(queues);
        for (name, value) in attributes {
            config
                .attributes
                .insert((*name).to_owned(), (*value).to_owned());
        }
        self.metadata
            .topics
            .put(topic, config)
            .expect("tables in memory take a topic");
    }

    /// Lets the broker tell the name server what it serves.
    pub async fn register(&self) {
        self.clock.run(Duration::from_secs(31)).await;
    }

    pub async fn connect(&self, peer: Peer) -> Connection {
        let address = match peer {
            Peer::NameServer => NAME_SERVER,
            Peer::Broker => BROKER,
        };
        let stream = self.net.connect(address).await.expect("servers listen");
        let (mut reader, writer) = stream.into_split();
        let (told, frames) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut buffer = BytesMut::new();
            while let Ok(1..) = reader.read_buf(&mut buffer).await {
                while let Ok(Some(frame)) = Frame::decode(&mut buffer) {
                    if told.send(frame).is_err() {
                        return;
                    }
                }
            }
        });
        Connection {
            writer,
            frames,
            answers: HashMap::new(),
            requests: Vec::new(),
        }
    }
}

pub struct Connection {
    writer: runtime::WriteHalf,
    frames: mpsc::UnboundedReceiver<Frame>,
    /// Answers by the number of their request, not looked at yet.
    answers: HashMap<i32, Frame>,
    /// Requests of the server, not looked at yet.
    requests: Vec<Frame>,
}

impl Connection {
    pub async fn send(&mut self, frame: &Frame) {
        let mut bytes = BytesMut::new();
        frame.encode(&mut bytes);
        // A connection that the server has closed shows in the answers that are missing.
        self.writer.write_all(&bytes).await.ok();
    }

    /// Asks and waits, for what a test does beside the transcript.
    pub async fn ask(&mut self, code: RequestCode, ext: protocol::ExtFields, body: Bytes) -> Frame {
        let mut frame = Frame::request(code, ext, body);
        frame.header.opaque = -7;
        self.send(&frame).await;
        self.answer(-7).await.expect("the server answers")
    }

    /// The answer to a request, or `None` when it does not come.
    pub async fn answer(&mut self, opaque: i32) -> Option<Frame> {
        loop {
            if let Some(answer) = self.answers.remove(&opaque) {
                return Some(answer);
            }
            self.next().await?;
        }
    }

    /// The next request of the server with that code.
    pub async fn request(&mut self, code: i32) -> Option<Frame> {
        loop {
            let place = self
                .requests
                .iter()
                .position(|frame| frame.header.code == code);
            if let Some(place) = place {
                return Some(self.requests.remove(place));
            }
            self.next().await?;
        }
    }

    /// As [`Connection::request`], without an end to its patience.
    pub async fn patient_request(&mut self, code: i32) -> Option<Frame> {
        loop {
            let place = self
                .requests
                .iter()
                .position(|frame| frame.header.code == code);
            if let Some(place) = place {
                return Some(self.requests.remove(place));
            }
            let frame = self.frames.recv().await?;
            self.sort(frame);
        }
    }

    async fn next(&mut self) -> Option<()> {
        let frame = tokio::time::timeout(PATIENCE, self.frames.recv())
            .await
            .ok()??;
        self.sort(frame);
        Some(())
    }

    fn sort(&mut self, frame: Frame) {
        match frame.header.flag.is_response() {
            true => drop(self.answers.insert(frame.header.opaque, frame)),
            false => self.requests.push(frame),
        }
    }
}
