//! What was sent, acknowledged and read, and whether it fits together.

use std::collections::HashMap;
use std::fmt;

use anyhow::{Context, Result, bail, ensure};

/// One attempt to send; the driver never repeats one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Id {
    thread: u32,
    sequence: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Slot {
    queue: u32,
    offset: u64,
}

/// A message where it was acknowledged or read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Placed {
    /// `None` for the message that made the topic.
    id: Option<Id>,
    /// The message's id as its client made it.
    unique: Box<str>,
    /// The message's id as the broker made it: address and log offset.
    offset_id: u128,
}

/// An acknowledgement, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    pub sent: i64,
    pub acknowledged: i64,
}

#[derive(Default)]
pub struct Ledger {
    /// Queue and time of every attempt.
    sent: HashMap<Id, (u32, i64)>,
    acknowledged: HashMap<Id, (Slot, Placed)>,
    /// Read while the broker came and went.
    live: HashMap<Slot, Placed>,
    /// Read at the end.
    drained: HashMap<Slot, Placed>,
    /// Bounds of every queue at the end.
    bounds: HashMap<u32, (u64, u64)>,
    ended: bool,
}

/// How much was checked.
#[derive(Debug)]
pub struct Tally {
    sent: usize,
    acknowledged: usize,
    live: usize,
    drained: usize,
}

impl Ledger {
    /// Takes one line of the driver; tells of an acknowledgement.
    pub fn add(&mut self, line: &str) -> Result<Option<Acknowledged>> {
        self.take(line)
            .with_context(|| format!("the driver said {line:?}"))
    }

    fn take(&mut self, line: &str) -> Result<Option<Acknowledged>> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["S", id, queue, at] => {
                let before = self
                    .sent
                    .insert(attempt(id)?, (queue.parse()?, at.parse()?));
                ensure!(before.is_none(), "an id was used twice");
            }
            ["A", id, unique, offset_id, queue, offset, at] => {
                let (slot, placed) = place([id, unique, offset_id, queue, offset])?;
                let id = attempt(id)?;
                let (_, sent) = *self.sent.get(&id).context("it was never sent")?;
                self.acknowledged.insert(id, (slot, placed));
                let acknowledged = at.parse()?;
                return Ok(Some(Acknowledged { sent, acknowledged }));
            }
            ["L", id, unique, offset_id, queue, offset] => {
                let (slot, placed) = place([id, unique, offset_id, queue, offset])?;
                if let Some(before) = self.live.insert(slot, placed) {
                    ensure!(before == self.live[&slot], "it was {before:?} before");
                }
            }
            ["D", id, unique, offset_id, queue, offset] => {
                let (slot, placed) = place([id, unique, offset_id, queue, offset])?;
                let before = self.drained.insert(slot, placed);
                ensure!(before.is_none(), "the same offset was read as {before:?}");
            }
            ["N", queue, from, to] => {
                self.bounds
                    .insert(queue.parse()?, (from.parse()?, to.parse()?));
            }
            ["E"] => self.ended = true,
            _ => bail!("that is no line of the protocol"),
        }
        Ok(None)
    }

    /// Whether nothing is lost, moved or invented.
    pub fn verify(&self) -> Result<Tally> {
        ensure!(self.ended, "the driver did not read to the end");
        ensure!(!self.acknowledged.is_empty(), "nothing was acknowledged");
        for (queue, (from, to)) in &self.bounds {
            ensure!(*from == 0, "queue {queue} begins at {from}");
            for offset in 0..*to {
                let slot = Slot {
                    queue: *queue,
                    offset,
                };
                ensure!(
                    self.drained.contains_key(&slot),
                    "{slot:?} below the queue's end {to} was not read"
                );
            }
        }
        for (id, (slot, placed)) in &self.acknowledged {
            let read = self.drained.get(slot);
            ensure!(
                read == Some(placed),
                "{id:?} was acknowledged at {slot:?} as {placed:?}, where {read:?} was read"
            );
        }
        for (slot, placed) in &self.live {
            let read = self.drained.get(slot);
            ensure!(
                read == Some(placed),
                "{slot:?} was read as {placed:?}, and later as {read:?}"
            );
        }
        self.nothing_invented()?;
        self.in_order()?;
        Ok(Tally {
            sent: self.sent.len(),
            acknowledged: self.acknowledged.len(),
            live: self.live.len(),
            drained: self.drained.len(),
        })
    }

    /// Every message that was read was sent, to that queue, and is there once.
    fn nothing_invented(&self) -> Result<()> {
        let mut seen = HashMap::new();
        for (slot, placed) in &self.drained {
            let Some(id) = placed.id else { continue };
            let (queue, _) = self
                .sent
                .get(&id)
                .with_context(|| format!("{id:?} at {slot:?} was never sent"))?;
            ensure!(
                *queue == slot.queue,
                "{id:?} was sent to queue {queue} and read at {slot:?}"
            );
            if let Some(other) = seen.insert(id, slot) {
                bail!("{id:?} was sent once and read at {other:?} and {slot:?}");
            }
        }
        Ok(())
    }

    /// What one thread sent to one queue one after the other lies there in that order.
    fn in_order(&self) -> Result<()> {
        let mut acknowledged: Vec<_> = self
            .acknowledged
            .iter()
            .map(|(id, (slot, _))| (id.thread, slot.queue, id.sequence, slot.offset))
            .collect();
        acknowledged.sort_unstable();
        for pair in acknowledged.windows(2) {
            let (earlier, later) = (pair[0], pair[1]);
            let same = (earlier.0, earlier.1) == (later.0, later.1);
            ensure!(
                !same || earlier.3 < later.3,
                "{later:?} was sent after {earlier:?} (thread, queue, sequence, offset)"
            );
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} attempts, {} acknowledged, {} read beside them, {} read at the end: none lost, moved or invented",
            self.sent, self.acknowledged, self.live, self.drained
        )
    }
}

