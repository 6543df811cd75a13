//! Finds where in a queue a point in time lies.

use model::record::view;
use model::{QueueOffset, Timestamp};

use crate::Error;
use crate::queue_index::{Head, IndexEntry};
use crate::read::Bounds;
use crate::store::Shared;

/// Records asked for their time where the one wanted is damaged.
const ASKED: u64 = 128;

/// Which of the messages around a point in time is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// The first one stored at or after it; the end of the queue if there is none.
    Lower,
    /// The last one stored at or before it; if there is none, the one before the first.
    Upper,
}

impl Shared {
    /// Waits for the disk.
    pub(crate) fn offset_at(
        &self,
        head: &Head,
        bounds: Bounds,
        time: Timestamp,
        boundary: Boundary,
    ) -> Result<QueueOffset, Error> {
        match boundary {
            Boundary::Lower => self.first_stored_from(head, bounds, time.0),
            Boundary::Upper => {
                let after = self.first_stored_from(head, bounds, time.0.saturating_add(1))?;
                Ok(QueueOffset(after.0.saturating_sub(1)))
            }
        }
    }

    fn first_stored_from(
        &self,
        head: &Head,
        bounds: Bounds,
        time: i64,
    ) -> Result<QueueOffset, Error> {
        let (low, high) = self.index.around(head, time)?;
        let (mut low, mut high) = (low.max(bounds.min.0), high.min(bounds.max.0));
        while low < high {
            let middle = low + (high - low) / 2;
            let entries = self.index.entries_waiting(head, middle, 1)?;
            let Some(entry) = entries.first() else {
                high = middle;
                continue;
            };
            // Records that cannot be asked count with the first behind them that can.
            match self.first_known(head, entry, high)? {
                Some((known, stored)) if stored < time => low = known.next().0,
                _ => high = entry.queue_offset.0.max(low),
            }
        }
        // What lies there may be a place without a record.
        if let Some(entry) = self.index.entries_waiting(head, low, 1)?.first()
            && let Some((known, _)) = self.first_known(head, entry, bounds.max.0)?
        {
            low = low.max(known.queue_offset.0);
        }
        Ok(QueueOffset(low.min(bounds.max.0)))
    }

    /// The first of `entry` and the next ones below `high` whose record tells when it was stored.
    fn first_known(
        &self,
        head: &Head,
        entry: &IndexEntry,
        high: u64,
    ) -> Result<Option<(IndexEntry, i64)>, Error> {
        if let Some(stored) = self.stored(entry)? {
            return Ok(Some((*entry, stored)));
        }
        let others = (high - entry.queue_offset.0).min(ASKED) as usize;
        let next = self.index.entries_waiting(head, entry.next().0, others)?;
        for entry in next.iter().take_while(|entry| entry.queue_offset.0 < high) {
            if let Some(stored) = self.stored(entry)? {
                return Ok(Some((*entry, stored)));
            }
        }
        Ok(None)
    }

    /// When the entry's record was stored; `None` if there is no such record.
    pub(crate) fn stored(&self, entry: &IndexEntry) -> Result<Option<i64>, Error> {
        if entry.is_hole() {
            return Ok(None);
        }
        match self.reader.sized_waiting(entry.log_offset, entry.size) {
            Ok(record) => Ok(view(&record).ok().map(|record| record.stored.0)),
            Err(Error::NoSuchRecord { .. } | Error::Corrupt { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
