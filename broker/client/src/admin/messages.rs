//! Looking messages up by their ids and keys.

use std::ops::Range;

use model::{MessageId, QueueOffset, StoredMessage, Timestamp, Topic};
use protocol::headers::{QueryMessage, ViewMessage};
use protocol::{RequestCode, ResponseCode};

use super::Admin;
use crate::connections::refused;
use crate::error::{Address, Origin};
use crate::pull_consumer::request;
use crate::pulled::read;
use crate::{Error, Filter};

/// Whose key a message is looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// One of the keys its producer gave it to be found by.
    User(&'a str),
    /// The key by which its producer knows it.
    Unique(&'a str),
}

impl Admin {
    /// The message of that id; `None` if its broker does not have it any more.
    pub async fn message(&self, topic: &Topic, id: &str) -> Result<Option<StoredMessage>, Error> {
        let code = RequestCode::VIEW_MESSAGE_BY_ID;
        let id = MessageId::parse(id)?;
        let header = ViewMessage {
            topic: Some(topic.as_str()),
            log_offset: i64::try_from(id.log_offset.0).unwrap_or(i64::MAX),
        };
        let address = Address::new(id.store_host.to_string(), Origin::MessageId);
        let limit = self.client.request_timeout();
        let asked = self
            .client
            .connections()
            .ask(&address, request(code, &header), limit);
        let answer = asked.await?;
        match answer.header.response_code() {
            ResponseCode::SUCCESS => {}
            // The broker has one code for every failure, this one among them.
            ResponseCode::SYSTEM_ERROR if answer.header.remark().contains("can not find") => {
                return Ok(None);
            }
            _ => return Err(refused(&address, code, &answer)),
        }
        Ok(messages(&address, code, answer.body)?.pop())
    }

    /// Up to `max` messages with that key stored within a span of time, from every broker that
    /// has the topic.
    pub async fn messages_by_key(
        &self,
        topic: &Topic,
        key: Key<'_>,
        max: u32,
        stored: Range<Timestamp>,
    ) -> Result<Vec<StoredMessage>, Error> {
        let code = RequestCode::QUERY_MESSAGE;
        let (key, index) = match key {
            Key::User(key) => (key, "K"),
            Key::Unique(key) => (key, "U"),
        };
        let header = QueryMessage {
            topic: topic.as_str(),
            key,
            max_messages: i32::try_from(max).unwrap_or(i32::MAX),
            begin: stored.start.0,
            end: stored.end.0,
            unique_key: index == "U",
            index: Some(index),
            last_key: None,
        };
        let route = self.client.routes().of(topic).await?;
        let mut found = Vec::new();
        for address in route
            .brokers
            .iter()
            .filter_map(|broker| broker.master.as_ref())
        {
            let limit = self.client.request_timeout();
            let asked = self
                .client
                .connections()
                .ask(address, request(code, &header), limit);
            let answer = asked.await?;
            match answer.header.response_code() {
                ResponseCode::SUCCESS => found.extend(messages(address, code, answer.body)?),
                ResponseCode::QUERY_NOT_FOUND => {}
                _ => return Err(refused(address, code, &answer)),
            }
        }
        Ok(found)
    }
}

fn messages(
    address: &Address,
    asked: RequestCode,
    body: bytes::Bytes,
) -> Result<Vec<StoredMessage>, Error> {
    let bad = |why: model::RecordError| Error::BadReply {
        address: address.clone(),
        asked,
        why: why.to_string(),
    };
    Ok(read(body, QueueOffset(0), &Filter::All).map_err(bad)?.0)
}
