//! Sends messages: many under way at once, each acknowledged or failed by itself.

mod parcel;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use model::{Compression, Message, QueueOffset, Topic, java_hash, properties};
use protocol::ResponseCode;
use runtime::Moment;

use crate::route::{BrokerQueue, Route};
use crate::{Client, Error, compression};
use parcel::{Parcel, check_body, check_properties};

/// The first pause before a message is tried again where it failed; it doubles each time.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What an application chooses about a producer.
#[derive(Clone, Debug)]
pub struct ProducerSettings {
    /// What brokers call this kind of producer.
    pub group: String,
    /// Attempts after the first, on other brokers where there are any. RocketMQ:
    /// `retryTimesWhenSendFailed`.
    pub retries: u32,
    /// How long a send may take, attempts together. RocketMQ: `sendMsgTimeout`.
    pub timeout: Duration,
    /// Most bytes of one body, or of one batch. RocketMQ: `maxMessageSize`.
    pub body_limit: usize,
    /// Bodies from so many bytes on travel compressed. Off by default.
    pub compress: Option<(usize, Compression)>,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        ProducerSettings {
            group: "MILLSTREAM_PRODUCER".to_owned(),
            retries: 2,
            timeout: Duration::from_secs(3),
            body_limit: 4 << 20,
            compress: None,
        }
    }
}

/// Sends messages. Cheap to clone; sends from any number of tasks share the connections.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    settings: ProducerSettings,
    /// Goes round the queues.
    next: AtomicUsize,
}

/// Where a message, or the first of a batch, has gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendReceipt {
    pub durability: Durability,
    pub queue: BrokerQueue,
    pub offset: QueueOffset,
    /// By which the broker finds it again; joined by commas for a batch.
    pub message_id: String,
    /// By which its producer knows it; joined by commas for a batch.
    pub unique_key: String,
}

/// How safe a stored message was when the broker answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As safe as the broker is set to make it.
    AsPromised,
    /// Stored, but not flushed in time.
    FlushLate,
    /// Stored on the master only: the replica did not answer in time, or there is none.
    ReplicaLate,
}

impl Client {
    pub fn producer(&self, settings: ProducerSettings) -> Producer {
        self.members().producer_joins(&settings.group);
        let start = self.first_queue();
        Producer {
            shared: Arc::new(Shared {
                client: self.clone(),
                settings,
                next: AtomicUsize::new(start),
            }),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !self.client.members().producer_leaves(&self.settings.group) {
            return;
        }
        let (client, group) = (self.client.clone(), self.settings.group.clone());
        let farewell = async move { client.unregister(Some(&group), None).await };
        self.client.tasks().spawn("producer leaves", farewell);
    }
}

impl Producer {
    /// Sends to any of the topic's queues, whatever queue the message names. Resolves when the
    /// broker has acknowledged it. A message that failed may have been stored all the same, so a
    /// repeated send can leave two; both have one unique key.
    pub async fn send(&self, mut message: Message) -> Result<SendReceipt, Error> {
        self.prepare(&mut message)?;
        self.deliver(Parcel::single(message), None).await
    }

    /// Sends to the queue the caller chose, and to no other.
    pub async fn send_to(
        &self,
        queue: &BrokerQueue,
        mut message: Message,
    ) -> Result<SendReceipt, Error> {
        self.prepare(&mut message)?;
        self.deliver(Parcel::single(message), Some(queue)).await
    }

    /// Sends messages of one key to one queue, so that they stay in order; for as long as the
    /// topic keeps its queues. The key is kept in the message.
    pub async fn send_in_order(
        &self,
        key: &str,
        mut message: Message,
    ) -> Result<SendReceipt, Error> {
        message.properties.set(properties::SHARDING_KEY, key);
        let queues = self.queues(&message.topic).await?;
        let hash = java_hash(key).unsigned_abs() as usize;
        self.send_to(&queues[hash % queues.len()], message).await
    }

    /// Sends several messages of one topic as one: they are stored next to each other, or none
    /// is. The receipt is the first one's.
    pub async fn send_batch(&self, mut messages: Vec<Message>) -> Result<SendReceipt, Error> {
        for message in &mut messages {
            self.shared.client.complete(message);
        }
        let Some(first) = messages.first().map(|message| &message.topic) else {
            return Err(Error::Illegal {
                why: "the batch holds no message".to_owned(),
            });
        };
        // By its own key the broker keeps a batch together where the topic wants that.
        let mut whole = Message::new(first.clone(), 0, Bytes::new());
        self.shared.client.complete(&mut whole);
        let limit = self.shared.settings.body_limit;
        let parcel = Parcel::batch(messages, whole.properties, limit)?;
        self.deliver(parcel, None).await
    }

    /// Sends without asking for an answer: fast, and nobody learns whether it arrived. Resolves
    /// when it is queued for writing.
    pub async fn send_oneway(&self, mut message: Message) -> Result<(), Error> {
        self.prepare(&mut message)?;
        let shared = &self.shared;
        let route = shared.client.routes().for_sending(&message.topic).await?;
        let queue = shared.pick(&route, None)?;
        let parcel = Parcel::single(message);
        let request = parcel.request(&shared.settings.group, queue);
        let (address, limit) = (route.address_of(queue)?, shared.settings.timeout);
        let told = shared
            .client
            .connections()
            .tell(address, request, limit)
            .await;
        if told.is_err() {
            shared.client.routes().forget(&route.topic);
        }
        told
    }

