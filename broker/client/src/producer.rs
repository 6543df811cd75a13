//! Sends messages: many under way at once, each acknowledged or failed by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use model::{Compression, Message, Properties, QueueOffset, Topic, batch, java_hash, properties};
use protocol::headers::{SendMessage, SendReply};
use protocol::{ExtFields, Frame, ReadFields, RequestCode, ResponseCode};
use runtime::Moment;

use crate::connections::{refused, unreadable};
use crate::error::Address;
use crate::route::{BrokerQueue, Route};
use crate::routes::QUEUES_OF_NEW_TOPIC;
use crate::{Client, Error, compression};

/// The first pause before a message is tried again where it failed; it doubles each time.
const PAUSE: Duration = Duration::from_millis(100);

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
        self.deliver(Parcel::batch(messages, &self.shared)?, None)
            .await
    }

    /// Sends without asking for an answer: fast, and nobody learns whether it arrived. Resolves
    /// when it is queued for writing.
    pub async fn send_oneway(&self, mut message: Message) -> Result<(), Error> {
        self.prepare(&mut message)?;
        let shared = &self.shared;
        let route = shared.client.routes().for_sending(&message.topic).await?;
        let queue = shared.pick(&route, None)?;
        let parcel = Parcel::single(message);
        let told = shared
            .client
            .connections()
            .tell(route.address_of(queue)?, parcel.request(shared, queue))
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
        Ok(())
    }

    /// Attempts until one succeeds, one fails for good, or time or retries are used up.
    async fn deliver(
        &self,
        parcel: Parcel,
        chosen: Option<&BrokerQueue>,
    ) -> Result<SendReceipt, Error> {
        let shared = &self.shared;
        let clock = shared.client.clock();
        let deadline = clock.now() + shared.settings.timeout;
        let mut failed: Option<Arc<str>> = None;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let route = shared.client.routes().for_sending(&parcel.topic).await?;
            let queue = match chosen {
                Some(queue) => queue,
                None => shared.pick(&route, failed.as_ref())?,
            };
            let why = match self.attempt(&route, queue, &parcel, deadline).await {
                Err(why) if worth_retrying(&why) => why,
                outcome => return outcome,
            };
            shared.client.routes().forget(&parcel.topic);
            let pause = PAUSE * 2u32.saturating_pow(attempts - 1);
            let retries = if chosen.is_some() {
                0
            } else {
                shared.settings.retries
            };
            if attempts > retries || clock.now() + pause >= deadline {
                return Err(Error::Unsent {
                    topic: parcel.topic,
                    attempts,
                    last: Box::new(why),
                });
            }
            tracing::debug!(topic = %parcel.topic, %queue, %why, "a send failed and is tried again");
            let elsewhere = route
                .writable
                .iter()
                .any(|other| other.broker != queue.broker);
            failed = Some(queue.broker.clone());
            if !elsewhere {
                clock.sleep(pause).await;
            }
        }
    }

    async fn attempt(
        &self,
        route: &Route,
        queue: &BrokerQueue,
        parcel: &Parcel,
        deadline: Moment,
    ) -> Result<SendReceipt, Error> {
        let shared = &self.shared;
        let address = route.address_of(queue)?;
        let request = parcel.request(shared, queue);
        let asked = request.header.request_code();
        let limit = deadline.since(shared.client.clock().now());
        let answer = shared
            .client
            .connections()
            .ask(address, request, limit)
            .await?;
        receipt(address, asked, &answer, queue, parcel)
    }
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

/// What travels in one request: a message or a batch.
struct Parcel {
    topic: Topic,
    code: RequestCode,
    sys_flag: i32,
    flag: i32,
    born: i64,
    properties: Properties,
    unique_key: String,
    body: Bytes,
}

impl Parcel {
    fn single(message: Message) -> Parcel {
        Parcel {
            topic: message.topic,
            code: RequestCode::SEND_MESSAGE_V2,
            sys_flag: message.sys_flag.0,
            flag: message.flag,
            born: message.born.0,
            unique_key: unique_key(&message.properties),
            properties: message.properties,
            body: message.body,
        }
    }

