//! What travels in one send: a message, or several as one.

use bytes::Bytes;
use model::{Message, Properties, QueueOffset, Topic, batch, properties};
use protocol::headers::{SendMessage, SendReply};
use protocol::{ExtFields, Frame, ReadFields, RequestCode, ResponseCode};

use super::{Durability, SendReceipt};
use crate::Error;
use crate::connections::{refused, unreadable};
use crate::error::Address;
use crate::route::BrokerQueue;
use crate::routes::QUEUES_OF_NEW_TOPIC;

/// What travels in one request: a message or a batch.
pub(crate) struct Parcel {
    pub(crate) topic: Topic,
    code: RequestCode,
    sys_flag: i32,
    flag: i32,
    born: i64,
    properties: Properties,
    unique_key: String,
    body: Bytes,
}

impl Parcel {
    pub(crate) fn single(message: Message) -> Parcel {
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

    /// `shared` are the properties of the batch as a whole.
    pub(crate) fn batch(
        messages: Vec<Message>,
        shared: Properties,
        body_limit: usize,
    ) -> Result<Parcel, Error> {
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
        check_body(body.len(), body_limit, "batch")?;
        Ok(Parcel {
            topic,
            code: RequestCode::SEND_BATCH_MESSAGE,
            sys_flag,
            flag: 0,
            born,
            properties: shared,
            unique_key: keys.join(","),
            body,
        })
    }

    pub(crate) fn request(&self, group: &str, queue: &BrokerQueue) -> Frame {
        let header = SendMessage {
            producer_group: group,
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
        Frame::request(self.code, ExtFields::of(&header), self.body.clone()).binary()
    }

    /// Understands the answer to a request of this parcel.
    pub(crate) fn receipt(
        &self,
        address: &Address,
        answer: &Frame,
        queue: &BrokerQueue,
    ) -> Result<SendReceipt, Error> {
        let durability = match answer.header.response_code() {
            ResponseCode::SUCCESS => Durability::AsPromised,
            ResponseCode::FLUSH_DISK_TIMEOUT => Durability::FlushLate,
            ResponseCode::FLUSH_SLAVE_TIMEOUT | ResponseCode::SLAVE_NOT_AVAILABLE => {
                Durability::ReplicaLate
            }
            _ => return Err(refused(address, self.code, answer)),
        };
        let header =
            SendReply::read_fields(&answer.header.ext).map_err(unreadable(address, self.code))?;
        Ok(SendReceipt {
            durability,
            queue: BrokerQueue {
                number: u32::try_from(header.queue).unwrap_or(queue.number),
                ..queue.clone()
            },
            offset: QueueOffset(u64::try_from(header.queue_offset).unwrap_or(0)),
            message_id: header.message_id.to_owned(),
            unique_key: self.unique_key.clone(),
        })
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

/// Whether a body may be sent at all.
pub(crate) fn check_body(bytes: usize, limit: usize, what: &str) -> Result<(), Error> {
    let why = match bytes {
        0 => format!("the {what} has no body"),
        bytes if bytes > limit => format!("the {what} has {bytes} bytes, the limit is {limit}"),
        _ => return Ok(()),
    };
    Err(Error::Illegal { why })
}

/// Whether properties fit into a record.
pub(crate) fn check_properties(properties: &Properties) -> Result<(), Error> {
    let (bytes, limit) = (properties.len(), properties::TEXT_LIMIT);
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::Illegal {
        why: format!("the message's properties have {bytes} bytes, the limit is {limit}"),
    })
}
