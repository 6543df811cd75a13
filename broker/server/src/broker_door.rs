//! The broker: its parts, its door, and what it does by the clock.

mod administration;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use delivery::{
    DelayLevel, Epochs, LongPolls, Publisher, Pulls, QueueLocks, Refused, Retries, Schedule,
};
use metadata::{Metadata, Permission, TopicConfig};
use model::{LogOffset, QueueId, QueueOffset, Topic, UniqueKeys, system_topics};
use protocol::{Caller, Frame, Reply, RequestCode, ResponseCode};
use runtime::{Net, Rng, Tasks};
use store::MessageStore;

use crate::Error;
use crate::admission::Admission;
use crate::channel::Channel;
use crate::connection::{Answer, Answers, Door};
use crate::doorkeeper::Doorkeeper;
use crate::fast_door::FastDoor;
use crate::handlers::clients::Clients;
use crate::handlers::offsets::Offsets;
use crate::handlers::pull::Reads;
use crate::handlers::send::Sends;
use crate::handlers::{Description, Identity, jobs};
use crate::limits::{Limits, check_body_limit};
use crate::listener::{Listening, listen};
use crate::pull_progress::PullProgress;
use crate::registration::Registration;
use crate::respond::{Refusal, reply};
use crate::sessions::Sessions;
use crate::statistics::{SAMPLE, Statistics};
use crate::turned_away::Why;

/// What an operator chooses about the broker.
#[derive(Clone, Debug)]
pub struct Settings {
    pub cluster: String,
    pub name: String,
    pub id: u64,
    /// Where it listens.
    pub listen: SocketAddr,
    /// What routes say; message ids carry its address.
    pub advertised: SocketAddr,
    /// `host:port` of every name server.
    pub name_servers: Vec<String>,
    pub auto_create_topics: bool,
    pub auto_create_groups: bool,
    /// Bytes of the largest message body.
    pub body_limit: usize,
    pub limits: Limits,
}

/// What the broker's limits meter at this moment, and whom they turned away since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub connections: usize,
    pub bytes_in_flight: usize,
    /// Bytes of sends that wait for the disk.
    pub sends_waiting: usize,
    pub polls: usize,
    /// By the name of its figure.
    pub turned_away: Vec<(&'static str, u64)>,
}

impl Usage {
    /// How often this happened since the start.
    pub fn count(&self, figure: &str) -> u64 {
        let mut counts = self.turned_away.iter();
        counts
            .find(|(name, _)| *name == figure)
            .map_or(0, |(_, count)| *count)
    }
}

/// A running broker.
pub struct Broker {
    identity: Identity,
    store: MessageStore,
    metadata: Metadata,
    publisher: Publisher,
    pulls: Pulls,
    polls: LongPolls,
    pulled: PullProgress,
    retries: Retries,
    locks: Arc<QueueLocks>,
    epochs: Arc<Epochs>,
    schedule: Arc<Schedule>,
    sessions: Sessions,
    statistics: Statistics,
    keeper: Arc<Doorkeeper>,
    admission: Admission,
    tasks: Tasks,
    settings: Settings,
}

/// How often committed offsets and epochs are kept. RocketMQ: `flushConsumerOffsetInterval`.
const KEEP: Duration = Duration::from_secs(5);
/// How often silent clients are looked for.
const LOOK_FOR_SILENT: Duration = Duration::from_secs(10);
/// Where a RocketMQ broker left its delay levels, by level.
pub(crate) const ADOPTED_DELAYS: &str = "DELAY_OFFSET";

