//! What the leader does: offsets, places, one write, answers.

use std::sync::Arc;

use model::properties::{INNER_BASE, INNER_MULTI_QUEUE_OFFSET};
use model::record::{Unplaced, decode, write_blank};
use model::{LogOffset, QueueId, QueueOffset, Timestamp, Topic, system_topics};
use smallvec::SmallVec;

use super::batch::{Answer, Batch};
use super::request::{Appended, Member, OwnAnswers, Reply, Request, Written};
use super::{BATCH_BYTES, Shared, Tail};
use crate::dispatch::{KeyHashes, Tags, lite_offsets_text};
use crate::publisher::{Staged, StagedRecord};
use crate::queue_index::{Arrival, Head, Unit};
use crate::{Error, Flush};

/// Bytes a segment must have left behind its last record for the blank that ends it.
pub(super) const BLANK: u64 = 8;

/// Queues and what they gave out before, in the order in which they did.
type Taken = SmallVec<[(Arc<Head>, u64); 2]>;

/// A request whose records have their offsets, but not yet their place in the log.
struct Reserved {
    members: SmallVec<[Slot; 1]>,
    /// The queue of group records and the offset there, if the members are a group.
    group: Option<(Arc<Head>, u64)>,
    bytes: u64,
    taken: Taken,
}

struct Slot {
    record: Unplaced,
    tags: Tags,
    keys: KeyHashes,
    count: u32,
    /// The record's own queue first, unless no queue shows it; then its lite queues.
    entries: SmallVec<[(Arc<Head>, u64); 1]>,
    shown: bool,
}

impl Shared {
    /// Writes all requests. Returns how many bytes went to the log.
    pub(super) fn write(
        &self,
        tail: &mut Tail,
        requests: impl Iterator<Item = Request>,
        own: &mut OwnAnswers,
    ) -> u64 {
        let before = tail.position;
        let mut batch = Batch::default();
        for mut request in requests {
            let reply = std::mem::replace(&mut request.reply, Reply::Own(0));
            let (waits, deletes) = (request.waits, request.deletes.take());
            let placed = self
                .fit(tail, &mut batch, request, own)
                .and_then(|reserved| self.place(tail, &mut batch, reserved));
            let deletes = match placed {
                Ok((appended, end)) => {
                    batch.answers.push(Answer {
                        appended,
                        end,
                        waits,
                        reply,
                    });
                    deletes
                }
                Err(error) => {
                    reply.give(Err(error), own);
                    None
                }
            };
            if batch.bytes >= BATCH_BYTES || deletes.is_some() {
                let written = self.commit(tail, &mut batch, own).is_ok();
                if let Some(topic) = deletes.filter(|_| written) {
                    // Whoever holds a head of the topic looks it up again for the next record.
                    self.index.delete(&topic);
                }
            }
        }
        // Whoever waits has its answer already.
        let _ = self.commit(tail, &mut batch, own);
        if tail.position - tail.segment.start > tail.segment.len / 4 {
            self.segments.prepare_after(&tail.segment);
        }
        tail.position - before
    }

    /// Gives a request its offsets and sees to it that the segment has room.
    fn fit(
        &self,
        tail: &mut Tail,
        batch: &mut Batch,
        request: Request,
        own: &mut OwnAnswers,
    ) -> Result<Reserved, Error> {
        self.health.check(request.bytes())?;
        let reserved = self.reserve(request)?;
        let needed = reserved.bytes + BLANK;
        if tail.position + batch.bytes + needed <= tail.segment.end() {
            return Ok(reserved);
        }
        let limit = self.settings.segment_bytes;
        let rolled = if needed > limit {
            Err(Error::TooLarge {
                size: reserved.bytes,
                limit: limit - BLANK,
            })
        } else {
            self.commit(tail, batch, own).and_then(|()| self.roll(tail))
        };
        match rolled {
            Ok(()) => Ok(reserved),
            Err(error) => {
                give_back(reserved.taken);
                Err(error)
            }
        }
    }

    fn reserve(&self, request: Request) -> Result<Reserved, Error> {
        let mut reserved = Reserved {
            members: SmallVec::with_capacity(request.members.len()),
            group: None,
            bytes: 0,
            taken: Taken::new(),
        };
        if request.members.len() > 1 {
            let topic = Topic::parse(system_topics::GROUP).expect("our own name keeps the rule");
            let head = self.index.get_or_insert(&QueueId::new(topic, 0));
            let offset = take(&head, 1, &mut reserved.taken);
            reserved.group = Some((head, offset));
            reserved.bytes += self.seal.len() as u64;
        }
        for mut member in request.members {
            member.refresh(&self.index);
            match slot(member, &mut reserved.taken) {
                Ok(slot) => {
                    reserved.bytes += slot.record.len() as u64;
                    reserved.members.push(slot);
                }
                Err(error) => {
                    give_back(reserved.taken);
                    return Err(error);
                }
            }
        }
        Ok(reserved)
    }

