//! Records on their way to the log, with what the indexes are going to learn of them.

use std::net::SocketAddr;

use model::properties::Notes;
use model::record::{Run, Unplaced};
use model::{Checksum, MessageView, QueueId, RecordError};

use crate::dispatch::Dispatch;

/// Bytes of a record beyond body and properties, with a name of usual length.
const OVERHEAD: usize = 160;

/// Encoded records that one sender appends at once.
#[derive(Debug, Default)]
pub struct Records {
    pub(crate) run: Run,
    /// One for each record.
    pub(crate) dispatches: Vec<Dispatch>,
    pub(crate) though_full: bool,
}

impl Records {
    /// None yet, with room for so many whose bodies and properties have `bytes` in all.
    pub fn with_capacity(records: usize, bytes: usize) -> Self {
        Self {
            run: Run::with_capacity(records, bytes + records * OVERHEAD),
            dispatches: Vec::with_capacity(records),
            though_full: false,
        }
    }

    /// They are taken, too, while the disk is too full for other records, as long as a segment
    /// has room: for what lets others go.
    pub fn though_full(self) -> Self {
        Self {
            though_full: true,
            ..self
        }
    }

    /// Encodes a message as the last record. Fails as [`Unplaced::encode`] does; nothing is
    /// added then.
    pub fn push(
        &mut self,
        message: &MessageView<'_>,
        store_host: SocketAddr,
        checksum: Checksum,
    ) -> Result<(), RecordError> {
        self.run.push(message, store_host, checksum)?;
        let queue = QueueId::new(message.topic.clone(), message.queue);
        let dispatch = Dispatch::of(queue, message.sys_flag, &message.notes);
        self.dispatches.push(dispatch);
        Ok(())
    }

    /// Appends a record that is encoded already.
    pub fn push_record(&mut self, record: Unplaced) {
        let notes = Notes::of(record.properties());
        let dispatch = Dispatch::of(record.queue().clone(), record.sys_flag(), &notes);
        self.dispatches.push(dispatch);
        self.run.push_record(record);
    }

    pub fn len(&self) -> usize {
        self.dispatches.len()
    }

    pub fn is_empty(&self) -> bool {
        self.dispatches.is_empty()
    }
}

impl FromIterator<Unplaced> for Records {
    fn from_iter<I: IntoIterator<Item = Unplaced>>(encoded: I) -> Self {
        let mut records = Self::default();
        encoded
            .into_iter()
            .for_each(|record| records.push_record(record));
        records
    }
}

impl From<Unplaced> for Records {
    fn from(record: Unplaced) -> Self {
        Self::from_iter([record])
    }
}

impl From<Vec<Unplaced>> for Records {
    fn from(encoded: Vec<Unplaced>) -> Self {
        Self::from_iter(encoded)
    }
}