impl Broker {
    /// Puts the parts together over an open store; nothing is served yet.
    pub async fn open(
        settings: Settings,
        store: MessageStore,
        metadata: Metadata,
        rng: &Rng,
        tasks: Tasks,
    ) -> Result<Arc<Broker>, Error> {
        check_body_limit(settings.body_limit)?;
        let clock = tasks.clock().clone();
        let publisher = Publisher::new(store.clone(), settings.advertised);
        let polls = LongPolls::new(settings.limits.polls);
        let locks = Arc::new(QueueLocks::new(clock.clone()));
        make_system_topics(&settings, &metadata)?;
        if metadata.is_restored() {
            recall_topics(&store, &metadata)?;
        }
        let adopted = |level: DelayLevel| {
            let kept = metadata
                .key_values
                .get(ADOPTED_DELAYS, &level.number().to_string());
            QueueOffset(kept.and_then(|offset| offset.parse().ok()).unwrap_or(0))
        };
        let schedule =
            Schedule::open(store.clone(), publisher.clone(), clock.clone(), adopted).await?;
        let epochs = Epochs::open(
            store.clone(),
            publisher.clone(),
            metadata.clone(),
            tasks.clone(),
        )
        .await?;
        store.tell(Arrivals {
            polls: polls.clone(),
            schedule: schedule.clone(),
        });
        let description = Description {
            cluster: settings.cluster.clone(),
            name: settings.name.clone(),
            body_limit: settings.body_limit,
            auto_create_topics: settings.auto_create_topics,
            auto_create_groups: settings.auto_create_groups,
        };
        let unique_keys = UniqueKeys::new(
            settings.advertised.ip(),
            std::process::id(),
            rng.next_u64() as u32,
        );
        Ok(Arc::new(Broker {
            identity: Identity::new(
                description,
                metadata.groups.clone(),
                clock.clone(),
                unique_keys,
            ),
            pulls: Pulls::new(
                store.clone(),
                metadata.topics.clone(),
                metadata.offsets.clone(),
                polls.clone(),
                clock.clone(),
            ),
            polls,
            pulled: PullProgress::default(),
            retries: Retries::new(
                store.clone(),
                publisher.clone(),
                metadata.topics.clone(),
                metadata.groups.clone(),
                locks.clone(),
            ),
            sessions: Sessions::new(clock.clone()),
            keeper: Doorkeeper::new(settings.limits.clone()),
            admission: Admission::new(&settings.limits, clock.clone()),
            statistics: Statistics::new(clock),
            store,
            metadata,
            publisher,
            locks,
            epochs,
            schedule,
            tasks,
            settings,
        }))
    }

    /// Opens the door, registers with the name servers, and starts what runs by the clock.
    pub async fn start(self: &Arc<Self>, net: &Net) -> Result<Listening, Error> {
        let door: Arc<dyn Door> = self.clone();
        let listening = listen(net, self.settings.listen, door, &self.keeper, &self.tasks).await?;
        if let Some(address) = FastDoor::beside(self.settings.listen) {
            let door = Arc::new(FastDoor::of(self.clone()));
            if let Err(why) = listen(net, address, door, &self.keeper, &self.tasks).await {
                // Few clients know of it, and none needs it.
                tracing::warn!(%why, "the broker has no second door");
            }
        }
        self.schedule.start(&self.tasks);
        let registration = Registration::new(
            self.settings.clone(),
            net.clone(),
            self.metadata.topics.clone(),
            self.tasks.clock().clone(),
        );
        registration.start(&self.tasks, self.clone());
        self.keep_on();
        self.every("look for silent clients", LOOK_FOR_SILENT, |broker| {
            let news = broker.sessions.expire();
            broker.clients().notify(news);
        });
        self.every("sample statistics", SAMPLE, |broker| {
            broker.statistics.sample()
        });
        Ok(listening)
    }

    /// Keeps what a clean stop must not lose. Called after the tasks have stopped.
    pub async fn close(&self) -> Result<(), Error> {
        self.keep();
        if let Err(why) = self.metadata.close() {
            tracing::error!(%why, "metadata was not copied");
        }
        self.store.close().await.map_err(delivery::Error::Store)?;
        Ok(())
    }

    /// What the limits meter.
    pub fn usage(&self) -> Usage {
        let mut turned_away: Vec<_> = self.keeper.turned_away.all().collect();
        turned_away.push(("pollsRefused", self.polls.refused()));
        Usage {
            connections: self.keeper.guests(),
            bytes_in_flight: self.keeper.in_flight.bytes(),
            sends_waiting: self.admission.waiting(),
            polls: self.polls.held(),
            turned_away,
        }
    }

    fn every(
        self: &Arc<Self>,
        name: &'static str,
        interval: Duration,
        what: impl Fn(&Broker) + Send + 'static,
    ) {
        let (broker, shutdown) = (self.clone(), self.tasks.shutdown());
        self.tasks.spawn(name, async move {
            loop {
                tokio::select! {
                    biased;
                    () = shutdown.requested() => return,
                    () = broker.identity.clock.sleep(interval) => what(&broker),
                }
            }
        });
    }

    /// Keeps progress again and again, and waits for the disk where no request does.
    fn keep_on(self: &Arc<Self>) {
        let (broker, shutdown) = (self.clone(), self.tasks.shutdown());
        self.tasks.spawn("keep offsets", async move {
            loop {
                tokio::select! {
                    biased;
                    () = shutdown.requested() => return,
                    () = broker.identity.clock.sleep(KEEP) => {}
                }
                let keeping = broker.clone();
                let kept = broker
                    .tasks
                    .blocking("keep offsets", move || keeping.keep());
                if kept.await.is_err() {
                    return;
                }
            }
        });
    }