    /// Puts the records into the batch, right behind what is there. Returns where they went and
    /// where the last of them ends.
    fn place(
        &self,
        tail: &mut Tail,
        batch: &mut Batch,
        reserved: Reserved,
    ) -> Result<(SmallVec<[Appended; 1]>, u64), Error> {
        tail.last_stored = tail.last_stored.max(self.clock.wall());
        let stored = tail.last_stored;
        let start = tail.position + batch.bytes;
        let mut at = start;
        if reserved.group.is_some() {
            at += self.seal.len() as u64;
        }
        let mut appended = SmallVec::with_capacity(reserved.members.len());
        let mut records = SmallVec::new();
        let mut placed = SmallVec::<[_; 1]>::with_capacity(reserved.members.len());
        for slot in reserved.members {
            let size = slot.record.len() as u32;
            let queue_offset = slot
                .entries
                .first()
                .filter(|_| slot.shown)
                .map_or(0, |entry| entry.1);
            appended.push(Appended {
                queue: slot.record.queue().clone(),
                queue_offset: QueueOffset(queue_offset),
                log_offset: LogOffset(at),
                stored: Timestamp(stored),
                size,
            });
            let unit = Unit {
                log_offset: at,
                tags_code: slot.tags.code(&self.settings, stored),
                size,
                count: slot.count,
            };
            records.push(staged(
                at,
                unit,
                stored,
                slot.entries,
                slot.shown,
                slot.keys,
            ));
            let place = (QueueOffset(queue_offset), LogOffset(at), Timestamp(stored));
            let record = slot.record.place(place.0, place.1, place.2);
            if let Err(error) = self.guard.admit(&record, at) {
                give_back(reserved.taken);
                return Err(error.into());
            }
            placed.push(record);
            at += u64::from(size);
        }
        if let Some((head, offset)) = reserved.group {
            let place = (QueueOffset(offset), LogOffset(start), Timestamp(stored));
            let seal = self.seal.seal(&placed, place.0, place.1, place.2);
            let unit = Unit {
                log_offset: start,
                tags_code: 0,
                size: seal.len() as u32,
                count: 1,
            };
            let entries = SmallVec::from_iter([(head, offset)]);
            records.insert(
                0,
                staged(start, unit, stored, entries, true, KeyHashes::new()),
            );
            batch.add(seal, &mut tail.buffer, &self.ring);
        }
        for record in placed {
            batch.add(record, &mut tail.buffer, &self.ring);
        }
        batch.taken.extend(reserved.taken);
        batch.staged.push(Staged { end: at, records });
        Ok((appended, at))
    }

    /// Writes the batch, makes it readable, and answers.
    fn commit(
        &self,
        tail: &mut Tail,
        batch: &mut Batch,
        own: &mut OwnAnswers,
    ) -> Result<(), Error> {
        let mut batch = std::mem::take(batch);
        batch.end_run(&mut tail.buffer);
        if batch.is_empty() {
            return Ok(());
        }
        let place = tail.position - tail.segment.start;
        let written = self
            .fence
            .admit(tail.position + batch.bytes)
            .and_then(|()| {
                let doing = "writing the log";
                batch
                    .write(tail.segment.file.as_ref(), place)
                    .map_err(Error::disk(doing))
            });
        if let Err(error) = written {
            self.take_back(tail, &mut batch);
            for waiting in batch.answers {
                waiting.reply.give(Err(error.again()), own);
            }
            return Err(error);
        }
        batch.keep_hot(tail.position, &self.ring);
        tail.position += batch.bytes;
        self.publisher
            .mark
            .set_appended(tail.position, tail.last_stored);
        self.publisher.stage(std::mem::take(&mut batch.staged));
        self.publisher.advance();
        self.answer_all(batch.answers, own);
        Ok(())
    }

    /// After a failed write: the place is as if nothing had been written, or nothing is
    /// written any more.
    fn take_back(&self, tail: &Tail, batch: &mut Batch) {
        batch.undo();
        let zeros = vec![0; (64 << 10).min(batch.bytes as usize)];
        let end = tail.position + batch.bytes;
        let mut at = tail.position;
        while at < end {
            let bytes = zeros.len().min((end - at) as usize);
            let place = at - tail.segment.start;
            if let Err(error) = tail.segment.file.write_all_at(&zeros[..bytes], place) {
                self.health
                    .break_with(format!("a failed write at {at} was not undone: {error}"));
                return;
            }
            at += bytes as u64;
        }
    }

