//! What a start does with a damaged log, against the rule in a few lines.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use model::record::{Unplaced, write_blank};
use model::{Checksum, LogOffset, Message, QueueOffset, Timestamp, Topic};
use proptest::prelude::*;
use runtime::{Disk, Open, Rng, SimDisk};

use crate::checkpoint::{Position, begin_anew};
use crate::guard::Guard;
use crate::layout::Layout;
use crate::recovery::recover;
use crate::segment::file_name;
use crate::{Error, Settings};

const SEGMENT: u64 = 1_000;
const SEGMENTS: u64 = 4;

#[derive(Clone, Copy, Debug)]
enum Damage {
    /// A byte of the body.
    Body,
    /// The record says that it is longer than its segment.
    Size,
    /// Nothing of it was written.
    Missing,
    /// Its end was not written.
    Torn,
}

#[derive(Clone, Debug)]
struct Log {
    /// Bytes of each record's body, and what is wrong with it.
    records: Vec<(usize, Option<Damage>)>,
    /// How far the disk claimed to hold the log, as a share of it; `None` without a checkpoint.
    durable: Option<u8>,
    crashed: bool,
}

/// Where a record lies, and what is wrong with it.
#[derive(Clone, Copy, Debug)]
struct Placed {
    from: u64,
    to: u64,
    damage: Option<Damage>,
}

impl Placed {
    fn is_whole(&self) -> bool {
        self.damage.is_none()
    }

    /// Its head says truly where it lies and how long it is.
    fn has_head(&self) -> bool {
        !matches!(self.damage, Some(Damage::Size | Damage::Missing))
    }

    fn begins_a_file(&self) -> bool {
        self.from.is_multiple_of(SEGMENT)
    }
}

/// The first record that is not whole, and where the log ends in front of it: a segment that is
/// full is closed by a filler, and reading goes on in the next one.
fn broken(placed: &[Placed]) -> Option<(usize, u64)> {
    let broken = placed.iter().position(|record| !record.is_whole())?;
    let before = broken.checked_sub(1).map(|before| placed[before].to);
    let end = before.filter(|_| !placed[broken].begins_a_file());
    Some((broken, end.unwrap_or(placed[broken].from)))
}

/// The model: the log ends at the first record that is not whole, unless something that was
/// durable goes on behind it; then nobody but a person may decide. `None` stands for that.
fn decided(log: &Log, placed: &[Placed], durable: u64) -> Option<u64> {
    let Some((broken, end)) = broken(placed) else {
        return Some(placed.last().map_or(0, |record| record.to));
    };
    let (at, behind) = (placed[broken], &placed[broken + 1..]);
    let mut whole = behind.iter().filter(|record| record.is_whole());
    // After a crash that no checkpoint tells of, all but the last file in use was durable, and
    // what that file holds shows that the log had gone on.
    let unknown = log.durable.is_none() && log.crashed && end < durable;
    let goes_on = whole.any(|record| unknown || record.from < durable);
    // So it does with the filler that closes the segment, if the next one begins behind it.
    let next = behind
        .first()
        .is_some_and(|next| next.is_whole() && next.begins_a_file());
    let closed = next && at.has_head() && at.to < durable;
    // After an orderly stop nothing that is no record lies behind the end.
    let orderly = log.durable.is_some() && !log.crashed;
    let strange = |record: &Placed| matches!(record.damage, Some(Damage::Size));
    let mut files = placed.iter().filter(|record| record.begins_a_file());
    let stranger = orderly && files.any(|record| record.from > end && strange(record));
    (!goes_on && !closed && !stranger).then_some(end)
}

/// How far the log was durable: what a checkpoint knows, and after an orderly stop the first
/// record of every file as well; without one everything, and after a crash all but the last
/// segment in use.
fn durable(log: &Log, placed: &[Placed]) -> u64 {
    let last = placed.last().map_or(0, |record| record.to);
    let known = log.durable.map(|share| last * u64::from(share) / 255);
    match (known, log.crashed) {
        (Some(known), true) => known,
        (Some(known), false) => {
            let end = broken(placed).map_or(last, |(_, end)| end);
            let files = placed.iter().filter(|record| record.begins_a_file());
            let behind = files.filter(|record| record.has_head() && record.from > end);
            behind
                .map(|record| record.from + 1)
                .max()
                .unwrap_or(known)
                .max(known)
        }
        (None, true) => {
            let written = |record: &&Placed| !matches!(record.damage, Some(Damage::Missing));
            let last = placed.iter().rev().find(written);
            last.map_or(0, |last| last.from - last.from % SEGMENT)
        }
        (None, false) => SEGMENT * SEGMENTS,
    }
}

