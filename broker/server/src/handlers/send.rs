//! Messages on their way in: single, batch, and those a consumer sends back.

mod batches;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use delivery::{Error, Failure, Publisher, Retries};
use metadata::{Permission, TopicConfig, Topics};
use model::properties::Notes;
use model::{
    ConsumerGroup, LogOffset, MessageId, MessageIdText, MessageView, PropertiesView, SysFlag,
    Timestamp, Topic,
};
use protocol::headers::{SendBack, SendMessage, SendRefused, SendReply};
use protocol::{Caller, Frame, ReadFields, Reply, RequestCode, ResponseCode, Version};
use store::{Appended, Records};

use batches::MessageBatch;

use super::{Identity, Room};
use crate::respond::{Refusal, reply};
use crate::statistics::{Count, Statistics};

/// What a send needs of the broker.
pub struct Sends<'a> {
    pub identity: &'a Identity,
    pub topics: &'a Topics,
    pub publisher: &'a Publisher,
    pub retries: &'a Retries,
    pub statistics: &'a Statistics,
}

/// The region that replies name: clients print it and nothing else.
const REGION: &str = "DefaultRegion";
/// Bytes of most replies.
const REPLY_BYTES: usize = 384;
/// Bytes of a request's header that are stored with its message, at a guess.
const STORED_HEADER: usize = 192;

