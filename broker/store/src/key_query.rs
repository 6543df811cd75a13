//! Finds records by key: the index gives candidates, the records themselves decide.

use bytes::Bytes;
use model::record::{RecordView, view};
use model::{IndexKey, LogOffset, Timestamp, Topic, index_keys};

use crate::Error;
use crate::dispatch::Dispatch;
use crate::key_index::KeyIndex;
use crate::recovery::scan;
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
            let offsets = self.keys.find(hash, before, limit.clamp(16, 256));
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

    /// Indexes what lies before `replayed_from`, from the newest segment back, until the index
    /// is full. Waits for the disk.
    pub(crate) fn index_older_keys(&self, replayed_from: LogOffset) {
        for segment in self.segments.all().iter().rev() {
            let older = KeyIndex::default();
            let (start, end) = (segment.start, segment.end().min(replayed_from.0));
            let segment = std::slice::from_ref(segment);
            let read = scan(segment, self.guard, start, end, |record| {
                older.add(keys_of(record));
            });
            if let Err(error) = read {
                tracing::warn!(%error, "older messages are not found by key");
                return;
            }
            if !self.keys.add_older(older) || self.tasks.shutdown().is_requested() {
                return;
            }
        }
    }
}

fn keys_of(record: &RecordView<'_>) -> Vec<(u32, u64)> {
    let Ok(topic) = Topic::stored(record.topic) else {
        return Vec::new();
    };
    let dispatch = Dispatch::of_stored(&topic, record);
    dispatch
        .keys
        .into_iter()
        .map(|hash| (hash, record.log_offset.0))
        .collect()
}

/// A key of a message and one that is asked for; tags are found as tags only.
fn same_key(has: IndexKey<'_>, asked: IndexKey<'_>) -> bool {
    let tag = |key: IndexKey<'_>| matches!(key, IndexKey::Tag(_));
    has.text() == asked.text() && tag(has) == tag(asked)
}
