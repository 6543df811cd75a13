//! Turns records back into messages. Bodies share the buffer they came in.

use bytes::Bytes;

use super::view::{RecordView, view};
use super::{Frame, RecordError};
use crate::{Message, Properties, StoredMessage, Topic};

/// Reads the record at the start of `bytes`; more may follow it. Checksums are not compared:
/// [`super::check`] does that.
pub fn decode(bytes: &Bytes) -> Result<StoredMessage, RecordError> {
    let record = view(bytes)?;
    record.to_message(bytes)
}

impl RecordView<'_> {
    /// The message of this record. `bytes` must be the buffer this view borrows from, so that
    /// the body need not be copied; if it is another, the body is copied.
    pub fn to_message(&self, bytes: &Bytes) -> Result<StoredMessage, RecordError> {
        let message = Message {
            topic: Topic::stored(self.topic)?,
            queue: self.queue,
            flag: self.flag,
            sys_flag: self.sys_flag,
            born: self.born,
            born_host: self.born_host,
            reconsume_times: self.reconsume_times,
            prepared_transaction_offset: self.prepared_transaction_offset,
            properties: Properties::parse(self.properties.as_bytes()),
            body: shared(bytes, self.body),
        };
        Ok(StoredMessage {
            message,
            queue_offset: self.queue_offset,
            log_offset: self.log_offset,
            stored: self.stored,
            store_host: self.store_host,
            body_crc: self.body_crc,
            size: self.size(),
            version: self.version,
            checksum: self.checksum(),
        })
    }
}

/// `part` as a slice of `whole`, whose memory it lies in; a copy if it does not.
fn shared(whole: &Bytes, part: &[u8]) -> Bytes {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize);
    match start {
        Some(start) if start + part.len() <= whole.len() => whole.slice(start..start + part.len()),
        _ => Bytes::copy_from_slice(part),
    }
}

/// The records of a reply's body, one behind the other.
///
/// Ends at the end of the bytes, at a filler, where no record begins, and after an error.
#[derive(Clone, Debug)]
pub struct Records {
    rest: Bytes,
}

impl Records {
    pub fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }
}

impl Iterator for Records {
    type Item = Result<StoredMessage, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let message = match Frame::peek(&self.rest) {
            Ok(Frame::Record { .. }) => decode(&self.rest),
            Ok(Frame::Blank { .. } | Frame::End) => return None,
            Err(error) => Err(error),
        };
        self.rest = match &message {
            Ok(message) => self.rest.slice(message.size as usize..),
            Err(_) => Bytes::new(),
        };
        Some(message)
    }
}
