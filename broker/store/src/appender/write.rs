//! What the leader does: offsets, places, one write, answers.

use model::record::{Run, write_blank};
use model::{LogOffset, QueueId, QueueOffset, Timestamp, Topic, system_topics};
use smallvec::SmallVec;

use super::batch::{Answer, Batch};
use super::combiner::{Outcome, Reply, Work};
use super::request::{Appended, Bond, Member, Request, Written};
use super::slot::{Entries, Slot, give_back};
use super::{Tail, Writer};
use crate::dispatch::KeyHashes;
use crate::publisher::StagedRecord;
use crate::queue_index::{Arrival, Unit};
use crate::segment::Segment;
use crate::{Error, Flush};

/// Bytes a segment must have left behind its last record for the blank that ends it.
pub(super) const BLANK: u64 = 8;
/// Part of a segment after which the next one is prepared.
const PREPARED: u64 = 4;
/// Part of a segment that stays free for what makes room, while the next one cannot be made.
const KEPT_FREE: u64 = 2;
/// Fresh space becomes space that was written before in steps of so many bytes.
const FILL: u64 = 256 << 10;

impl Work for Writer {
    type Request = Request;
    type Written = Written;
    type Tail = Tail;
    const BATCH_BYTES: u64 = 256 << 10;
    const LEADERSHIP_BYTES: u64 = 8 << 20;

    /// What it takes, but for what the leader adds.
    fn bytes(request: &Request) -> u64 {
        request.run.bytes()
    }

    fn reply(request: &mut Request) -> &mut Option<Reply<Self>> {
        &mut request.reply
    }

    fn leader_panicked(&self) {
        self.health.break_with("an append panicked".into());
    }

    fn write(
        &self,
        tail: &mut Tail,
        requests: impl Iterator<Item = Request>,
        own: &mut Option<Written>,
    ) -> u64 {
        let before = tail.position;
        let mut batch = Batch::default();
        for mut request in requests {
            let members = std::mem::take(&mut request.members);
            let answer = Answer::to(&mut request, members.len());
            batch.open(answer, std::mem::take(&mut request.run));
            batch.though_full = request.though_full;
            batch.staged.reserve(members.len() + 1);
            let mut placed = true;
            if request.bond == Bond::Group && members.len() > 1 {
                let added = self.add_group(tail, &mut batch, members, own);
                placed = added.is_ok();
                batch.answer_group(added);
            } else {
                let checked = request.deletes.is_none();
                for (record, member) in members.into_iter().enumerate() {
                    let reserved = match checked {
                        true => member.refuse_reserved(),
                        false => Ok(()),
                    };
                    let added =
                        reserved.and_then(|()| self.add(tail, &mut batch, member, record, own));
                    placed &= added.is_ok();
                    batch.answer(added);
                    if batch.bytes >= Self::BATCH_BYTES {
                        // Whoever waits has its answer already.
                        let _ = self.commit(tail, &mut batch, own);
                    }
                }
            }
            batch.close(&mut tail.buffer);
            let deletes = request.deletes.filter(|_| placed);
            if batch.bytes >= Self::BATCH_BYTES || deletes.is_some() {
                let written = self.commit(tail, &mut batch, own).is_ok();
                if let Some(topic) = deletes.filter(|_| written) {
                    // Whoever holds a head of the topic looks it up again for the next record.
                    self.index.delete(&topic);
                }
            }
        }
        let _ = self.commit(tail, &mut batch, own);
        if tail.position - tail.segment.start > tail.segment.len / PREPARED {
            self.segments.prepare_after(&tail.segment);
        }
        tail.position - before
    }
}

impl Writer {
    /// Puts a record into the batch, right behind what is there.
    fn add(
        &self,
        tail: &mut Tail,
        batch: &mut Batch,
        member: Member,
        record: usize,
        own: &mut Option<Written>,
    ) -> Result<Appended, Error> {
        let slot = Slot::take(member, batch.run(), record, &self.index)?;
        let bytes = u64::from(batch.run().size(record));
        self.make_room(tail, batch, bytes, own)
            .inspect_err(|_| give_back(&slot.entries))?;
        let at = tail.position + batch.bytes;
        let (stored, end) = (self.store_time(tail, batch), at + bytes);
        let (appended, staged) = self.place(slot, batch.run(), record, at, stored, end)?;
        batch.staged.push(staged);
        batch.add(record..record + 1, &mut tail.buffer);
        Ok(appended)
    }