/// What a request asks to store.
enum Admitted<'f> {
    /// A message, which is among the records now.
    One(Receipt<'f>),
    Batch(MessageBatch<'f>),
}

/// A request while the messages that arrived with it are stored.
enum Waiting<'f> {
    One(Receipt<'f>),
    Batch(MessageBatch<'f>),
    Refused(Refusal),
}

/// What the producer of one message is told, but for its place.
struct Receipt<'f> {
    topic: Topic,
    queue: u32,
    /// Bytes of the body.
    size: usize,
    unique: Cow<'f, str>,
}

/// A topic into which may be sent. Neighbours to the same topic share one look at it.
struct Destination {
    topic: Topic,
    config: Arc<TopicConfig>,
}

impl Sends<'_> {
    /// Answers 10, 310 and 320: the message is stored, or the producer learns why not.
    pub async fn send(&self, request: &Frame, peer: SocketAddr) -> Reply {
        let mut records = Records::with_capacity(1, request.body.len() + STORED_HEADER);
        let outcome = match self.admit(request, peer, &mut None, &mut records) {
            Ok(Admitted::One(receipt)) => {
                let published = self.publisher.append_each(records);
                let mut published = self.statistics.timed_each(published).await;
                let appended = published.pop().expect("one record gives one result");
                appended.map_err(Refusal::from).map(|appended| {
                    let put = Count::call(1, receipt.size);
                    self.statistics.put(receipt.topic.as_str(), put);
                    let id = self.id(&appended);
                    Reply::success().header(&receipt.header(id.as_str(), &appended))
                })
            }
            Ok(Admitted::Batch(mut batch)) => {
                let published = self
                    .publisher
                    .append_all(std::mem::take(&mut batch.records));
                let published = self.statistics.timed(published).await;
                self.batch_reply(&batch, published)
            }
            Err(why) => Err(why),
        };
        outcome.unwrap_or_else(refused)
    }

    /// Answers sends that arrived together, each as if it had come alone. Returns their
    /// replies as they go over the wire.
    pub async fn send_all(&self, requests: &[Frame], peer: SocketAddr) -> BytesMut {
        let mut last = None;
        let bodies: usize = requests.iter().map(|request| request.body.len()).sum();
        let stored = bodies + requests.len() * STORED_HEADER;
        let mut records = Records::with_capacity(requests.len(), stored);
        let mut batches = Vec::new();
        let mut waiting = Vec::with_capacity(requests.len());
        for request in requests {
            waiting.push(match self.admit(request, peer, &mut last, &mut records) {
                Ok(Admitted::One(receipt)) => Waiting::One(receipt),
                Ok(Admitted::Batch(mut batch)) => {
                    batches.push(std::mem::take(&mut batch.records));
                    Waiting::Batch(batch)
                }
                Err(why) => Waiting::Refused(why),
            });
        }
        let gathered = self.publisher.append_gathered(records, batches);
        let gathered = self.statistics.timed_gathered(gathered).await;
        let (mut published, mut batches) = (gathered.each.into_iter(), gathered.groups.into_iter());
        let mut replies = BytesMut::with_capacity(requests.len() * REPLY_BYTES);
        let mut put = Put::default();
        for (request, waiting) in requests.iter().zip(waiting) {
            let caller = Caller::of(request);
            let reply = match waiting {
                Waiting::One(receipt) => {
                    match published.next().expect("each message has a result") {
                        Ok(appended) => {
                            put.add(self.statistics, &receipt);
                            let id = self.id(&appended);
                            let header = receipt.header(id.as_str(), &appended);
                            caller.encode_success(&mut replies, &header);
                            continue;
                        }
                        Err(why) => refused(why.into()),
                    }
                }
                Waiting::Batch(batch) => {
                    let published = batches.next().expect("each batch has a result");
                    self.batch_reply(&batch, published).unwrap_or_else(refused)
                }
                Waiting::Refused(why) => refused(why),
            };
            reply.encode_for(&caller, &mut replies);
        }
        put.tell(self.statistics);
        replies
    }

    /// What a request asks to store, if that may be. A single message is added to the records.
    fn admit<'f>(
        &self,
        request: &'f Frame,
        peer: SocketAddr,
        last: &mut Option<Destination>,
        records: &mut Records,
    ) -> Result<Admitted<'f>, Refusal> {
        let header = SendMessage::read_fields(&request.header.ext)?;
        let Destination { topic, config } = match last {
            Some(known) if known.topic.as_str() == header.topic => known,
            other => other.insert(self.destination(&header)?),
        };
        let queue = self.queue(topic, config, header.queue)?;
        if header.batch || RequestCode(request.header.code) == RequestCode::SEND_BATCH_MESSAGE {
            return Ok(Admitted::Batch(
                self.batch(request, &header, topic, queue, peer)?,
            ));
        }
        if request.body.is_empty() {
            return Err(Refusal::code(
                ResponseCode::MESSAGE_ILLEGAL,
                "the message has no body",
            ));
        }
        self.check_body(&request.body)?;
        let given = header.properties;
        let notes = Notes::of(PropertiesView::new(given.as_bytes()));
        let mut room = Room::default();
        let (properties, completed) = self.identity.complete(given, notes, &mut room);
        let message = MessageView {
            properties,
            notes: completed,
            ..message(topic, queue, &header, &request.body, peer)
        };
        let topic = match message.topic.is_retry() {
            false => {
                self.publisher.add(records, &message)?;
                topic.clone()
            }
            true => {
                let mut message = message.to_message();
                let known = self.topics.version();
                self.retries
                    .redirect(&mut message, header.max_reconsume_times)?;
                self.spread_topics(known);
                self.publisher.add(records, &message.view())?;
                message.topic
            }
        };
        let unique = match notes.unique {
            Some(given) => Cow::Borrowed(given),
            None => Cow::Owned(completed.unique.unwrap_or_default().to_owned()),
        };
        Ok(Admitted::One(Receipt {
            topic,
            queue,
            size: request.body.len(),
            unique,
        }))
    }

    fn destination(&self, header: &SendMessage<'_>) -> Result<Destination, Refusal> {
        let topic = Topic::parse(header.topic)?;
        if topic.refuses_sends() {
            return Err(Refusal::code(
                ResponseCode::NO_PERMISSION,
                format!("Sending message to topic[{topic}] is forbidden."),
            ));
        }
        let config = self.topic(&topic, header)?;
        if !config.permission.writable() {
            return Err(Error::Forbidden {
                topic,
                what: "writable",
            }
            .into());
        }
        Ok(Destination { topic, config })
    }

    /// Answers 36: a consumer could not handle a message and wants it again, later.
    pub async fn send_back(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = SendBack::read_fields(&request.header.ext)?;
        let failure = Failure {
            group: ConsumerGroup::parse(header.group)?,
            at: LogOffset(u64::try_from(header.log_offset).unwrap_or(u64::MAX)),
            delay_level: header.delay_level,
            max_attempts: header
                .max_reconsume_times
                .filter(|max| request.header.version >= Version::V3_4_9 && *max >= 0),
        };
        self.identity.group(&failure.group)?;
        let known = self.topics.version();
        let outcome = self.retries.send_back(failure).await;
        self.spread_topics(known);
        match outcome {
            Ok(_) => {
                let topic = header.origin_topic.unwrap_or_default();
                self.statistics.sent_back(topic, header.group);
                Ok(Reply::success())
            }
            Err(Error::NoSuchMessage { at }) => Err(Refusal::code(
                ResponseCode::SYSTEM_ERROR,
                format!("look message by offset failed, {at}"),
            )),
            Err(why) => Err(why.into()),
        }
    }

    /// Name servers hear at once of a retry or dead-letter topic that was made on the way.
    fn spread_topics(&self, known: u64) {
        if self.topics.version() != known {
            self.identity.topics_changed();
        }
    }

    /// The topic's settings; a topic that does not exist is made after its template, if that may be.
    fn topic(&self, topic: &Topic, header: &SendMessage<'_>) -> Result<Arc<TopicConfig>, Refusal> {
        if let Some(config) = self.topics.get(topic.as_str()) {
            return Ok(config);
        }
        if topic.is_retry() {
            if let Some(group) = topic.group() {
                self.identity.group(&group)?;
            }
            let made = || TopicConfig::with_queues(1);
            let config = self.topics.get_or_create(topic, made)?;
            self.identity.topics_changed();
            return Ok(config);
        }
        let template = self
            .topics
            .get(header.default_topic)
            .filter(|template| template.permission.inherited());
        let Some(template) = template else {
            let remark = format!("topic[{topic}] not exist, apply first please!");
            return Err(Refusal::code(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        let asked = u32::try_from(header.default_topic_queues)
            .unwrap_or(0)
            .max(1);
        let made = TopicConfig {
            permission: Permission(template.permission.0).for_child(),
            system_flag: i32::from(header.unit_mode),
            ..TopicConfig::with_queues(asked.min(template.write_queues))
        };
        let config = self.topics.get_or_create(topic, || made)?;
        self.identity.topics_changed();
        Ok(config)
    }

    fn queue(&self, topic: &Topic, config: &TopicConfig, asked: i32) -> Result<u32, Refusal> {
        match u32::try_from(asked) {
            Err(_) => Ok(self.identity.any(config.write_queues.max(1))),
            Ok(queue) if queue < config.queues() => Ok(queue),
            Ok(queue) => {
                let remark = format!(
                    "request queueId[{queue}] is illegal, topic {topic} has {} queues",
                    config.queues()
                );
                Err(Refusal::code(ResponseCode::INVALID_PARAMETER, remark))
            }
        }
    }

    fn check_body(&self, body: &Bytes) -> Result<(), Refusal> {
        let limit = self.identity.body_limit;
        if body.len() <= limit {
            return Ok(());
        }
        let remark = format!(
            "the message body has {} bytes, the limit is {limit} (limits.body)",
            body.len()
        );
        Err(Refusal::code(ResponseCode::MESSAGE_ILLEGAL, remark))
    }

    fn id(&self, appended: &Appended) -> MessageIdText {
        let id = MessageId {
            store_host: self.publisher.host(),
            log_offset: appended.log_offset,
        };
        id.text()
    }
}

impl Receipt<'_> {
    fn header<'r>(&'r self, id: &'r str, appended: &Appended) -> SendReply<'r> {
        receipt(id, Some(&self.unique), self.queue, appended)
    }
}

/// Counts neighbours that went to one topic as one.
#[derive(Default)]
struct Put {
    topic: Option<Topic>,
    count: Count,
}

impl Put {
    fn add(&mut self, statistics: &Statistics, receipt: &Receipt<'_>) {
        if self.topic.as_ref() != Some(&receipt.topic) {
            std::mem::take(self).tell(statistics);
            self.topic = Some(receipt.topic.clone());
        }
        self.count += Count::call(1, receipt.size);
    }

    fn tell(self, statistics: &Statistics) {
        if let Some(topic) = self.topic {
            statistics.put(topic.as_str(), self.count);
        }
    }
}

fn receipt<'r>(
    id: &'r str,
    unique: Option<&'r str>,
    queue: u32,
    appended: &Appended,
) -> SendReply<'r> {
    SendReply {
        queue: queue as i32,
        transaction_id: unique,
        message_id: id,
        trace: Some(true),
        region: Some(REGION),
        queue_offset: appended.queue_offset.0 as i64,
        batch_unique_id: None,
        recall_handle: None,
    }
}

fn refused(why: Refusal) -> Reply {
    reply(Err(why)).header(&SendRefused {
        trace: Some(true),
        region: Some(REGION),
    })
}

/// A message as its request describes it, without properties.
fn message<'m>(
    topic: &'m Topic,
    queue: u32,
    header: &SendMessage<'_>,
    body: &'m Bytes,
    peer: SocketAddr,
) -> MessageView<'m> {
    MessageView {
        topic,
        queue,
        flag: header.flag,
        sys_flag: SysFlag(header.sys_flag),
        born: Timestamp(header.born),
        born_host: peer,
        reconsume_times: header.reconsume_times,
        prepared_transaction_offset: 0,
        properties: ["", ""],
        notes: Notes::default(),
        body,
        buffer: body,
    }
}