    fn keep(&self) {
        if let Err(why) = self.metadata.keep() {
            tracing::error!(%why, "committed offsets could not be kept");
        }
        if let Err(why) = self.epochs.flush() {
            tracing::error!(%why, "epochs could not be kept");
        }
    }

    /// Resolves when a topic was made or changed since the last call.
    pub(crate) async fn topics_changed(&self) {
        self.identity.topics_changed.notified().await;
    }

    fn sends(&self) -> Sends<'_> {
        Sends {
            identity: &self.identity,
            topics: &self.metadata.topics,
            publisher: &self.publisher,
            retries: &self.retries,
            statistics: &self.statistics,
        }
    }

    fn reads(&self) -> Reads<'_> {
        Reads {
            identity: &self.identity,
            pulls: &self.pulls,
            groups: &self.metadata.groups,
            offsets: &self.metadata.offsets,
            sessions: &self.sessions,
            statistics: &self.statistics,
            progress: &self.pulled,
        }
    }

    fn offsets(&self) -> Offsets<'_> {
        Offsets {
            store: &self.store,
            topics: &self.metadata.topics,
            groups: &self.metadata.groups,
            offsets: &self.metadata.offsets,
        }
    }

    fn clients(&self) -> Clients<'_> {
        Clients {
            identity: &self.identity,
            sessions: &self.sessions,
            topics: &self.metadata.topics,
            groups: &self.metadata.groups,
            locks: &self.locks,
        }
    }

    async fn handle(&self, channel: &Channel, request: &Frame) -> Result<Reply, Refusal> {
        match RequestCode(request.header.code) {
            RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE => {
                self.reads().pull(request).await
            }
            RequestCode::CONSUMER_SEND_MSG_BACK => self.sends().send_back(request).await,
            RequestCode::QUERY_CONSUMER_OFFSET => self.offsets().query(request).await,
            RequestCode::UPDATE_CONSUMER_OFFSET => self.offsets().update(request),
            RequestCode::GET_MAX_OFFSET => self.offsets().max(request),
            RequestCode::GET_MIN_OFFSET => self.offsets().min(request),
            RequestCode::GET_EARLIEST_MSG_STORETIME => {
                self.offsets().earliest_store_time(request).await
            }
            RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => self.offsets().search(request).await,
            RequestCode::HEART_BEAT => self.clients().heartbeat(request, channel),
            RequestCode::UNREGISTER_CLIENT => self.clients().unregister(request),
            RequestCode::GET_CONSUMER_LIST_BY_GROUP => self.clients().list(request),
            RequestCode::CHECK_CLIENT_CONFIG => self.clients().check(request),
            RequestCode::LOCK_BATCH_MQ => self.clients().lock(request),
            RequestCode::UNLOCK_BATCH_MQ => self.clients().unlock(request),
            RequestCode::COMMIT_EPOCH => {
                jobs::commit_epoch(&self.epochs, &self.metadata.topics, &self.identity, request)
                    .await
            }
            RequestCode::FENCE_JOB => jobs::fence_job(&self.epochs, request),
            RequestCode::GET_JOB_STATE => jobs::job_state(&self.epochs, request),
            RequestCode::FORGET_JOB => jobs::forget_job(&self.epochs, request),
            _ => self.administer(request).await,
        }
    }
}

impl Broker {
    /// Stores one message, or one batch, when the store keeps up.
    async fn send(&self, request: &Frame, peer: SocketAddr) -> Reply {
        if let Err(why) = self.admit(1).await {
            return reply(Err(why.into()));
        }
        let sends = self.sends();
        let send = pin!(sends.send(request, peer));
        self.admission.see_through(request.body.len(), send).await
    }

    /// The same for messages that arrived together.
    async fn send_all(&self, requests: &[Frame], peer: SocketAddr) -> BytesMut {
        if let Err(why) = self.admit(requests.len()).await {
            let refused = reply(Err(why.into()));
            let mut replies = BytesMut::new();
            for request in requests {
                let refused = refused.clone();
                refused.encode_for(&Caller::of(request), &mut replies);
            }
            return replies;
        }
        let bytes = requests.iter().map(|request| request.body.len()).sum();
        let sends = self.sends();
        let send = pin!(sends.send_all(requests, peer));
        self.admission.see_through(bytes, send).await
    }

