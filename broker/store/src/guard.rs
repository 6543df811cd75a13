//! From where on every record carries a checksum of all of itself.
//!
//! In a torn record the checksum itself may be what is missing, and the one of the body says
//! nothing about the properties. So what was written by us is believed only with it, and only
//! what RocketMQ wrote before us is believed without.

use model::{Checksum, LogOffset, RecordError};

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
    pub(crate) fn admit(self, carried: Checksum, at: u64) -> Result<(), RecordError> {
        match self.required(at) {
            Checksum::Record if carried != Checksum::Record => Err(RecordError::Unguarded),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_record_without_the_checksum_is_refused() {
        let guard = Guard {
            from: LogOffset(100),
        };
        assert_eq!(guard.admit(Checksum::Record, 100), Ok(()));
        assert_eq!(
            guard.admit(Checksum::Body, 100),
            Err(RecordError::Unguarded)
        );
        assert_eq!(guard.admit(Checksum::Body, 99), Ok(()));
    }
}