    /// Queues that messages of the topic can be sent to; never none.
    pub async fn queues(&self, topic: &Topic) -> Result<Vec<BrokerQueue>, Error> {
        let route = self.shared.client.routes().for_sending(topic).await?;
        self.shared.pick(&route, None)?;
        Ok(route.writable.clone())
    }

    fn prepare(&self, message: &mut Message) -> Result<(), Error> {
        let settings = &self.shared.settings;
        check_body(message.body.len(), settings.body_limit, "message")?;
        if let Some((from, how)) = settings.compress
            && message.body.len() >= from
            && !message.sys_flag.is_compressed()
        {
            let compressed = compression::compress(&message.body, how);
            message.body = compressed.map_err(|why| Error::Illegal {
                why: format!("its body could not be compressed: {why}"),
            })?;
            message.sys_flag = message.sys_flag.with_compression(Some(how));
        }
        self.shared.client.complete(message);
        check_properties(&message.properties)
    }

    /// Attempts until one succeeds, one fails for good, or time or retries are used up.
    async fn deliver(
        &self,
        parcel: Parcel,
        chosen: Option<&BrokerQueue>,
    ) -> Result<SendReceipt, Error> {
        let (client, settings) = (&self.shared.client, &self.shared.settings);
        let clock = client.clock();
        let deadline = clock.now() + settings.timeout;
        let retries = if chosen.is_some() {
            0
        } else {
            settings.retries
        };
        let mut failed: Option<Arc<str>> = None;
        let mut attempts = 0;
        loop {
            let attempt = self.attempt(&parcel, chosen, failed.as_ref(), deadline);
            let Failure { why, broker, pause } = match attempt.await {
                Err(failure) if worth_retrying(&failure.why) => failure,
                outcome => return outcome.map_err(|failure| failure.why),
            };
            client.routes().forget(&parcel.topic);
            let doubled = PAUSE * 2u32.saturating_pow(attempts.min(8));
            let pause = if pause {
                doubled.min(LONGEST_PAUSE)
            } else {
                Duration::ZERO
            };
            attempts += 1;
            if attempts > retries || clock.now() + pause >= deadline {
                return Err(Error::Unsent {
                    topic: parcel.topic,
                    attempts,
                    last: Box::new(why),
                });
            }
            tracing::debug!(topic = %parcel.topic, %why, "a send failed and is tried again");
            failed = broker;
            clock.sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        parcel: &Parcel,
        chosen: Option<&BrokerQueue>,
        failed: Option<&Arc<str>>,
        deadline: Moment,
    ) -> Result<SendReceipt, Failure> {
        let shared = &self.shared;
        let nowhere = |why| Failure {
            why,
            broker: None,
            pause: true,
        };
        let route = shared.client.routes().for_sending(&parcel.topic).await;
        let route = route.map_err(nowhere)?;
        let queue = match chosen {
            Some(queue) => queue,
            None => shared.pick(&route, failed).map_err(nowhere)?,
        };
        let here = |why| Failure {
            why,
            broker: Some(queue.broker.clone()),
            // Another broker may be tried at once.
            pause: route
                .writable
                .iter()
                .all(|other| other.broker == queue.broker),
        };
        let address = route.address_of(queue).map_err(here)?;
        let request = parcel.request(&shared.settings.group, queue);
        let limit = deadline.since(shared.client.clock().now());
        let connections = shared.client.connections();
        let answer = connections
            .ask(address, request, limit)
            .await
            .map_err(here)?;
        parcel.receipt(address, &answer, queue).map_err(here)
    }
}

/// An attempt that came to nothing.
struct Failure {
    why: Error,
    /// The broker it was made at.
    broker: Option<Arc<str>>,
    /// Whether the next attempt has to rest first.
    pause: bool,
}

impl Shared {
    /// The next queue in turn, not on the broker that has just failed if there is another.
    fn pick<'a>(
        &self,
        route: &'a Route,
        failed: Option<&Arc<str>>,
    ) -> Result<&'a BrokerQueue, Error> {
        let queues = &route.writable;
        if queues.is_empty() {
            return Err(Error::NoQueues {
                topic: route.topic.clone(),
                access: "writable",
            });
        }
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = |step: usize| &queues[first.wrapping_add(step) % queues.len()];
        let other = (0..queues.len())
            .map(turn)
            .find(|queue| Some(&queue.broker) != failed);
        Ok(other.unwrap_or_else(|| turn(0)))
    }
}

/// Whether another attempt may go better.
fn worth_retrying(why: &Error) -> bool {
    match why {
        Error::Unreachable { .. }
        | Error::TimedOut { .. }
        | Error::NoRoute { .. }
        | Error::NoQueues { .. } => true,
        Error::Refused { code, .. } => matches!(
            *code,
            ResponseCode::SYSTEM_ERROR
                | ResponseCode::SYSTEM_BUSY
                | ResponseCode::SERVICE_NOT_AVAILABLE
                | ResponseCode::NO_PERMISSION
                | ResponseCode::TOPIC_NOT_EXIST
                | ResponseCode::NO_BUYER_ID
                | ResponseCode::NOT_IN_CURRENT_UNIT
                | ResponseCode::GO_AWAY
        ),
        _ => false,
    }
}