fn attempt(id: &str) -> Result<Id> {
    let (thread, sequence) = id.split_once('-').context("an id is thread-sequence")?;
    Ok(Id {
        thread: thread.parse()?,
        sequence: sequence.parse()?,
    })
}

fn place([id, unique, offset_id, queue, offset]: [&str; 5]) -> Result<(Slot, Placed)> {
    let id = match id {
        "first" => None,
        "damaged" => bail!("the body is not one that was sent"),
        id => Some(attempt(id)?),
    };
    let slot = Slot {
        queue: queue.parse()?,
        offset: offset.parse()?,
    };
    let placed = Placed {
        id,
        unique: unique.into(),
        offset_id: u128::from_str_radix(offset_id, 16)?,
    };
    Ok((slot, placed))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two messages, both read; only the first was acknowledged.
    const GOOD: &[&str] = &[
        "S 0-0 1 5",
        "S 0-1 1 6",
        "A 0-0 AB 7F01 1 0 9",
        "L 0-0 AB 7F01 1 0",
        "N 1 0 2",
        "D 0-0 AB 7F01 1 0",
        "D 0-1 AC 7F02 1 1",
        "E",
    ];

    #[track_caller]
    fn check(replaced: &str, by: &[&str], expected: &str) {
        let mut ledger = Ledger::default();
        let mut lines = GOOD.iter().flat_map(|line| match *line == replaced {
            true => by.to_vec(),
            false => vec![*line],
        });
        let outcome = lines
            .try_for_each(|line| ledger.add(line).map(drop))
            .and_then(|()| ledger.verify().map(drop));
        match outcome {
            Ok(()) => assert_eq!(expected, "", "with {by:?} nothing is wrong"),
            Err(why) => {
                let why = format!("{why:#}");
                assert!(!expected.is_empty() && why.contains(expected), "{why}");
            }
        }
    }

    #[test]
    fn every_breach_is_noticed() {
        let (first, second) = ("D 0-0 AB 7F01 1 0", "D 0-1 AC 7F02 1 1");
        check("", &[], "");
        check(second, &[], "below the queue's end 2 was not read");
        check(first, &["D 0-5 AB 7F01 1 0"], "was acknowledged at");
        check(first, &["D 0-0 AB 7F09 1 0"], "was acknowledged at");
        check(first, &["D damaged AB 7F01 1 0"], "not one that was sent");
        check(second, &["D 0-9 AC 7F02 1 1"], "was never sent");
        check(second, &["D 0-0 AB 7F01 1 1"], "was sent once and read at");
        check("S 0-1 1 6", &["S 0-1 2 6"], "was sent to queue 2");
        check(second, &[second, second], "the same offset was read");
        check("L 0-0 AB 7F01 1 0", &["L 0-1 AB 7F01 1 0"], "and later as");
        check("E", &[], "did not read to the end");
        let swapped = ["A 0-0 AB 7F01 1 1 9", "A 0-1 AC 7F02 1 0 9"];
        check(GOOD[2], &swapped, "was acknowledged at");
    }
}
