//! Finds records by key: the index gives candidates, the records themselves decide.

use bytes::Bytes;
use model::record::view;
use model::{IndexKey, LogOffset, Timestamp, Topic, index_keys};

use crate::Error;
use crate::store::Shared;

impl Shared {
    pub(crate) async fn query(
        &self,
        topic: &Topic,
        key: IndexKey<'_>,
        limit: usize,
        begin: Timestamp,
        end: Timestamp,
    ) -> Result<Vec<Bytes>, Error> {
        let hash = key.hash_in(topic);
        let mut found = Vec::new();
        let mut before = u64::MAX;
        while found.len() < limit {
            let offsets = self.places(hash, before, limit.clamp(16, 256)).await?;
            let Some(last) = offsets.last() else { break };
            before = *last;
            for at in offsets {
                let bytes = match self.reader.record(LogOffset(at)).await {
                    Ok(bytes) => bytes,
                    Err(Error::NoSuchRecord { .. } | Error::Corrupt { .. }) => continue,
                    Err(error) => return Err(error),
                };
                let Ok(record) = view(&bytes) else { continue };
                if record.stored < begin {
                    found.reverse();
                    return Ok(found);
                }
                let within = record.stored <= end && record.topic == topic.as_str();
                if within && index_keys(record.properties).any(|has| same_key(has, key)) {
                    found.push(bytes);
                    if found.len() == limit {
                        break;
                    }
                }
            }
        }
        found.reverse();
        Ok(found)
    }

    /// Places of records that may have the key, newest first, from below `before` on. Files are
    /// read where waiting is allowed.
    async fn places(&self, hash: u32, before: u64, limit: usize) -> Result<Vec<u64>, Error> {
        let (mut found, from) = self.keys.find_new(hash, before, limit);
        let missing = limit - found.len();
        if missing > 0 && self.keys.files() > 0 {
            let keys = self.keys.clone();
            let look = move || keys.find_old(hash, before.min(from), missing);
            let older = self.tasks.blocking("key index", look).await;
            found.extend(older.map_err(|_| Error::Closed)?);
        }
        Ok(found)
    }
}

/// A key of a message and one that is asked for; tags are found as tags only.
fn same_key(has: IndexKey<'_>, asked: IndexKey<'_>) -> bool {
    let tag = |key: IndexKey<'_>| matches!(key, IndexKey::Tag(_));
    has.text() == asked.text() && tag(has) == tag(asked)
}
