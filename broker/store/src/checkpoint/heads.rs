//! Heads as they lie in a checkpoint.
//!
//! ```text
//! count 4 | heads × (topic length 2, topic, queue 4, live 1, if live:
//!   min 8, min at 8, end 8, after 8, tail base 8, tail first stored 8,
//!   blocks 4, links 1, links × (position 8, base 8, first stored 8),
//!   entries 1, entries × (log offset 8, tags code 8, size 4, count 4))
//! ```

use std::sync::Arc;

use model::{LogOffset, QueueId};

use super::Position;
use crate::guard::Guard;
use crate::queue_index::{
    Fields, Head, Heads, INLINE_ENTRIES, IndexLog, Link, Run, Spine, State, Unit, Units,
};

/// Bytes of the smallest head: a deleted one whose topic has one letter.
const HEAD_BYTES: usize = 2 + 1 + 4 + 1;

/// Bytes of what a frame says about the log.
pub(super) const POSITION: usize = 1 + 5 * 8;

/// What a frame of this kind says about the log.
pub(super) fn position(kind: u8, position: Position) -> [u8; POSITION] {
    let mut bytes = [kind; POSITION];
    let Position {
        replay_from,
        durable,
        index_end,
        last_stored,
        guard,
    } = position;
    let fields = [
        replay_from,
        durable,
        index_end,
        last_stored as u64,
        guard.from.0,
    ];
    for (place, field) in bytes[1..].chunks_exact_mut(8).zip(fields) {
        place.copy_from_slice(&field.to_be_bytes());
    }
    bytes
}

pub(super) fn read_position(fields: &mut Fields<'_>) -> Option<(u8, Position)> {
    let kind = fields.u8()?;
    let position = Position {
        replay_from: fields.u64()?,
        durable: fields.u64()?,
        index_end: fields.u64()?,
        last_stored: fields.u64()? as i64,
        guard: Guard {
            from: LogOffset(fields.u64()?),
        },
    };
    Some((kind, position))
}

/// Moves long tails to the index log and writes all heads down.
pub(super) fn encode_all(heads: &[Arc<Head>], log: &IndexLog, into: &mut Vec<u8>) {
    into.extend_from_slice(&(heads.len() as u32).to_be_bytes());
    for head in heads {
        encode(head, log, into);
    }
}

fn encode(head: &Head, log: &IndexLog, into: &mut Vec<u8>) {
    let topic = head.id.topic.as_str().as_bytes();
    into.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    into.extend_from_slice(topic);
    into.extend_from_slice(&head.id.number.to_be_bytes());
    if head.is_dead() {
        into.push(0);
        return;
    }
    into.push(1);
    head.with(|state| {
        if state.tail.units.len() > INLINE_ENTRIES {
            state.spill(log);
        }
        state.changed = false;
        encode_state(state, into);
    });
}

fn encode_state(state: &State, into: &mut Vec<u8>) {
    let fields = [
        state.min,
        state.min_at,
        state.end,
        state.after,
        state.tail.base,
        state.tail_first_stored as u64,
    ];
    for field in fields {
        into.extend_from_slice(&field.to_be_bytes());
    }
    let (blocks, links) = match &state.spine {
        Some(spine) => (spine.blocks, &spine.links[..]),
        None => (0, &[][..]),
    };
    into.extend_from_slice(&blocks.to_be_bytes());
    into.push(links.len() as u8);
    for link in links {
        for field in [link.position, link.base, link.first_stored as u64] {
            into.extend_from_slice(&field.to_be_bytes());
        }
    }
    into.push(state.tail.units.len() as u8);
    for unit in &state.tail.units {
        into.extend_from_slice(&unit.log_offset.to_be_bytes());
        into.extend_from_slice(&unit.tags_code.to_be_bytes());
        into.extend_from_slice(&unit.size.to_be_bytes());
        into.extend_from_slice(&unit.count.to_be_bytes());
    }
}

/// How many heads the frame says it has, and no more than its bytes can hold.
pub(super) fn count(frame: &Fields<'_>) -> usize {
    let mut fields = *frame;
    let stated = fields.u32().unwrap_or_default() as usize;
    stated.min(fields.rest.len() / HEAD_BYTES)
}

/// Puts all heads of a frame into `heads` and takes the deleted ones out. Returns whether there
/// were deleted ones; `None` if the frame is not of this form.
pub(super) fn read_all(mut fields: Fields<'_>, heads: &mut Heads) -> Option<bool> {
    let mut removed = false;
    for _ in 0..fields.u32()? {
        removed |= read(&mut fields, heads)?;
    }
    Some(removed)
}

fn read(fields: &mut Fields<'_>, heads: &mut Heads) -> Option<bool> {
    let length = usize::from(fields.u16()?);
    let topic = std::str::from_utf8(fields.take(length)?).ok()?;
    let queue = QueueId::new(heads.topic(topic)?, fields.u32()?);
    let deleted = fields.u8()? == 0;
    match deleted {
        true => heads.remove(&queue),
        false => heads.set(queue, read_state(fields)?),
    }
    Some(deleted)
}

fn read_state(fields: &mut Fields<'_>) -> Option<State> {
    let (min, min_at, end, after) = (fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?);
    let (base, tail_first_stored) = (fields.u64()?, fields.u64()? as i64);
    let blocks = fields.u32()?;
    let links = fields.u8()?;
    let links = (0..links)
        .map(|_| {
            Some(Link {
                position: fields.u64()?,
                base: fields.u64()?,
                first_stored: fields.u64()? as i64,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    let entries = fields.u8()?;
    let units = (0..entries)
        .map(|_| {
            Some(Unit {
                log_offset: fields.u64()?,
                tags_code: fields.u64()? as i64,
                size: fields.u32()?,
                count: fields.u32()?,
            })
        })
        .collect::<Option<Units>>()?;
    let spine = (blocks > 0).then(|| Box::new(Spine { blocks, links }));
    let tail = Run { base, units };
    Some(State {
        min,
        min_at,
        end,
        tail,
        tail_first_stored,
        spine,
        after,
        changed: false,
    })
}
