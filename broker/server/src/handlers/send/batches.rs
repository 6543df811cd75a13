//! Several messages in one body.

use std::borrow::Cow;
use std::net::SocketAddr;

use delivery::{DelayLevel, Error};
use model::properties::{self, Notes};
use model::{MessageView, PropertiesView, Topic, batch};
use protocol::headers::SendMessage;
use protocol::{Frame, Reply, ResponseCode};
use store::{Appended, Records};

use super::{Sends, message, receipt};
use crate::respond::Refusal;
use crate::statistics::Count;

/// Bytes of the id of a message and what separates it from the next.
const ID_BYTES: usize = 33;
/// Entries of a batch for which there is room from the start, at most.
const EXPECTED_ENTRIES: usize = 1_024;

/// Messages in one body, and what their producer is told, but for their places.
pub(super) struct MessageBatch<'f> {
    topic: Topic,
    queue: u32,
    pub records: Records,
    /// Bytes of the body.
    size: usize,
    unique: Option<&'f str>,
}

impl Sends<'_> {
    /// The messages of a batch. They keep their properties as they came: nothing is added, as
    /// in RocketMQ.
    pub(super) fn batch<'f>(
        &self,
        request: &'f Frame,
        header: &SendMessage<'f>,
        topic: &Topic,
        queue: u32,
        peer: SocketAddr,
    ) -> Result<MessageBatch<'f>, Refusal> {
        let body = &request.body;
        if topic.is_retry() {
            return Err(Refusal::code(
                ResponseCode::MESSAGE_ILLEGAL,
                "a batch cannot go to a retry topic",
            ));
        }
        self.check_body(body)?;
        let entries = batch::entries(body);
        let expected = entries.expected().min(EXPECTED_ENTRIES);
        let mut records = Records::with_capacity(expected, body.len());
        for entry in entries {
            let entry = entry.map_err(|why| {
                let remark = format!("the batch cannot be read: {why}");
                // RocketMQ's own answer, which its clients take for a fault of the broker.
                Refusal::code(ResponseCode::SYSTEM_ERROR, remark)
            })?;
            // Faster than the lossy reading of what needs none.
            let properties = match std::str::from_utf8(entry.properties) {
                Ok(properties) => Cow::Borrowed(properties),
                Err(_) => String::from_utf8_lossy(entry.properties),
            };
            let notes = Notes::of(PropertiesView::new(properties.as_bytes()));
            let level = notes.delay.and_then(|level| level.parse().ok());
            if level.and_then(DelayLevel::asked).is_some() {
                return Err(Refusal::code(
                    ResponseCode::MESSAGE_ILLEGAL,
                    "a batch cannot hold a delayed message",
                ));
            }
            let message = MessageView {
                flag: entry.flag,
                properties: [&properties, ""],
                notes,
                body: entry.body,
                ..message(topic, queue, header, body, peer)
            };
            self.publisher.add(&mut records, &message)?;
        }
        if records.is_empty() {
            return Err(Refusal::code(
                ResponseCode::MESSAGE_ILLEGAL,
                "the batch holds no message",
            ));
        }
        let shared = PropertiesView::new(header.properties.as_bytes());
        Ok(MessageBatch {
            topic: topic.clone(),
            queue,
            records,
            size: body.len(),
            unique: shared.get(properties::UNIQUE_KEY),
        })
    }

    pub(super) fn batch_reply(
        &self,
        batch: &MessageBatch<'_>,
        appended: Result<Vec<Appended>, Error>,
    ) -> Result<Reply, Refusal> {
        let appended = appended?;
        let first = appended
            .first()
            .ok_or_else(|| Refusal::code(ResponseCode::SYSTEM_ERROR, "the batch was not stored"))?;
        let put = Count::call(appended.len() as u64, batch.size);
        self.statistics.put(batch.topic.as_str(), put);
        let mut ids = String::with_capacity(appended.len() * ID_BYTES);
        for appended in &appended {
            if !ids.is_empty() {
                ids.push(',');
            }
            ids.push_str(self.id(appended).as_str());
        }
        let header = receipt(&ids, batch.unique, batch.queue, first);
        Ok(Reply::success().header(&header))
    }
}