    async fn admit(&self, sends: usize) -> Result<(), Refused> {
        let admitted = self.admission.admit().await;
        if admitted.is_err() {
            for _ in 0..sends {
                self.keeper.turned_away.count(Why::Send);
            }
        }
        admitted
    }
}

impl Door for Broker {
    fn answer(self: Arc<Self>, channel: Channel, request: Frame) -> Answer {
        if is_send(&request) {
            return Box::pin(async move { self.send(&request, channel.peer()).await });
        }
        Box::pin(async move { reply(self.handle(&channel, &request).await) })
    }

    /// Sends that arrive together are stored with one write.
    fn gathers(&self, request: &Frame) -> bool {
        is_send(request)
    }

    fn answer_all(self: Arc<Self>, channel: Channel, requests: Vec<Frame>) -> Answers {
        Box::pin(async move { self.send_all(&requests, channel.peer()).await })
    }

    fn closed(&self, channel: &Channel) {
        self.clients().closed(channel);
    }
}

fn is_send(request: &Frame) -> bool {
    matches!(
        RequestCode(request.header.code),
        RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE
    )
}

pub(crate) fn not_supported(code: RequestCode) -> Refusal {
    Refusal::code(
        ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
        format!(" request type {} not supported", code.0),
    )
}

/// Tells waiting readers and the schedule that a queue has grown.
struct Arrivals {
    polls: LongPolls,
    schedule: Arc<Schedule>,
}

impl store::Arrivals for Arrivals {
    fn arrived(&self, queue: &QueueId, _end: QueueOffset, tags_code: i64) {
        self.polls.arrived(queue, tags_code);
        self.schedule.arrived(queue);
    }

    fn needs_below(&self, end: LogOffset) -> bool {
        self.schedule.needs_below(end)
    }
}

/// Makes the topics anew that have messages and that the metadata has lost, with as many queues
/// as have held any.
fn recall_topics(store: &MessageStore, metadata: &Metadata) -> Result<(), Error> {
    let mut lost: BTreeMap<Topic, u32> = BTreeMap::new();
    for queue in store.queues() {
        if metadata.topics.get(queue.topic.as_str()).is_none() {
            let queues = lost.entry(queue.topic).or_default();
            *queues = (*queues).max(queue.number + 1);
        }
    }
    let recalled = lost.into_iter().map(|(topic, queues)| {
        tracing::warn!(%topic, queues, "a topic with messages was not in the metadata's copy");
        (topic, TopicConfig::with_queues(queues))
    });
    metadata.topics.put_all(recalled.collect())?;
    metadata.completed()?;
    Ok(())
}

/// The topics every RocketMQ broker has from its first start on.
fn make_system_topics(settings: &Settings, metadata: &Metadata) -> Result<(), Error> {
    let with = |queues: u32, permission: u32| TopicConfig {
        permission: Permission(permission),
        ..TopicConfig::with_queues(queues)
    };
    let (cluster, broker) = (&settings.cluster, &settings.name);
    let mut topics = vec![
        (system_topics::SELF_TEST.to_owned(), with(1, 6)),
        (system_topics::BENCHMARK.to_owned(), with(1024, 6)),
        (cluster.clone(), with(16, 7)),
        (broker.clone(), with(1, 7)),
        (system_topics::OFFSET_MOVED.to_owned(), with(1, 6)),
        (system_topics::SCHEDULE.to_owned(), with(18, 6)),
        (format!("{cluster}_REPLY_TOPIC"), with(1, 6)),
        (format!("rmq_sys_REVIVE_LOG_{cluster}"), with(8, 6)),
        (format!("rmq_sys_SYNC_BROKER_MEMBER_{broker}"), with(1, 1)),
        (system_topics::TRANSACTION_HALF.to_owned(), with(1, 6)),
        (system_topics::TRANSACTION_OPERATION.to_owned(), with(1, 6)),
        (system_topics::TIMER.to_owned(), with(1, 6)),
    ];
    if settings.auto_create_topics {
        topics.push((system_topics::AUTO_CREATE.to_owned(), with(8, 7)));
    }
    let absent = topics.into_iter().filter_map(|(name, config)| {
        let topic = Topic::stored(&name).ok()?;
        metadata
            .topics
            .get(&name)
            .is_none()
            .then_some((topic, config))
    });
    metadata.topics.put_all(absent.collect())?;
    Ok(())
}
