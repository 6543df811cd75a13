//! From where on every record carries a checksum of all of itself.
//!
//! In a torn record the checksum itself may be what is missing, and the one of the body says
//! nothing about the properties. So what was written by us is believed only with it, and only
//! what RocketMQ wrote before us is believed without.

use model::properties::CRC;
use model::record::{Placed, RecordError};
use model::{Checksum, LogOffset};

/// Bytes of the property that holds the checksum, at the end of a record.
const PROPERTY_BYTES: usize = CRC.len() + 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guard {
    /// Records before this one may lack it.
    pub from: LogOffset,
}

impl Default for Guard {
    /// Asks no record for it.
    fn default() -> Self {
        Self {
            from: LogOffset(u64::MAX),
        }
    }
}

impl Guard {
    /// What a record that lies at `at` must carry.
    pub(crate) fn required(self, at: u64) -> Checksum {
        if at >= self.from.0 {
            Checksum::Record
        } else {
            Checksum::Body
        }
    }

    /// Refuses a new record that would not be believed when it is read again.
    pub(crate) fn admit(self, record: &Placed, at: u64) -> Result<(), RecordError> {
        let [_, _, tail] = record.slices();
        let property = tail
            .len()
            .checked_sub(PROPERTY_BYTES)
            .map(|from| &tail[from..]);
        let carried = property.is_some_and(|property| property.starts_with(CRC.as_bytes()));
        match self.required(at) {
            Checksum::Record if !carried => Err(RecordError::Unguarded),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::record::Unplaced;
    use model::{Message, QueueOffset, Timestamp, Topic};

    use super::*;

    #[test]
    fn a_new_record_without_the_checksum_is_refused() {
        let guard = Guard {
            from: LogOffset(100),
        };
        let message = Message::new(Topic::parse("t").expect("a topic"), 0, "body");
        let host = "127.0.0.1:1".parse().expect("an address");
        let place = |checksum, at| {
            Unplaced::encode(&message, host, checksum)
                .expect("a small message")
                .place(QueueOffset(0), LogOffset(at), Timestamp(0))
        };
        assert_eq!(guard.admit(&place(Checksum::Record, 100), 100), Ok(()));
        assert_eq!(
            guard.admit(&place(Checksum::Body, 100), 100),
            Err(RecordError::Unguarded)
        );
        assert_eq!(guard.admit(&place(Checksum::Body, 99), 99), Ok(()));
    }
}