    fn batch(messages: Vec<Message>, shared: &Shared) -> Result<Parcel, Error> {
        let illegal = |why: &str| Error::Illegal {
            why: why.to_owned(),
        };
        let first = messages
            .first()
            .ok_or_else(|| illegal("the batch holds no message"))?;
        let (topic, born, sys_flag) = (first.topic.clone(), first.born.0, first.sys_flag.0);
        if messages.iter().any(|message| message.topic != topic) {
            return Err(illegal("the messages of a batch have one topic"));
        }
        if topic.is_retry() {
            return Err(illegal("a batch cannot go to a retry topic"));
        }
        if messages.iter().any(is_delayed) {
            return Err(illegal("a batch cannot hold a delayed message"));
        }
        let keys: Vec<String> = messages
            .iter()
            .map(|message| unique_key(&message.properties))
            .collect();
        let entry = |message: Message| batch::Entry {
            flag: message.flag,
            properties: message.properties,
            body: message.body,
        };
        let entries: Vec<batch::Entry> = messages.into_iter().map(entry).collect();
        let body = batch::encode(&entries).map_err(|why| Error::Illegal {
            why: why.to_string(),
        })?;
        check_body(body.len(), shared.settings.body_limit, "batch")?;
        // What makes the broker keep the batch together where the topic wants that.
        let mut whole = Message::new(topic.clone(), 0, Bytes::new());
        shared.client.complete(&mut whole);
        Ok(Parcel {
            topic,
            code: RequestCode::SEND_BATCH_MESSAGE,
            sys_flag,
            flag: 0,
            born,
            properties: whole.properties,
            unique_key: keys.join(","),
            body,
        })
    }

    fn request(&self, shared: &Shared, queue: &BrokerQueue) -> Frame {
        let header = SendMessage {
            producer_group: &shared.settings.group,
            topic: self.topic.as_str(),
            default_topic: model::system_topics::AUTO_CREATE,
            default_topic_queues: QUEUES_OF_NEW_TOPIC as i32,
            queue: i32::try_from(queue.number).unwrap_or(i32::MAX),
            sys_flag: self.sys_flag,
            born: self.born,
            flag: self.flag,
            properties: self.properties.as_text(),
            reconsume_times: 0,
            unit_mode: false,
            max_reconsume_times: None,
            batch: self.code == RequestCode::SEND_BATCH_MESSAGE,
            broker: Some(&queue.broker),
        };
        Frame::request(self.code, ExtFields::of(&header), self.body.clone())
    }
}

fn unique_key(properties: &Properties) -> String {
    properties
        .get(properties::UNIQUE_KEY)
        .unwrap_or_default()
        .to_owned()
}

fn is_delayed(message: &Message) -> bool {
    let delays = [
        properties::DELAY,
        properties::TIMER_DELIVER_MS,
        properties::TIMER_DELAY_SECONDS,
        properties::TIMER_DELAY_MS,
    ];
    delays.iter().any(|name| message.properties.contains(name))
}

fn check_body(bytes: usize, limit: usize, what: &str) -> Result<(), Error> {
    let why = match bytes {
        0 => format!("the {what} has no body"),
        bytes if bytes > limit => format!("the {what} has {bytes} bytes, the limit is {limit}"),
        _ => return Ok(()),
    };
    Err(Error::Illegal { why })
}

/// Whether another attempt may go better.
fn worth_retrying(why: &Error) -> bool {
    match why {
        Error::Unreachable { .. } | Error::TimedOut { .. } => true,
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

fn receipt(
    address: &Address,
    asked: RequestCode,
    answer: &Frame,
    queue: &BrokerQueue,
    parcel: &Parcel,
) -> Result<SendReceipt, Error> {
    let durability = match answer.header.response_code() {
        ResponseCode::SUCCESS => Durability::AsPromised,
        ResponseCode::FLUSH_DISK_TIMEOUT => Durability::FlushLate,
        ResponseCode::FLUSH_SLAVE_TIMEOUT | ResponseCode::SLAVE_NOT_AVAILABLE => {
            Durability::ReplicaLate
        }
        _ => return Err(refused(address, asked, answer)),
    };
    let header = SendReply::read_fields(&answer.header.ext).map_err(unreadable(address, asked))?;
    Ok(SendReceipt {
        durability,
        queue: BrokerQueue {
            number: u32::try_from(header.queue).unwrap_or(queue.number),
            ..queue.clone()
        },
        offset: QueueOffset(u64::try_from(header.queue_offset).unwrap_or(0)),
        message_id: header.message_id.to_owned(),
        unique_key: parcel.unique_key.clone(),
    })
}
