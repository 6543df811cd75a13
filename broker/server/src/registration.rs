//! Tells every name server what this broker serves, again and again.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use metadata::{FilterType, Topics};
use protocol::body::{self, DataVersion, Table, TopicConfig, TopicFilterType, TopicTable};
use protocol::headers::{BrokerNamed, RegisterBroker};
use protocol::{ExtFields, Frame, RequestCode};
use runtime::{Clock, Net, Shutdown, Stream, Tasks};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::broker_door::{Broker, Settings};

/// RocketMQ: `registerNameServerPeriod`.
const PERIOD: Duration = Duration::from_secs(30);
/// A name server that could not be reached is tried again after this long.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How long a name server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps a broker in the routes.
#[derive(Clone)]
pub struct Registration {
    settings: Settings,
    net: Net,
    topics: Arc<Topics>,
    clock: Clock,
    started: i64,
}

impl Registration {
    pub fn new(settings: Settings, net: Net, topics: Arc<Topics>, clock: Clock) -> Registration {
        let started = clock.wall();
        Registration {
            settings,
            net,
            topics,
            clock,
            started,
        }
    }

    /// Starts one task for each name server: they do not know each other.
    pub fn start(self, tasks: &Tasks, broker: Arc<Broker>) {
        let (told, _) = tokio::sync::watch::channel(());
        for name_server in &self.settings.name_servers {
            let (registration, name_server) = (self.clone(), name_server.clone());
            let (changes, shutdown) = (told.subscribe(), tasks.shutdown());
            tasks.spawn(format!("register with {name_server}"), async move {
                registration.run(&name_server, changes, shutdown).await
            });
        }
        let shutdown = tasks.shutdown();
        tasks.spawn("spread topic changes", async move {
            loop {
                tokio::select! {
                    biased;
                    () = shutdown.requested() => return,
                    () = broker.topics_changed() => drop(told.send(())),
                }
            }
        });
    }

    async fn run(
        &self,
        name_server: &str,
        mut changes: tokio::sync::watch::Receiver<()>,
        shutdown: Shutdown,
    ) {
        let mut link: Option<Stream> = None;
        let mut silent = false;
        loop {
            let rest = match self.register(name_server, &mut link).await {
                Ok(()) => {
                    if std::mem::take(&mut silent) {
                        tracing::info!(name_server, "the name server answers again");
                    }
                    PERIOD
                }
                Err(why) => {
                    link = None;
                    // Said once, not every second.
                    if !std::mem::replace(&mut silent, true) {
                        tracing::warn!(name_server, %why, "the broker is not in the routes of this name server");
                    }
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                biased;
                () = shutdown.requested() => {
                    self.unregister(&mut link).await.ok();
                    return;
                }
                () = self.clock.sleep(rest) => {}
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn register(&self, name_server: &str, link: &mut Option<Stream>) -> std::io::Result<()> {
        let stream = match link {
            Some(stream) => stream,
            None => link.insert(self.net.connect(name_server).await?),
        };
        let address = self.settings.advertised.to_string();
        let header = RegisterBroker {
            broker: &self.settings.name,
            address: &address,
            cluster: &self.settings.cluster,
            ha_address: &address,
            broker_id: self.settings.id as i64,
            heartbeat_timeout_ms: None,
            acting_master: Some(false),
            compressed: false,
            body_crc: 0,
            zone: None,
        };
        let body = body::RegisterBroker {
            filter_server_list: Vec::new(),
            topic_config_serialize_wrapper: self.table(),
        };
        let request = Frame::request(
            RequestCode::REGISTER_BROKER,
            ExtFields::of(&header),
            body::encode(&body),
        );
        self.ask(stream, request).await
    }

    async fn unregister(&self, link: &mut Option<Stream>) -> std::io::Result<()> {
        let Some(stream) = link else { return Ok(()) };
        let address = self.settings.advertised.to_string();
        let header = BrokerNamed {
            broker: &self.settings.name,
            address: &address,
            cluster: &self.settings.cluster,
            broker_id: self.settings.id as i64,
        };
        let request = Frame::request(
            RequestCode::UNREGISTER_BROKER,
            ExtFields::of(&header),
            bytes::Bytes::new(),
        );
        self.ask(stream, request).await
    }

    async fn ask(&self, stream: &mut Stream, request: Frame) -> std::io::Result<()> {
        let other = |why: String| std::io::Error::other(why);
        let mut buffer = BytesMut::new();
        request.encode(&mut buffer);
        stream.write_all(&buffer).await?;
        buffer.clear();
        let answered = self.clock.timeout(PATIENCE, async {
            loop {
                if let Some(reply) =
                    Frame::decode(&mut buffer).map_err(|why| other(why.to_string()))?
                {
                    return Ok::<_, std::io::Error>(reply);
                }
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
        });
        let reply = answered
            .await
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        match reply.header.code {
            0 => Ok(()),
            code => Err(other(format!(
                "it answered code {code}: {}",
                reply.header.remark()
            ))),
        }
    }

    fn table(&self) -> TopicTable {
        let mut table = Table::new();
        for (topic, config) in self.topics.all().iter() {
            table.push(topic.to_string(), wire_topic(topic.as_str(), config));
        }
        let counter = self.topics.version() as i64;
        TopicTable {
            data_version: DataVersion {
                counter,
                state_version: 0,
                timestamp: self.started + counter,
            },
            topic_config_table: table,
            ..TopicTable::default()
        }
    }
}

/// A topic's settings as they travel.
pub fn wire_topic(name: &str, config: &metadata::TopicConfig) -> TopicConfig {
    let mut attributes = Table::new();
    for (key, value) in &config.attributes {
        attributes.push(key.clone(), value.clone());
    }
    TopicConfig {
        attributes,
        order: config.ordered,
        perm: config.permission.0 as i32,
        read_queue_nums: config.read_queues as i32,
        topic_filter_type: match config.filter {
            FilterType::SingleTag => TopicFilterType::SingleTag,
            FilterType::MultiTag => TopicFilterType::MultiTag,
        },
        topic_name: name.to_owned(),
        topic_sys_flag: config.system_flag,
        write_queue_nums: config.write_queues as i32,
    }
}
