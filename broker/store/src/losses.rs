//! Queue offsets whose records the log has lost, as a record of the log tells them.
//!
//! Where a damaged record was the newest of its queue, no later record shows the gap, and its
//! offset would be given out again: a consumer that has committed it would never see the
//! message that gets it next. So whoever takes records out of the log appends a record that
//! names their offsets. Whatever reads the log again leaves these places of the queues empty.
//! It names the stretches of the log they were in as well: a repair that was killed does not
//! ask a second time what was there.
//!
//! The record carries the flag of a rolled-back transaction: RocketMQ shows it in no queue
//! and no index, and neither do we.
//! ```text
//! format 4 (1) | losses 4 | losses × (topic length 2, topic, queue 4, from 8, to 8)
//!                | stretches 4 | stretches × (from 8, to 8)
//! ```

pub(crate) mod unfinished;
mod write;

use std::collections::HashMap;

use model::record::RecordView;
use model::{QueueId, SysFlag, Topic};

use crate::queue_index::{Fields, QueueIndex};

pub(crate) use write::{append, filler, leave_room, note};

/// Topic of these records, and of the fillers that stand where a record was.
pub(crate) const LOST: &str = "rmq_sys_LOST";
const FORMAT: u32 = 1;

/// The offsets `from..to` of a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Loss {
    pub queue: QueueId,
    pub from: u64,
    pub to: u64,
}

/// What one record tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    pub losses: Vec<Loss>,
    /// Log offsets from where to where.
    pub stretches: Vec<(u64, u64)>,
}

/// What a record tells; nothing unless it is one of these records.
pub(crate) fn told_by(record: &RecordView<'_>) -> Told {
    let ours = record.topic == LOST && record.sys_flag.0 & HIDDEN == HIDDEN;
    match ours {
        true => decode(record.body).unwrap_or_default(),
        false => Told::default(),
    }
}

/// True for these records and for fillers: whoever asks for the record that lay there is told
/// that there is none.
pub(crate) fn stands_for_lost(record: &RecordView<'_>) -> bool {
    let topic = record.topic == LOST || record.topic == SHORT;
    topic && record.sys_flag.0 & HIDDEN == HIDDEN
}

/// Topic of a filler that has no room for more.
const SHORT: &str = "r";
const HIDDEN: i32 = SysFlag::TRANSACTION_ROLLED_BACK;

fn encode(told: &Told) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&FORMAT.to_be_bytes());
    body.extend_from_slice(&(told.losses.len() as u32).to_be_bytes());
    for Loss { queue, from, to } in &told.losses {
        let topic = queue.topic.as_str().as_bytes();
        body.extend_from_slice(&(topic.len() as u16).to_be_bytes());
        body.extend_from_slice(topic);
        body.extend_from_slice(&queue.number.to_be_bytes());
        body.extend_from_slice(&from.to_be_bytes());
        body.extend_from_slice(&to.to_be_bytes());
    }
    body.extend_from_slice(&(told.stretches.len() as u32).to_be_bytes());
    for (from, to) in &told.stretches {
        body.extend_from_slice(&from.to_be_bytes());
        body.extend_from_slice(&to.to_be_bytes());
    }
    body
}

fn decode(body: &[u8]) -> Option<Told> {
    let mut fields = Fields { rest: body };
    if fields.u32()? != FORMAT {
        return None;
    }
    let losses = (0..fields.u32()?)
        .map(|_| one(&mut fields))
        .collect::<Option<_>>()?;
    let stretches = (0..fields.u32()?)
        .map(|_| Some((fields.u64()?, fields.u64()?)))
        .collect::<Option<_>>()?;
    Some(Told { losses, stretches })
}

fn one(fields: &mut Fields<'_>) -> Option<Loss> {
    let length = usize::from(fields.u16()?);
    let topic = std::str::from_utf8(fields.take(length)?).ok()?;
    let queue = QueueId::new(Topic::stored(topic).ok()?, fields.u32()?);
    let (from, to) = (fields.u64()?, fields.u64()?);
    i64::try_from(to).ok()?;
    Some(Loss { queue, from, to })
}

/// What queues have lost that ended at `ends` once and end earlier in `index`. A topic that was
/// deleted at or behind `since`, when the ends were known, has lost nothing.
pub(crate) fn behind(
    ends: &HashMap<QueueId, u64>,
    index: &QueueIndex,
    buried: &HashMap<Topic, u64>,
    since: u64,
) -> Vec<Loss> {
    let lost = |(queue, to): (&QueueId, &u64)| {
        if buried.get(&queue.topic).is_some_and(|at| *at >= since) {
            return None;
        }
        let head = index.get(queue);
        let from = head.map_or(0, |head| head.with(|state| state.end));
        (from < *to).then(|| Loss {
            queue: queue.clone(),
            from,
            to: *to,
        })
    };
    let mut losses: Vec<Loss> = ends.iter().filter_map(lost).collect();
    losses.sort();
    losses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_read_back_and_other_bodies_tell_nothing() {
        let loss = |topic: &str, from, to| Loss {
            queue: QueueId::new(Topic::stored(topic).expect("a topic"), 7),
            from,
            to,
        };
        let told = Told {
            losses: vec![loss("a", 0, 1), loss("%RETRY%b", 5, i64::MAX as u64)],
            stretches: vec![(4, 400)],
        };
        let body = encode(&told);
        assert_eq!(decode(&body), Some(told));
        for length in 0..body.len() {
            assert_eq!(decode(&body[..length]), None, "{length} bytes");
        }
        assert_eq!(decode(&[0; 64]), None, "a filler");
    }
}