    /// As [`add`](Self::add) for records that are seen and survive together or not at all:
    /// behind a record that seals them.
    fn add_group(
        &self,
        tail: &mut Tail,
        batch: &mut Batch,
        members: Vec<Member>,
        own: &mut Option<Written>,
    ) -> Result<Vec<Appended>, Error> {
        members.iter().try_for_each(Member::refuse_reserved)?;
        let topic = Topic::parse(system_topics::GROUP).expect("our own name keeps the rule");
        let head = self.index.get_or_insert(&QueueId::new(topic, 0));
        let group_offset = head.take(1);
        let own_entries = Entries::from_iter([(head.clone(), group_offset)]);
        let all = 0..members.len();
        let mut slots: Vec<Slot> = Vec::with_capacity(members.len());
        let give_all_back = |slots: &[Slot]| {
            slots.iter().rev().for_each(|slot| give_back(&slot.entries));
            give_back(&own_entries);
        };
        for (record, member) in members.into_iter().enumerate() {
            let slot = Slot::take(member, batch.run(), record, &self.index)
                .inspect_err(|_| give_all_back(&slots))?;
            slots.push(slot);
        }
        let bytes = self.seal.len() as u64 + batch.run().bytes();
        self.make_room(tail, batch, bytes, own)
            .inspect_err(|_| give_all_back(&slots))?;

        let start = tail.position + batch.bytes;
        let (stored, end) = (self.store_time(tail, batch), start + bytes);
        let mut at = start + self.seal.len() as u64;
        for record in all.clone() {
            self.guard
                .admit(batch.run(), record, at)
                .inspect_err(|_| give_all_back(&slots))?;
        }
        let mut appended = Vec::with_capacity(slots.len());
        let mut staged = Vec::with_capacity(slots.len());
        for (record, slot) in slots.into_iter().enumerate() {
            let placed = self.place(slot, batch.run(), record, at, stored, end)?;
            at += u64::from(placed.0.size);
            appended.push(placed.0);
            staged.push(placed.1);
        }
        let seal = self.seal.seal(
            batch.run(),
            all.clone(),
            QueueOffset(group_offset),
            LogOffset(start),
            Timestamp(stored),
        );
        let arrival = Arrival {
            queue_offset: group_offset,
            unit: Unit {
                log_offset: start,
                tags_code: 0,
                size: seal.size(0),
                count: 1,
            },
            stored,
        };
        batch.staged.push(StagedRecord {
            end,
            entries: SmallVec::from_iter([(head, arrival)]),
            keys: KeyHashes::new(),
            at: start,
        });
        batch.staged.extend(staged);
        batch.add_in_front(seal, &mut tail.buffer);
        batch.add(all, &mut tail.buffer);
        Ok(appended)
    }

    /// Sees to it that the segment has room for `bytes` behind the batch.
    fn make_room(
        &self,
        tail: &mut Tail,
        batch: &mut Batch,
        bytes: u64,
        own: &mut Option<Written>,
    ) -> Result<(), Error> {
        self.health.check(bytes, batch.though_full)?;
        let needed = bytes + BLANK;
        let end = tail.position + batch.bytes + needed;
        if end <= tail.free_to {
            return Ok(());
        }
        if end <= tail.segment.end() {
            if !batch.though_full {
                self.commit(tail, batch, own)?;
                self.segments.see_to_one_after(&tail.segment)?;
                tail.free_to = tail.segment.end();
            }
            return Ok(());
        }
        let limit = self.settings.segment_bytes;
        if needed > limit {
            return Err(Error::TooLarge {
                size: bytes,
                limit: limit - BLANK,
            });
        }
        self.commit(tail, batch, own)?;
        self.roll(tail)
    }

    /// Records that are written together have one store time, never before an earlier one.
    fn store_time(&self, tail: &mut Tail, batch: &Batch) -> i64 {
        if batch.is_empty() {
            tail.last_stored = tail.last_stored.max(self.time.now());
        }
        tail.last_stored
    }

