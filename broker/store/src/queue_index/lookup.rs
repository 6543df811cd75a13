//! Finds entries that are no longer in a head: from the newest block back, in long hops.

use std::sync::Arc;

use runtime::Tasks;

use super::QueueIndex;
use super::block::{Block, Link, hop};
use super::entry::IndexEntry;
use super::head::Head;
use super::index_log::{Found, IndexLog};
use crate::Error;
use crate::sync::atomic::Ordering;

/// How many entries are wanted.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// As many, unless the queue ends before.
    All(usize),
    /// At most as many, and no more than lie together: who goes on anyway spares the way to
    /// the next block for a part of it.
    Together(usize),
}

impl QueueIndex {
    /// Entries from `queue_offset` on, in order; none only where there is none. Entries older
    /// than the queue's beginning are not among them.
    pub(crate) async fn entries(
        self: &Arc<Self>,
        tasks: &Tasks,
        head: &Head,
        queue_offset: u64,
        limit: Limit,
    ) -> Result<Vec<IndexEntry>, Error> {
        match self.entries_now(head, queue_offset, limit, IndexLog::find) {
            Ok(Some(entries)) => Ok(entries),
            Err(error) => Err(self.note(error)),
            Ok(None) => {
                let (index, head) = (self.clone(), self.get(&head.id));
                let read = move || {
                    let Some(head) = head else {
                        return Ok(Vec::new());
                    };
                    index.some_waiting(&head, queue_offset, limit)
                };
                tasks
                    .blocking("queue index", read)
                    .await
                    .map_err(|_| Error::Closed)?
            }
        }
    }

    /// Up to `limit` entries as of [`QueueIndex::entries`], on a thread that may wait for the
    /// disk.
    pub(crate) fn entries_waiting(
        &self,
        head: &Head,
        queue_offset: u64,
        limit: usize,
    ) -> Result<Vec<IndexEntry>, Error> {
        self.some_waiting(head, queue_offset, Limit::All(limit))
    }

    fn some_waiting(
        &self,
        head: &Head,
        queue_offset: u64,
        limit: Limit,
    ) -> Result<Vec<IndexEntry>, Error> {
        let wait = |log: &IndexLog, position| log.read(position).map(Found::Block);
        let entries = self.entries_now(head, queue_offset, limit, wait);
        let entries = entries.map_err(|error| self.note(error))?;
        Ok(entries.expect("a lookup that may wait finds every block or fails"))
    }

    /// The first entry whose record lies at or behind `log_min`.
    pub(crate) fn first_at_or_behind(
        &self,
        head: &Head,
        log_min: u64,
    ) -> Result<Option<IndexEntry>, Error> {
        let (mut low, end) = head.with(|state| (state.min, state.end));
        let mut high = end;
        while low < high {
            let middle = low + (high - low) / 2;
            match self.entries_waiting(head, middle, 1)?.first() {
                Some(entry) if entry.log_offset.0 < log_min => low = entry.next().0,
                Some(entry) => high = entry.queue_offset.0,
                None => high = middle,
            }
        }
        let found = self.entries_waiting(head, low, 1)?.first().copied();
        Ok(found.filter(|entry| entry.log_offset.0 >= log_min))
    }

    /// Offset of an entry from which a search for the first record stored at or after `stored`
    /// may start, and the offset at which it may end. Waits for the disk.
    pub(crate) fn around(&self, head: &Head, stored: i64) -> Result<(u64, u64), Error> {
        let (min, end, tail_base, tail_first, links) = head.with(|state| {
            let links = state.spine.as_ref().map(|spine| spine.links.clone());
            (
                state.min,
                state.end,
                state.tail.base,
                state.tail_first_stored,
                links,
            )
        });
        let Some(mut links) = links.filter(|_| end == tail_base || tail_first >= stored) else {
            return Ok((tail_base.max(min), end));
        };
        let reaches = |link: &Link| link.first_stored < stored || link.base <= min;
        let mut upper = tail_base;
        while let Some(link) = hop(&links, reaches) {
            if reaches(&link) {
                return Ok((link.base.max(min), upper));
            }
            upper = link.base;
            let block = self.log().read(link.position);
            links = block.map_err(|error| self.note(error))?.links.clone();
        }
        Ok((min, upper))
    }

    /// Remembers damage, so that the next start builds the index anew.
    fn note(&self, error: Error) -> Error {
        if let Error::Index { .. } = error
            && !self.damaged.swap(true, Ordering::AcqRel)
        {
            tracing::error!(%error, "reads of old messages may fail until a restart");
        }
        error
    }

    /// `None` if `find` does not have a block at hand.
    fn entries_now(
        &self,
        head: &Head,
        queue_offset: u64,
        limit: Limit,
        find: impl Fn(&IndexLog, u64) -> Result<Found, Error>,
    ) -> Result<Option<Vec<IndexEntry>>, Error> {
        let (Limit::All(most) | Limit::Together(most)) = limit;
        let together = matches!(limit, Limit::Together(_));
        let mut entries: Vec<IndexEntry> = Vec::new();
        let mut from = queue_offset.max(head.with(|state| state.min));
        loop {
            let missing = most - entries.len();
            let links = head.with(|state| match state.tail_from(from, missing) {
                Some(tail) => Err(tail),
                None => Ok(state.spine.as_ref().map(|spine| spine.links.clone())),
            });
            let links = match links {
                Err(tail) => {
                    entries.extend(tail);
                    return Ok(Some(entries));
                }
                Ok(links) => links.unwrap_or_default(),
            };
            let Some(block) = self.block_of(&links, from, &find)? else {
                return Ok(None);
            };
            let before = entries.len();
            entries.extend(block.run.from(from).take(missing));
            if entries.len() == most {
                return Ok(Some(entries));
            }
            if before == entries.len() {
                return Err(Error::Index { position: from });
            }
            if together {
                return Ok(Some(entries));
            }
            from = block.run.end();
        }
    }

    /// The block that holds `queue_offset`, which lies before the tail these links belong to.
    fn block_of(
        &self,
        links: &[Link],
        queue_offset: u64,
        find: impl Fn(&IndexLog, u64) -> Result<Found, Error>,
    ) -> Result<Option<Arc<Block>>, Error> {
        let reaches = |link: &Link| link.base <= queue_offset;
        let mut next = hop(links, reaches);
        while let Some(link) = next {
            let Found::Block(block) = find(self.log(), link.position)? else {
                return Ok(None);
            };
            if reaches(&link) {
                return Ok(Some(block));
            }
            next = block.hop(reaches);
        }
        Err(Error::Index {
            position: queue_offset,
        })
    }
}