fn record(body: usize, at: u64) -> Vec<u8> {
    let host: SocketAddr = "127.0.0.1:10911".parse().expect("an address");
    let topic = Topic::parse("t").expect("a topic");
    let message = Message::new(topic, 0, vec![b'x'; body]);
    let unplaced = Unplaced::encode(&message, host, Checksum::Record).expect("a small message");
    let place = (QueueOffset(at), LogOffset(at), Timestamp(1));
    unplaced
        .place(place.0, place.1, place.2)
        .to_bytes()
        .to_vec()
}

/// Writes the log, and says what lies where.
fn write(log: &Log, disk: &dyn Disk, layout: &Layout) -> Vec<Placed> {
    let mut bytes = vec![0; (SEGMENT * SEGMENTS) as usize];
    let mut placed: Vec<Placed> = Vec::new();
    let mut at = 0;
    for (body, damage) in &log.records {
        let mut size = record(*body, at).len() as u64;
        if at % SEGMENT + size + 8 > SEGMENT {
            let left = SEGMENT - at % SEGMENT;
            if at + left >= SEGMENT * SEGMENTS {
                break;
            }
            bytes[at as usize..at as usize + 8].copy_from_slice(&write_blank(left as u32));
            at += left;
            size = record(*body, at).len() as u64;
        }
        let (from, to) = (at, at + size);
        let mut whole = record(*body, at);
        let half = whole.len() / 2;
        match damage {
            None => {}
            Some(Damage::Body) => whole[90] ^= 4,
            Some(Damage::Size) => whole[1] = 0x7f,
            Some(Damage::Missing) => whole.fill(0),
            Some(Damage::Torn) => whole[half..].fill(0),
        }
        bytes[from as usize..to as usize].copy_from_slice(&whole);
        placed.push(Placed {
            from,
            to,
            damage: *damage,
        });
        at = to;
    }
    disk.create_dir_all(&layout.log).expect("a folder");
    for start in (0..SEGMENTS).map(|number| number * SEGMENT) {
        let path = layout.log.join(file_name(start));
        let file = disk.open(&path, Open::Create).expect("a file");
        let part = &bytes[start as usize..(start + SEGMENT) as usize];
        file.write_all_at(part, 0).expect("it is written");
        // Behind the segment in use lies no more than a spare.
        if start > at {
            break;
        }
    }
    placed
}

fn check(log: &Log) -> Result<(), TestCaseError> {
    let disk: Arc<dyn Disk> = SimDisk::new(Rng::seeded(1)).mount();
    let layout = Layout::new(Path::new("/store"));
    let placed = write(log, disk.as_ref(), &layout);
    let durable = durable(log, &placed);
    if log.crashed {
        disk.replace(&layout.abort, b"open").expect("it is marked");
    }
    if log.durable.is_some() {
        let end = placed.last().map_or(0, |record| record.to);
        let position = Position {
            durable: end * u64::from(log.durable.unwrap_or_default()) / 255,
            guard: Guard { from: LogOffset(0) },
            ..Position::default()
        };
        begin_anew(disk.as_ref(), &layout.checkpoints, 1, position).expect("it is saved");
    }
    let expected = decided(log, &placed, durable);
    for start in ["first", "second"] {
        let found = match recover(&disk, &layout, &Settings::default()) {
            Ok(recovered) => Some(recovered.end),
            Err(Error::Refused { .. }) => None,
            Err(why) => return Err(TestCaseError::fail(format!("{start}: {why}"))),
        };
        prop_assert_eq!(
            found,
            expected,
            "{}, durable to {}: {:?}",
            start,
            durable,
            placed
        );
    }
    Ok(())
}

fn log() -> impl Strategy<Value = Log> {
    let damage = prop_oneof![
        12 => Just(None),
        1 => Just(Some(Damage::Body)),
        1 => Just(Some(Damage::Size)),
        1 => Just(Some(Damage::Missing)),
        1 => Just(Some(Damage::Torn)),
    ];
    let records = prop::collection::vec((20..200usize, damage), 1..16);
    (records, any::<Option<u8>>(), any::<bool>()).prop_map(|(records, durable, crashed)| Log {
        records,
        durable,
        crashed,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_log_ends_or_is_refused_as_the_rule_says(log in log()) {
        check(&log)?;
    }
}