    fn answer_all(&self, answers: Vec<Answer>, own: &mut OwnAnswers) {
        let sync = self.settings.flush == Flush::Sync;
        let mut waiting = Vec::new();
        let mut end = None;
        for Answer {
            appended,
            end: record_end,
            waits,
            reply,
        } in answers
        {
            let written = Written {
                appended,
                end: record_end,
                waits,
            };
            if sync && matches!(reply, Reply::Other(_)) {
                end = Some(record_end);
                if waits {
                    waiting.push((reply, written));
                    continue;
                }
            }
            reply.give(Ok(written), own);
        }
        if let Some(end) = end {
            self.flusher.when_durable(end, move |result| {
                for (reply, written) in waiting {
                    let result = result.as_ref().map(|()| written).map_err(Error::again);
                    reply.give(result, &mut OwnAnswers::new());
                }
            });
        }
    }

    /// Ends the segment and goes on in the next one.
    fn roll(&self, tail: &mut Tail) -> Result<(), Error> {
        let next = self.segments.take_after(&tail.segment)?;
        let remaining = tail.segment.end() - tail.position;
        let blank = write_blank(u32::try_from(remaining).unwrap_or(u32::MAX));
        let at = tail.position - tail.segment.start;
        if let Err(source) = tail.segment.file.write_all_at(&blank, at) {
            self.health.break_with(format!(
                "the end of {:?} was not written: {source}",
                tail.segment.path
            ));
            return Err(Error::Disk {
                doing: "ending a segment",
                source,
            });
        }
        self.segments.join(next.clone());
        tail.position = next.start;
        tail.segment = next;
        Ok(())
    }
}

/// Offsets of records that are not written are given out again.
fn give_back(taken: Taken) {
    for (head, next) in taken.into_iter().rev() {
        head.give_back(next);
    }
}

fn take(head: &Arc<Head>, count: u32, taken: &mut Taken) -> u64 {
    let offset = head.take(count);
    taken.push((head.clone(), offset));
    offset
}

fn slot(member: Member, taken: &mut Taken) -> Result<Slot, Error> {
    let Member {
        mut record,
        dispatch,
        head,
        lite,
    } = member;
    let shown = head.is_some();
    let own = head.map(|head| (take(&head, dispatch.count, taken), head));
    let own = own.map(|(offset, head)| (head, offset));
    let base = own
        .as_ref()
        .filter(|_| record.sys_flag().is_inner_batch())
        .map(|own| own.1);
    let mut entries: SmallVec<[(Arc<Head>, u64); 1]> = own.into_iter().collect();
    let mut lite_offsets = Vec::with_capacity(lite.len());
    for head in lite {
        let offset = take(&head, 1, taken);
        lite_offsets.push(offset);
        entries.push((head, offset));
    }
    if base.is_some() || !lite_offsets.is_empty() {
        record = with_offsets(record, base, &lite_offsets)?;
    }
    Ok(Slot {
        record,
        tags: dispatch.tags,
        keys: dispatch.keys,
        count: dispatch.count,
        entries,
        shown,
    })
}

/// Writes offsets into the properties that only the leader knows: the first offset of an inner
/// batch, and those of lite queues.
fn with_offsets(record: Unplaced, base: Option<u64>, lite: &[u64]) -> Result<Unplaced, Error> {
    let nowhere = (QueueOffset(0), LogOffset(0), Timestamp(0));
    let bytes = record.place(nowhere.0, nowhere.1, nowhere.2).to_bytes();
    let mut stored = decode(&bytes)?;
    let properties = &mut stored.message.properties;
    if let Some(base) = base {
        properties.set(INNER_BASE, base);
    }
    if !lite.is_empty() {
        properties.set(INNER_MULTI_QUEUE_OFFSET, lite_offsets_text(lite));
    }
    Ok(Unplaced::encode(
        &stored.message,
        stored.store_host,
        stored.checksum,
    )?)
}

fn staged(
    at: u64,
    unit: Unit,
    stored: i64,
    entries: SmallVec<[(Arc<Head>, u64); 1]>,
    shown: bool,
    keys: KeyHashes,
) -> StagedRecord {
    let entries = entries
        .into_iter()
        .enumerate()
        .map(|(index, (head, queue_offset))| {
            // Only the record's own queue gives an inner batch more than one offset.
            let own = index == 0 && shown;
            let unit = Unit {
                count: if own { unit.count } else { 1 },
                ..unit
            };
            (
                head,
                Arrival {
                    queue_offset,
                    unit,
                    stored,
                },
            )
        });
    StagedRecord {
        entries: entries.collect(),
        keys,
        at,
    }
}
