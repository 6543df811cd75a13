//! Records that were stored and cannot be believed any more: counted, and told of once each.
//!
//! A damaged record is lost for itself alone. Whoever reads its queue is told and goes past it.

use std::collections::HashSet;
use std::path::Path;

use parking_lot::Mutex;

use crate::Error;

/// Damaged records that are remembered, so that the log of a house with a rotten disk stays
/// readable.
const REMEMBERED: usize = 4_096;

#[derive(Default)]
pub(crate) struct Damage {
    /// Guards which were told of.
    told: Mutex<HashSet<u64>>,
}

impl Damage {
    /// Notes that somebody came across the record at `at`.
    pub(crate) fn note(&self, at: u64, file: &Path, position: u64, error: &Error) {
        let mut told = self.told.lock();
        if told.len() < REMEMBERED && told.insert(at) {
            tracing::error!(?file, position, %error, "a stored record is damaged and left out");
        }
    }

    /// How many there are, as far as somebody came across them and they are remembered.
    pub(crate) fn records(&self) -> u64 {
        self.told.lock().len() as u64
    }
}

#[cfg(test)]
mod tests {
    use model::LogOffset;

    use super::*;

    #[test]
    fn a_record_is_counted_and_told_of_once() {
        let damage = Damage::default();
        for at in [5, 5, 9] {
            let error = Error::Corrupt {
                at: LogOffset(at),
                why: "rot".into(),
            };
            damage.note(at, Path::new("f"), at, &error);
        }
        assert_eq!(damage.records(), 2);
    }
}
