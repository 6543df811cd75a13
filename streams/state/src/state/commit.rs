//! Ends an epoch: all of it is committed, or none.

use super::{Commit, PROGRESS_KEY, State};
use crate::{Durability, Epoch, Error, Space, Write, cache::CachedTable, store::Batch};
use bytes::Bytes;

impl State {
    /// Commits the epoch: its rows, its progress and its outbox, and the deletion of
    /// acknowledged outboxes, all or nothing.
    ///
    /// # Errors
    /// After an error of the store it is unknown whether the epoch is committed, and every
    /// later call fails: open the state again.
    pub fn commit(&mut self, commit: Commit, durability: Durability) -> Result<(), Error> {
        if self.closed {
            return Err(Error::Closed);
        }
        let epoch = commit.progress.epoch;
        if epoch.0 != self.committed.0 + 1 {
            return Err(Error::EpochOrder {
                committed: self.committed.0,
                asked: epoch.0,
            });
        }
        let mut batch = Batch::new();
        for table in &self.tables {
            table.stage(&mut batch);
        }
        let progress = commit.progress.encode().into();
        batch.push(Write::Put {
            space: Space::Meta,
            key: Bytes::from_static(PROGRESS_KEY),
            value: progress,
        });
        if !commit.outbox.is_empty() {
            batch.push(Write::Put {
                space: Space::Outbox,
                key: outbox_key(epoch),
                value: commit.outbox,
            });
        }
        for epoch in &self.acknowledged {
            batch.push(Write::Delete {
                space: Space::Outbox,
                key: outbox_key(*epoch),
            });
        }
        self.closed = true;
        self.store.commit(batch, durability)?;
        self.closed = false;
        self.acknowledged.clear();
        self.committed = epoch;
        self.after_commit();
        Ok(())
    }

    fn after_commit(&mut self) {
        for table in &mut self.tables {
            table.committed();
        }
        let bytes: usize = self.tables.iter().map(CachedTable::bytes).sum();
        if bytes > self.settings.cache_bytes {
            // Going well below the limit at once keeps the next commits from evicting again.
            let keep = self.settings.cache_bytes as f64 * 0.75 / bytes as f64;
            for table in &mut self.tables {
                table.evict_to((table.bytes() as f64 * keep) as usize);
            }
        }
    }

    /// Forgets the running epoch's writes.
    pub fn roll_back(&mut self) -> Result<(), Error> {
        for table in &mut self.tables {
            let keys = table.roll_back();
            let stored_keys: Vec<Vec<u8>> = keys
                .iter()
                .map(|key| [table.prefix(), key].concat())
                .collect();
            let stored_keys: Vec<&[u8]> = stored_keys.iter().map(Vec::as_slice).collect();
            let rows = self.store.get_many(Space::Rows, &stored_keys)?;
            for (key, row) in keys.iter().zip(rows) {
                table.remember(key, row);
            }
        }
        Ok(())
    }

    /// What this epoch published has arrived; its outbox goes with the next commit. If the
    /// process dies before, it is published once more.
    pub fn acknowledge(&mut self, epoch: Epoch) {
        self.acknowledged.push(epoch);
    }

    /// Returns once every committed epoch survives a power loss.
    pub fn sync(&self) -> Result<(), Error> {
        if self.closed {
            Err(Error::Closed)
        } else {
            self.store.sync()
        }
    }
}

fn outbox_key(epoch: Epoch) -> Bytes {
    Bytes::copy_from_slice(&epoch.0.to_be_bytes())
}
