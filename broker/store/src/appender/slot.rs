//! The offsets of a record in the queues that show it: taken, told to it, given back.

use std::sync::Arc;

use model::properties::{INNER_BASE, INNER_MULTI_QUEUE_OFFSET};
use model::record::{Run, Unplaced, decode};
use model::{LogOffset, QueueId, QueueOffset, Timestamp};
use smallvec::SmallVec;

use super::request::Member;
use crate::Error;
use crate::dispatch::{KeyHashes, Tags, lite_offsets_text};
use crate::queue_index::{Head, QueueIndex};

/// Queues that show a record, its own first unless no queue shows it, with its offsets there.
pub(super) type Entries = SmallVec<[(Arc<Head>, u64); 1]>;

/// A record that has its offsets, but not yet its place in the log.
pub(super) struct Slot {
    pub queue: QueueId,
    pub tags: Tags,
    pub keys: KeyHashes,
    pub count: u32,
    pub entries: Entries,
    /// The first entry is that of the record's own queue.
    pub shown: bool,
}

impl Slot {
    /// Takes the offsets of a record of the run.
    pub(super) fn take(
        mut member: Member,
        run: &mut Run,
        record: usize,
        index: &QueueIndex,
    ) -> Result<Slot, Error> {
        member.refresh(index);
        let shown = member.head.is_some();
        let mut entries = Entries::new();
        if let Some(head) = member.head {
            let offset = head.take(member.count);
            entries.push((head, offset));
        }
        let first_lite = entries.len();
        for head in member.lite {
            let offset = head.take(1);
            entries.push((head, offset));
        }
        let base = entries.first().map(|own| own.1);
        let base = base.filter(|_| shown && member.inner_batch);
        let lite = &entries[first_lite..];
        if base.is_some() || !lite.is_empty() {
            let lite: Vec<u64> = lite.iter().map(|entry| entry.1).collect();
            tell_offsets(run, record, base, &lite).inspect_err(|_| give_back(&entries))?;
        }
        Ok(Slot {
            queue: member.queue,
            tags: member.tags,
            keys: member.keys,
            count: member.count,
            entries,
            shown,
        })
    }
}

/// Offsets of records that are not written are given out again.
pub(super) fn give_back(entries: &[(Arc<Head>, u64)]) {
    for (head, offset) in entries.iter().rev() {
        head.give_back(*offset);
    }
}

/// Writes offsets into the properties of a record that only the leader knows: the first offset
/// of an inner batch, and those of lite queues.
fn tell_offsets(
    run: &mut Run,
    record: usize,
    base: Option<u64>,
    lite: &[u64],
) -> Result<(), Error> {
    run.place(record, QueueOffset(0), LogOffset(0), Timestamp(0));
    let mut stored = decode(&run.to_bytes(record))?;
    let properties = &mut stored.message.properties;
    if let Some(base) = base {
        properties.set(INNER_BASE, base);
    }
    if !lite.is_empty() {
        properties.set(INNER_MULTI_QUEUE_OFFSET, lite_offsets_text(lite));
    }
    let told = Unplaced::encode(&stored.message, stored.store_host, stored.checksum)?;
    run.replace(record, told);
    Ok(())
}