    /// Gives a record its place; readers may see it once the log is visible up to `end`.
    fn place(
        &self,
        slot: Slot,
        run: &mut Run,
        record: usize,
        at: u64,
        stored: i64,
        end: u64,
    ) -> Result<(Appended, StagedRecord), Error> {
        if let Err(error) = self.guard.admit(run, record, at) {
            give_back(&slot.entries);
            return Err(error.into());
        }
        let own = slot.entries.first().filter(|_| slot.shown);
        let appended = Appended {
            queue_offset: QueueOffset(own.map_or(0, |entry| entry.1)),
            queue: slot.queue,
            log_offset: LogOffset(at),
            stored: Timestamp(stored),
            size: run.size(record),
        };
        run.place(
            record,
            appended.queue_offset,
            appended.log_offset,
            appended.stored,
        );
        let unit = Unit {
            log_offset: at,
            tags_code: slot.tags.code(&self.settings, stored),
            size: appended.size,
            count: 1,
        };
        let entries = slot.entries.into_iter().enumerate();
        let entries = entries.map(|(index, (head, queue_offset))| {
            // Only the record's own queue gives an inner batch more than one offset.
            let own = index == 0 && slot.shown;
            let count = if own { slot.count } else { 1 };
            let arrival = Arrival {
                queue_offset,
                unit: Unit { count, ..unit },
                stored,
            };
            (head, arrival)
        });
        let staged = StagedRecord {
            end,
            entries: entries.collect(),
            keys: slot.keys,
            at,
        };
        Ok((appended, staged))
    }

    /// Writes the batch, makes it readable, and answers.
    fn commit(
        &self,
        tail: &mut Tail,
        batch: &mut Batch,
        own: &mut Option<Written>,
    ) -> Result<(), Error> {
        batch.end(&mut tail.buffer);
        let written = match batch.is_empty() {
            true => Ok(()),
            false => self.write_batch(tail, batch),
        };
        for answer in batch.settle(written.as_ref()) {
            self.answer(answer, own);
        }
        written
    }

    fn write_batch(&self, tail: &mut Tail, batch: &mut Batch) -> Result<(), Error> {
        let end = tail.position + batch.bytes;
        let segment = tail.segment.as_ref();
        let place = tail.position - segment.start;
        let fill = match self.settings.flush {
            Flush::Sync if end > tail.fresh_from => end.next_multiple_of(FILL) - end,
            _ => 0,
        };
        self.fence
            .admit(end)
            .and_then(|()| {
                let doing = "writing the log";
                let written = batch.write(segment, place, fill);
                written.map_err(Error::disk(doing))
            })
            .inspect_err(|_| self.take_back(tail, batch))?;
        tail.fresh_from = tail.fresh_from.max(end + fill);
        batch.keep_hot(tail.position, &self.ring);
        tail.position = end;
        self.publisher.mark.set_appended(end, tail.last_stored);
        self.publisher.stage(std::mem::take(&mut batch.staged));
        self.publisher.advance();
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

    /// Tells a sender what became of its request, once the disk has it where the sender waits
    /// for that. The leader waits by itself.
    fn answer(&self, answer: Answer, own: &mut Option<Written>) {
        let Answer {
            mut written, reply, ..
        } = answer;
        let Some(reply) = reply else {
            *own = Some(written);
            return;
        };
        // In all cases, whoever asked may have gone.
        let flushed = self.settings.flush == Flush::Async || written.end == 0;
        if flushed || !written.waits {
            if !flushed {
                self.flusher.when_durable(written.end, drop);
            }
            let _ = reply.send(Outcome::Done(written));
            return;
        }
        self.flusher.when_durable(written.end, move |durable| {
            if let Err(error) = durable {
                written.fail(0, &error);
            }
            let _ = reply.send(Outcome::Done(written));
        });
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
        tail.fresh_from = match self.segments.has_fresh_space(&next) {
            true => next.start,
            false => next.end(),
        };
        tail.position = next.start;
        tail.free_to = free_to(&next);
        tail.segment = next;
        Ok(())
    }
}

/// Up to where everybody's records go in a segment that none follows yet.
pub(super) fn free_to(segment: &Segment) -> u64 {
    segment.end() - segment.len / KEPT_FREE
}
